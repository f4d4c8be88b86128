/**
 * A batch is one call of one function, which Redis carries out alone and whole: the epoch is compared, each
 * id is looked up, and what became of the rows is written at the end by a few commands with many fields.
 *
 * Everything of a deployment is in one hash slot. Payments of a generation are in few large keys, so a purge
 * unlinks them and no key is ever looked for:
 *
 *     {NAME}               the deployment: generation, term, seq, lease, health, addresses, who is unheard
 *     {NAME}:m             names of the instances, with their numbers;   {NAME}:i:NAME  one instance
 *     {NAME}:GEN:p         id -> record (`record.ts`)
 *     {NAME}:GEN:s         ids in the order of their seqs, 30 in each field
 *     {NAME}:GEN:u:OWNER   unsettled by seq;        {NAME}:GEN:h:OWNER  held by when they are due
 *     {NAME}:GEN:H         all held by seq;         {NAME}:GEN:n        how many are held, by reason
 *     {NAME}:GEN:t, :t6    totals by level, processor and bucket (`../rollups.ts`); buckets of level 6
 *     {NAME}:GEN:a, :c     attempts that failed, and what operators did, by id
 *     {NAME}:GEN:x, :l     what is archived, and what stayed then (`archived-functions.ts`)
 *
 * Lua's numbers are doubles, so a sum is kept in the two parts of `domain/money.ts`, each exact. A total of
 * level 1 (64 ms) ends with its single payments, from which a summary takes the milliseconds at its ends.
 */

