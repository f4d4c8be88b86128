/**
 * What leaves for the archive: payments in the order of their arrival, which their list gives without a look
 * at any other. The caller has them in a file, on its disk, before `archive` lets them go, and that compares
 * all it was told with what is there: whoever asks with an older view, or twice, changes nothing.
 */
export const ARCHIVE_LUA = `
local CHUNKS, LATE, SWEEP, DAY, KEEPS = 3, 90, 64, 86400000, 600000

-- One host keeps the archive: another one only when that one has not for ten minutes.
-- Arguments: the archive's id ('': only asks), where it is. Answers: the store's id, whether it is kept there, where, since (ms).
local function keepArchive(keys, args)
  local base, now = keys[1], nowMs()
  local d = call('HMGET', base, 'id', 'keeper', 'keptAt', 'keptIn')
  if args[1] == '' then return { '', d[1], 1, '', 0 } end
  if d[2] and d[2] ~= args[1] and now - tonumber(d[3]) < KEEPS then return { '', d[1], 0, d[4], now - tonumber(d[3]) } end
  -- An older soquete would take what is archived for new.
  call('HSET', base, 'v', ARCHIVING_VERSION, 'keeper', args[1], 'keptAt', now, 'keptIn', args[2])
  return { '', d[1], 1, args[2], 0 }
end

-- Arguments: what is older (ms), '' for those that arrived next, else the seq behind which those that stayed are.
-- Answers: generation, how many places are gone, how many are passed, ids, records, attempts, acts, the next seq ('': none),
-- whether there is more.
local function archiveDue(keys, args)
  local base, before = keys[1], tonumber(args[1])
  local d = call('HMGET', base, 'gen', 'seq', 'from', 'gone')
  local gen, gone, last = d[1], tonumber(d[4] or 0), tonumber(d[2]) - tonumber(d[3])
  local ids, records, place_, after, more = {}, {}, gone, '', 0
  if args[2] ~= '' then
    local got = call('ZRANGEBYSCORE', keyOf(base, gen, 'l'), '(' .. args[2], '+inf', 'WITHSCORES', 'LIMIT', 0, LATE)
    for at = 1, #got, 2 do ids[#ids + 1] = got[at] end
    if #ids == LATE then after = got[#got] end
    records = hmget(keyOf(base, gen, 'p'), ids)
  else
    while place_ < last do
      if place_ - gone >= CHUNKS * CHUNK then
        more = 1
        break
      end
      local chunk, page = floor(place_ / CHUNK), {}
      local text = call('HGET', keyOf(base, gen, 's'), chunk)
      for at = (place_ - chunk * CHUNK) * 16 + 1, #text, 16 do page[#page + 1] = sub(text, at, at + 15) end
      local found, count = hmget(keyOf(base, gen, 'p'), page), 0
      while count < #page and read('>I6', found[count + 1], 16) < before do
        count = count + 1
        ids[#ids + 1] = page[count]
        records[#records + 1] = found[count]
      end
      place_ = place_ + count
      if count < #page then break end
    end
  end
  local due, their = {}, {}
  for at, id in ipairs(ids) do
    local record = records[at]
    if record and byte(record, 9) == 3 and read('>I6', record, 26) < before and read('>I6', record, 36) < before then
      due[#due + 1] = id
      their[#their + 1] = record
    end
  end
  local attempts, acts = hmget(keyOf(base, gen, 'a'), due), hmget(keyOf(base, gen, 'c'), due)
  return { '', gen, gone, place_ - gone, due, their, attempts, acts, after, more }
end

-- The totals of several payments of one millisecond stand at the front of a bucket of level 1, with 64 added to it.
local function splitTail(value)
  local sums, at = {}, 21
  while at <= #value and byte(value, at) >= 64 do
    sums[byte(value, at) - 64] = { read('>I6I7I7', value, at + 1) }
    at = at + 21
  end
  return sums, at
end

-- Settled records leave their millisecond for the beginning of their day, or for that of the audit in it.
local function moveTotals(base, gen, records, exactFrom)
  local key = keyOf(base, gen, 't')
  for processor = 1, 2 do
    local level, gone, days, fields, numbers = {}, {}, {}, {}, {}
    for _, record in ipairs(records) do
      if byte(record, 10) == processor then
        local cents, at = read('>I5', record, 11), read('>I6', record, 26)
        local high, to = floor(cents / 1000000), at - at % DAY
        if at >= exactFrom and to < exactFrom then to = exactFrom end
        local bucket, day = floor(at / 64), floor(to / 64)
        local single = char(at - bucket * 64) .. sub(record, 11, 15)
        addTo(level, bucket, { -1, -high, high * 1000000 - cents })
        addTo(level, day, { 1, high, cents - high * 1000000 })
        gone[bucket] = gone[bucket] or {}
        gone[bucket][single] = (gone[bucket][single] or 0) + 1
        days[day] = days[day] or {}
        addTo(days[day], to - day * 64, { 1, high, cents - high * 1000000 })
      end
    end
    for bucket in pairs(level) do
      numbers[#numbers + 1] = bucket
      fields[#fields + 1] = char(1, processor) .. pack('>I6', bucket)
    end
    local all, empty = {}, {}
    for n, old in ipairs(hmget(key, fields)) do
      local bucket, count, high, low, sums, at = numbers[n], 0, 0, 0, {}, 1
      if old then
        count, high, low = read('>I6I7I7', old)
        sums, at = splitTail(old)
      end
      local leaving, tail, by = gone[bucket] or {}, {}, level[bucket]
      for from = at, old and #old or 0, 6 do
        local single = sub(old, from, from + 5)
        if (leaving[single] or 0) > 0 then leaving[single] = leaving[single] - 1 else tail[#tail + 1] = single end
      end
      for ms, sum in pairs(days[bucket] or {}) do addTo(sums, ms, sum) end
      local front = {}
      for ms, sum in pairs(sums) do front[#front + 1] = char(64 + ms) .. pack('>I6I7I7', sum[1], sum[2], sum[3]) end
      if count + by[1] == 0 then
        empty[#empty + 1] = fields[n]
      else
        all[#all + 1] = fields[n]
        all[#all + 1] = pack('>I6I7I7', count + by[1], high + by[2], low + by[3]) .. concat(front) .. concat(tail)
      end
    end
    for depth = 2, 6 do
      local coarser = {}
      for bucket, sum in pairs(level) do addTo(coarser, floor(bucket / 64), sum) end
      level, fields, numbers = coarser, {}, {}
      for bucket, sum in pairs(level) do
        if sum[1] ~= 0 or sum[2] ~= 0 or sum[3] ~= 0 then
          numbers[#numbers + 1] = bucket
          fields[#fields + 1] = char(depth, processor) .. pack('>I6', bucket)
        end
      end
      for n, old in ipairs(hmget(key, fields)) do
        local count, high, low, by = 0, 0, 0, level[numbers[n]]
        if old then count, high, low = read('>I6I7I7', old) end
        if count + by[1] == 0 then
          empty[#empty + 1] = fields[n]
        else
          all[#all + 1] = fields[n]
          all[#all + 1] = pack('>I6I7I7', count + by[1], high + by[2], low + by[3])
          if depth == 6 then call('SADD', keyOf(base, gen, 't6'), numbers[n]) end
        end
      end
    end
    paged('HDEL', key, empty, 1)
    paged('HSET', key, all, 2)
  end
end

-- So many places of the list of arrivals are gone: who stays of them is kept by seq.
local function passPlaces(base, gen, from, gone, count, archived)
  local key, staying, place_ = keyOf(base, gen, 's'), {}, gone
  while place_ < gone + count do
    local chunk = floor(place_ / CHUNK)
    local text, till = call('HGET', key, chunk), min((chunk + 1) * CHUNK, gone + count)
    for at = place_, till - 1 do
      local start = (at - chunk * CHUNK) * 16 + 1
      local id = sub(text, start, start + 15)
      if not archived[id] then
        staying[#staying + 1] = string.format('%.0f', from + at + 1)
        staying[#staying + 1] = id
      end
    end
    if till == (chunk + 1) * CHUNK then call('HDEL', key, chunk) end
    place_ = till
  end
  paged('ZADD', keyOf(base, gen, 'l'), staying, 2)
  call('HSET', base, 'gone', string.format('%.0f', gone + count))
end

-- Arguments: the archive's id, generation, places gone, places passed, what has to stay exact (ms), ids, and for each file its
-- day, part, name, length before and length. Answers: whether it was done.
local function archive(keys, args)
  local base, ids, archived, entries = keys[1], {}, {}, {}
  local d = call('HMGET', base, 'gen', 'seq', 'from', 'gone', 'keeper')
  local gen, files, grown = d[1], base .. ':f', base .. ':g'
  if gen ~= args[2] or (d[4] or '0') ~= args[3] or d[5] ~= args[1] then return { '', 0 } end
  for at = 7, #args, 5 do
    if (call('HGET', files, args[at + 2]) or '0') ~= args[at + 3] then return { '', 0 } end
  end
  for at = 1, #args[6], 16 do ids[#ids + 1] = sub(args[6], at, at + 15) end
  local records = hmget(keyOf(base, gen, 'p'), ids)
  for at, id in ipairs(ids) do
    if not records[at] or byte(records[at], 9) ~= 3 then return { '', 0 } end
    archived[id] = true
    entries[at] = entryOfRecord(id, records[at])
  end
  for _, kind in ipairs({ 'p', 'a', 'c' }) do paged('HDEL', keyOf(base, gen, kind), ids, 1) end
  paged('ZREM', keyOf(base, gen, 'l'), ids, 1)
  passPlaces(base, gen, tonumber(d[3]), tonumber(args[3]), tonumber(args[4]), archived)
  moveTotals(base, gen, records, tonumber(args[5]))
  putArchived(base, gen, entries)
  for at = 7, #args, 5 do
    call('HSET', files, args[at + 2], args[at + 4], args[at], args[at + 1])
    call('SADD', grown, args[at + 2])
  end
  call('HSET', base, 'keptAt', nowMs())
  return { '', 1 }
end

-- Arguments: ids requested before are forgotten, the bucket to begin with. Answers: how many were, the next bucket (0: all
-- have been seen).
local function forgetIds(keys, args)
  local base, before, from = keys[1], tonumber(args[1]), tonumber(args[2])
  local d = call('HMGET', base, 'gen', 'xn', 'xb', 'xs')
  local till = 2 ^ tonumber(d[3] or 0) + tonumber(d[4] or 0)
  local key, acts, forgotten = keyOf(base, d[1], 'x'), keyOf(base, d[1], 'c'), 0
  for bucket = from, min(from + SWEEP, till) - 1 do
    local old, kept = call('HGET', key, bucket) or '', {}
    for at = 1, #old, ENTRY do
      local entry = sub(old, at, at + ENTRY - 1)
      if read('>I6', entry, 29) < before then
        forgotten = forgotten + 1
        -- Of one that was sent to its processor again since.
        call('HDEL', acts, sub(entry, 1, 16))
      else
        kept[#kept + 1] = entry
      end
    end
    if #kept == 0 then call('HDEL', key, bucket) else call('HSET', key, bucket, concat(kept)) end
  end
  if forgotten > 0 then call('HSET', base, 'xn', tonumber(d[2]) - forgotten) end
  return { '', forgotten, from + SWEEP >= till and 0 or from + SWEEP }
end

-- The lengths of files, or the last parts of days: 0 of what is not known.
local function archiveFiles(keys, args)
  local found = hmget(keys[1] .. ':f', args)
  for at = 1, #args do found[at] = tonumber(found[at] or 0) end
  return { '', found }
end

local function grownFiles(keys)
  local names = call('SMEMBERS', keys[1] .. ':g')
  return { '', names, hmget(keys[1] .. ':f', names) }
end

-- Arguments: names and lengths of files whose checksums are written down.
local function filesSummed(keys, args)
  for at = 1, #args, 2 do
    if call('HGET', keys[1] .. ':f', args[at]) == args[at + 1] then call('SREM', keys[1] .. ':g', args[at]) end
  end
  return { '', 1 }
end
`;
