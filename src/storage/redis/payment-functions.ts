/** What operators do, and questions: each is one call, so it sees one moment. */
import { heldPauseMaxMs } from '../../domain/settlement.ts';

export const PAYMENT_LUA = `
-- Arguments: name, epoch, kind, id, processor, requestedAt, at, the text, the act as it is kept.
local function act(keys, args)
  local base, kind, id = keys[1], args[3], args[4]
  if not isOurs(base, args[1], args[2]) then return { 'fenced' } end
  local gen, me = call('HGET', base, 'gen'), instanceKey(base, args[1])
  local payments, acts = keyOf(base, gen, 'p'), keyOf(base, gen, 'c')
  local record = recordOf(base, gen, id)
  local step = raiseStep(me)
  if not record then return { '', 'no such payment', step } end
  local state = byte(record, 9) % 128
  if state > 3 then return { '', 'closed', step } end
  local isResend = kind == 'resend'
  local isOnlyKept = kind == 'take-in'
  if not isOnlyKept and isResend ~= (state == 3) then return { '', isResend and 'not settled' or 'settled', step } end
  if state == 1 and (kind == 'settle' or kind == 'close') then return { '', 'on its way', step } end
  local kept = call('HGET', acts, id)
  call('HSET', acts, id, kept and kept .. '\\n' .. args[9] or args[9])
  if isResend or isOnlyKept then return { '', 'done', step } end
  local new = sub(record, 1, 40) .. NEVER
  if kind == 'hold' then
    -- Nobody waits for its end any more.
    local held = byte(record, 9) + (state == 1 and 1 or 0)
    new = sub(record, 1, 8) .. char(held) .. sub(record, 10, 39) .. char(3) .. pack('>d', math.huge)
  elseif kind == 'settle' then
    new = sub(record, 1, 8) .. char(3, tonumber(args[5]) + 1) .. sub(record, 11, 25) .. pack('>I6', tonumber(args[6]))
      .. sub(record, 32, 35) .. pack('>I6', tonumber(args[7]))
    addTotals(base, gen, { new })
  elseif kind == 'close' then
    new = sub(record, 1, 8) .. char(4) .. sub(record, 10, 35) .. string.rep(char(0), 6) .. args[8]
  end
  local owner = tostring(read('>I2', record, 7))
  local more = place(base, gen, owner, { id }, { [id] = record }, { [id] = new })
  if more ~= 0 then
    local names = call('HGETALL', base .. ':m')
    for at = 1, #names, 2 do
      if names[at + 1] == owner then call('HINCRBY', instanceKey(base, names[at]), 'unsettled', more) end
    end
  end
  changed(base)
  return { '', 'done', step }
end

-- Answers: ids, and their records.
local function answer(base, gen, ids)
  local records = hmget(keyOf(base, gen, 'p'), ids)
  return { '', ids, records }
end

local function find(keys, args)
  local gen = call('HGET', keys[1], 'gen')
  local record = recordOf(keys[1], gen, args[1])
  return { '', { record and args[1] }, { record } }
end

local function own(base, name) return call('HGET', base, 'gen'), call('HGET', instanceKey(base, name), 'n') or '0' end

local function take(keys, args)
  local base = keys[1]
  local gen, n = own(base, args[1])
  return answer(base, gen,
    call('ZRANGEBYSCORE', keyOf(base, gen, 'u:' .. n), '(' .. args[2], '+inf', 'LIMIT', 0, args[3]))
end

local function takeHeld(keys, args)
  local base, limit = keys[1], tonumber(args[3])
  local gen, n = own(base, args[1])
  local key, late = keyOf(base, gen, 'h:' .. n), tonumber(args[2]) + ${heldPauseMaxMs}
  local members = call('ZRANGEBYSCORE', key, '-inf', args[2], 'LIMIT', 0, limit)
  if #members < limit then
    local more = call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', late), '(+inf', 'LIMIT', 0, limit - #members)
    for _, member in ipairs(more) do members[#members + 1] = member end
  end
  for at, member in ipairs(members) do members[at] = sub(member, -16) end
  return answer(base, gen, members)
end

local function held(keys, args)
  local base, gen = keys[1], call('HGET', keys[1], 'gen')
  return answer(base, gen, call('ZRANGE', keyOf(base, gen, 'H'), 0, args[1] - 1))
end

-- A page of unsettled payments behind a seq, of all instances, held or not: a payment keeps its seq when it goes to another
-- instance, or is held, so none is missed that does so between two pages. Answers with the last seq.
local function unsettledPage(keys, args)
  local base, gen = keys[1], call('HGET', keys[1], 'gen')
  local of, all, ids = call('HVALS', base .. ':m'), {}, {}
  for at, number in ipairs(of) do of[at] = 'u:' .. number end
  of[#of + 1] = 'H'
  for _, kind in ipairs(of) do
    local got = call('ZRANGEBYSCORE', keyOf(base, gen, kind), '(' .. args[1], '+inf', 'WITHSCORES', 'LIMIT', 0, args[2])
    for at = 1, #got, 2 do all[#all + 1] = { tonumber(got[at + 1]), got[at], got[at + 1] } end
  end
  table.sort(all, function(one, other) return one[1] < other[1] end)
  local count = min(#all, tonumber(args[2]))
  for at = 1, count do ids[at] = all[at][2] end
  local page = answer(base, gen, ids)
  page[4] = count > 0 and all[count][3] or ''
  return page
end

-- Up to so many payments in the order of their arrival, behind a seq: those that stayed when others of their time were
-- archived come first. Answers with the last seq of all.
local function arrivals(keys, args)
  local base = keys[1]
  local d = call('HMGET', base, 'gen', 'seq', 'from', 'gone')
  local from, limit = tonumber(d[3]), tonumber(args[2])
  local place_, last = math.max(tonumber(args[1]) - from, tonumber(d[4] or 0)), tonumber(d[2]) - from
  local ids = call('ZRANGEBYSCORE', keyOf(base, d[1], 'l'), '(' .. args[1], '+inf', 'LIMIT', 0, limit)
  while place_ < last and #ids < limit do
    local chunk, at = floor(place_ / CHUNK), place_ % CHUNK
    local text = call('HGET', keyOf(base, d[1], 's'), chunk) or ''
    for index = at, min(CHUNK, #text / 16) - 1 do
      if #ids < limit then ids[#ids + 1] = sub(text, index * 16 + 1, index * 16 + 16) end
    end
    place_ = (chunk + 1) * CHUNK
  end
  local all = answer(base, d[1], ids)
  all[4] = d[2]
  return all
end

local function owners(keys)
  return { '', call('HGETALL', keys[1] .. ':m') }
end

local function urls(keys) return { '', call('HGET', keys[1], 'urls') } end

local function heldCounts(keys)
  return { '', call('HGETALL', keyOf(keys[1], call('HGET', keys[1], 'gen'), 'n')) }
end

local function history(keys, args)
  local gen = call('HGET', keys[1], 'gen')
  local function of(kind) return call('HGET', keyOf(keys[1], gen, kind), args[1]) or '' end
  return { '', recordOf(keys[1], gen, args[1]) or '', of('a'), of('c') }
end

-- Arguments: fields of 8 bytes of levels 1 to 5, those whose single payments are wanted, the ends of level 6.
local function summary(keys, args)
  local base, gen = keys[1], call('HGET', keys[1], 'gen')
  local sums, singles = { 0, 0, 0, 0, 0, 0 }, {}
  local function add(field, value)
    local at = byte(field, 2) * 3 - 3
    local count, high, low = read('>I6I7I7', value)
    sums[at + 1], sums[at + 2], sums[at + 3] = sums[at + 1] + count, sums[at + 2] + high, sums[at + 3] + low
  end
  local function split(text)
    local fields = {}
    for at = 1, #text, 8 do fields[#fields + 1] = sub(text, at, at + 7) end
    return fields
  end
  local fields, tails = split(args[1]), split(args[2])
  local first, last = tonumber(args[3]), tonumber(args[4])
  if first <= last then
    for _, bucket in ipairs(call('SMEMBERS', keyOf(base, gen, 't6'))) do
      local number = tonumber(bucket)
      if number >= first and number <= last then
        for processor = 1, 2 do fields[#fields + 1] = char(6, processor) .. pack('>I6', number) end
      end
    end
  end
  for at, value in ipairs(hmget(keyOf(base, gen, 't'), fields)) do
    if value then add(fields[at], value) end
  end
  for at, value in ipairs(hmget(keyOf(base, gen, 't'), tails)) do singles[at] = value and sub(value, 21) or '' end
  for at = 1, 6 do sums[at] = string.format('%.0f', sums[at]) end
  return { '', sums, singles }
end
`;