/** What the other functions use too. */
export const COMMON_LUA = `
local PAGE, CHUNK = 1000, 30
local call, sub, byte, char, concat, pack, read, floor, min
local NEVER, NEW, DONE, KNOWN, OTHER, FORGOTTEN

-- A server shows nothing but the registration to a library that is being loaded.
local function prepare()
  if call then return end
  call, sub, byte, char, concat = redis.call, string.sub, string.byte, string.char, table.concat
  pack, read, floor, min = struct.pack, struct.unpack, math.floor, math.min
  NEVER = string.rep(char(0), 8)
  NEW, DONE, KNOWN, OTHER, FORGOTTEN = char(0), char(1), char(2), char(3), char(4)
end

local function keyOf(base, gen, kind) return base .. ':' .. gen .. ':' .. kind end
local function instanceKey(base, name) return base .. ':i:' .. name end

local function nowMs()
  local time = call('TIME')
  return tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)
end

-- A command with any number of arguments, a page at a time; 'step' of them belong together.
local function paged(command, key, all, step)
  local page = PAGE * step
  for from = 1, #all, page do call(command, key, unpack(all, from, min(from + page - 1, #all))) end
end

local function hmget(key, fields)
  local found = {}
  for from = 1, #fields, PAGE do
    local got = call('HMGET', key, unpack(fields, from, min(from + PAGE - 1, #fields)))
    for at = 1, #got do found[from + at - 1] = got[at] end
  end
  return found
end

local function raiseStep(me) return tostring(call('HINCRBY', me, 'step', 1)) end
local function changed(base) call('PUBLISH', base, '') end

-- Where an unsettled record is found: nil where it is nowhere.
local function heldOf(record)
  if not record or byte(record, 9) % 128 >= 3 then return nil end
  return byte(record, 40)
end

-- Writes records of one owner, that were 'before' and are 'now' by id; returns how many more are unsettled.
local function place(base, gen, owner, ids, before, now)
  if #ids == 0 then return 0 end
  local records, opened, closed, due, gone, all, allGone, counts = {}, {}, {}, {}, {}, {}, {}, {}
  local more = 0
  for _, id in ipairs(ids) do
    local old, new = before[id], now[id]
    local was, is = heldOf(old), heldOf(new)
    records[#records + 1] = id
    records[#records + 1] = new
    if was == nil and is ~= nil then more = more + 1 elseif was ~= nil and is == nil then more = more - 1 end
    local member = sub(new, 1, 6) .. id
    if is == 0 and was ~= 0 then
      opened[#opened + 1] = tostring(read('>I6', new))
      opened[#opened + 1] = id
    elseif was == 0 and is ~= 0 then
      closed[#closed + 1] = id
    end
    if is ~= nil and is > 0 then
      if was ~= is or sub(old, 41, 48) ~= sub(new, 41, 48) then
        local retry = read('>d', new, 41)
        due[#due + 1] = retry == math.huge and 'inf' or string.format('%.17g', retry)
        due[#due + 1] = member
      end
    elseif was ~= nil and was > 0 then
      gone[#gone + 1] = member
    end
    if was ~= is then
      if was ~= nil and was > 0 then counts[was] = (counts[was] or 0) - 1 end
      if is ~= nil and is > 0 then counts[is] = (counts[is] or 0) + 1 end
      if (is or 0) > 0 and (was or 0) == 0 then
        all[#all + 1] = tostring(read('>I6', new))
        all[#all + 1] = id
      elseif (was or 0) > 0 and (is or 0) == 0 then
        allGone[#allGone + 1] = id
      end
    end
  end
  paged('HSET', keyOf(base, gen, 'p'), records, 2)
  local unsettled, held = keyOf(base, gen, 'u:' .. owner), keyOf(base, gen, 'h:' .. owner)
  paged('ZADD', unsettled, opened, 2)
  paged('ZREM', unsettled, closed, 1)
  paged('ZADD', held, due, 2)
  paged('ZREM', held, gone, 1)
  paged('ZADD', keyOf(base, gen, 'H'), all, 2)
  paged('ZREM', keyOf(base, gen, 'H'), allGone, 1)
  for reason, by in pairs(counts) do call('HINCRBY', keyOf(base, gen, 'n'), reason, by) end
  return more
end

-- Returns what was there before.
local function addFields(key, fields, sums, tails)
  local found, all = hmget(key, fields), {}
  for at, field in ipairs(fields) do
    local count, high, low, rest = sums[at][1], sums[at][2], sums[at][3], ''
    local old = found[at]
    if old then
      local c, h, l = read('>I6I7I7', old)
      count, high, low, rest = count + c, high + h, low + l, sub(old, 21)
    end
    all[#all + 1] = field
    all[#all + 1] = pack('>I6I7I7', count, high, low) .. rest .. (tails[at] or '')
  end
  paged('HSET', key, all, 2)
  return found
end

local function addTo(sums, bucket, sum)
  local total = sums[bucket]
  if total then
    total[1], total[2], total[3] = total[1] + sum[1], total[2] + sum[2], total[3] + sum[3]
  else
    sums[bucket] = { sum[1], sum[2], sum[3] }
  end
end

-- Adds settled records to the tree of totals.
local function addTotals(base, gen, settled)
  if #settled == 0 then return end
  local sums, tails = { {}, {} }, { {}, {} }
  for _, record in ipairs(settled) do
    local processor = byte(record, 10)
    local cents = read('>I5', record, 11)
    local at = read('>I6', record, 26)
    local bucket, high = floor(at / 64), floor(cents / 1000000)
    addTo(sums[processor], bucket, { 1, high, cents - high * 1000000 })
    local tail = tails[processor][bucket]
    if not tail then
      tail = {}
      tails[processor][bucket] = tail
    end
    tail[#tail + 1] = char(at - bucket * 64) .. sub(record, 11, 15)
  end
  local fields, values, ends, tops = {}, {}, {}, {}
  for processor = 1, 2 do
    local level = sums[processor]
    for depth = 1, 6 do
      local coarser = {}
      for bucket, sum in pairs(level) do
        fields[#fields + 1] = char(depth, processor) .. pack('>I6', bucket)
        values[#fields] = sum
        if depth == 1 then ends[#fields] = concat(tails[processor][bucket]) end
        if depth == 6 then tops[#fields] = bucket else addTo(coarser, floor(bucket / 64), sum) end
      end
      level = coarser
    end
  end
  local found = addFields(keyOf(base, gen, 't'), fields, values, ends)
  for at, bucket in pairs(tops) do
    if not found[at] then call('SADD', keyOf(base, gen, 't6'), bucket) end
  end
end

-- Adds ids to the list of all, whose seqs are the ones behind 'first'; 'from': the last seq before the generation.
local function addArrivals(base, gen, from, first, ids)
  local at, key = 1, keyOf(base, gen, 's')
  while at <= #ids do
    local place_ = first - from + at - 1
    local chunk, rest = floor(place_ / CHUNK), CHUNK - place_ % CHUNK
    local till = min(at + rest - 1, #ids)
    local old = rest < CHUNK and call('HGET', key, chunk) or ''
    call('HSET', key, chunk, (old or '') .. concat(ids, '', at, till))
    at = till + 1
  end
end
`;

/**
 * Arguments: name, epoch, generation, number of the batch, its rows (`packed-batch.ts`). Answers: a fault,
 * the generation, the last seq before the batch, a code for each row, the step.
 */
export const WRITE_LUA = `
local function write(keys, args)
  local base, name, epoch, number, rows = keys[1], args[1], args[2], args[4], args[5]
  local me = instanceKey(base, name)
  local mine = call('HMGET', me, 'epoch', 'n', 'batch', 'first', 'codes', 'step', 'unsettled', 'asks')
  if mine[1] ~= epoch then return { 'fenced' } end
  local d = call('HMGET', base, 'gen', 'seq', 'from', 'unheard')
  local gen, count = d[1], #rows / 80
  if gen ~= args[3] then return { '', gen, 0, string.rep(FORGOTTEN, count), mine[6] } end
  if number ~= '0' and mine[3] == number then
    -- A write of its own, so that WAIT waits for it.
    call('HSET', me, 'batch', number)
    return { '', gen, mine[4], mine[5], mine[6] }
  end

  local ids, all = {}, {}
  for row = 1, count do ids[row] = sub(rows, row * 80 - 79, row * 80 - 64) end
  local found, before, now = hmget(keyOf(base, gen, 'p'), ids), {}, {}
  addArchived(base, gen, ids, found)
  for row, id in ipairs(ids) do
    before[id] = found[row]
    now[id] = found[row]
  end

  local owner, first = pack('>I2', tonumber(mine[2])), tonumber(d[2])
  local seq, asks = first, tonumber(mine[8] or 0)
  local codes, fresh, touched, settled, ended = {}, {}, {}, {}, {}
  for row = 1, count do
    local id, at = ids[row], row * 80 - 79
    local kind, record = byte(rows, at + 16), now[id]
    local code, new = KNOWN, nil
    if kind == 0 then
      if record then
        if sub(record, 11, 15) ~= sub(rows, at + 27, at + 31) then code = OTHER end
      elseif d[4] and d[4] ~= '' then
        return { 'busy', d[4] .. ' is still to say what it had before the server started anew or was replaced' }
      else
        seq = seq + 1
        code = NEW
        local state = sub(rows, at + 25, at + 25)
        if asks > 0 and byte(state) == 0 and read('>I6', rows, at + 32) < asks then state = char(128) end
        new = pack('>I6', seq) .. owner .. state .. sub(rows, at + 26, at + 64)
        fresh[#fresh + 1] = id
      end
    elseif record and byte(record, 9) % 128 < 3 and sub(record, 1, 8) == sub(rows, at + 17, at + 24) then
      code = DONE
      if kind == 2 then
        local attempts = sub(rows, at + 48, at + 51)
        local had = sub(record, 32, 35)
        if had ~= attempts and read('>I4', had) > read('>I4', attempts) then attempts = had end
        new = sub(record, 1, 8) .. char(3) .. sub(rows, at + 26, at + 26) .. sub(record, 11, 25)
          .. sub(rows, at + 42, at + 47) .. attempts .. sub(rows, at + 65, at + 70)
        settled[#settled + 1] = new
      else
        local hold = kind == 4 and sub(rows, at + 56, at + 64) or sub(record, 40, 40) .. NEVER
        new = sub(record, 1, 8) .. sub(rows, at + 25, at + 26) .. sub(record, 11, 25)
          .. sub(rows, at + 42, at + 55) .. hold
        if kind == 3 then
          ended[#ended + 1] = { id, sub(rows, at + 48, at + 51) .. sub(rows, at + 42, at + 47)
            .. sub(rows, at + 65, at + 78) .. char(byte(rows, at + 26) - 1) .. sub(rows, at + 79, at + 79) }
        end
      end
    end
    codes[row] = code
    if new then
      if all[id] == nil then
        all[id] = true
        touched[#touched + 1] = id
      end
      now[id] = new
    end
  end

  local more = place(base, gen, mine[2], touched, before, now)
  addArrivals(base, gen, tonumber(d[3]), first, fresh)
  addTotals(base, gen, settled)
  local attempts = keyOf(base, gen, 'a')
  for _, each in ipairs(ended) do
    local old = call('HGET', attempts, each[1]) or ''
    call('HSET', attempts, each[1], sub(old .. each[2], -2600))
  end
  if seq > first then call('HSET', base, 'seq', string.format('%.0f', seq)) end
  local text, start, step = concat(codes), string.format('%.0f', first), tonumber(mine[6]) + 1
  call('HSET', me, 'batch', number, 'first', start, 'codes', text, 'step', step, 'unsettled', mine[7] + more)
  return { '', gen, start, text, tostring(step) }
end
`;
