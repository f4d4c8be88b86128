/**
 * What instances do beside writing payments: one function a call of the port. Each answers with a fault ('':
 * none) first. What others have to learn of soon ends with a PUBLISH on the channel of the deployment.
 *
 * Doubt. What an instance was acknowledged and is gone only it can tell, from the `step` that it remembers:
 * so on each new connection it says that (`confirm`), and a store that is behind it is lost. An instance that
 * died cannot say it: if the server has started anew or another one has taken over since it was last
 * connected, what it wrote last is in doubt, and a term begins when it is declared dead, when its payments
 * are to go to somebody else, or with its next process. While one that lives is still to say it, an id that
 * is not here may have been, and be settled by now: so no payment is taken in.
 */
import { CALM_MS } from '../../domain/settlement.ts';
import { ASKS_FIRST_MS } from '../server-options.ts';

/** Of the functions and the keys. */
export const KEYS_VERSION = '1';
/** Of one that has an archive: an older soquete would take what is archived for new. */
export const ARCHIVING_VERSION = '2';

export const MEMBER_LUA = `
local VERSION, ARCHIVING_VERSION = '${KEYS_VERSION}', '${ARCHIVING_VERSION}'
local HOUR, CALM, LEASE, ADOPTED = ${ASKS_FIRST_MS}, ${CALM_MS}, 5000, 1000

-- The most replicas that the server has had: kept here, as whoever starts after a failover finds fewer.
local function replicas(base, count)
  local had = tonumber(call('HGET', base, 'replicas') or 0)
  if tonumber(count) <= had then return had end
  call('HSET', base, 'replicas', count)
  return tonumber(count)
end

-- Arguments: an id for the store if it is made now, the server's replicas. Answers: version, id, replicas.
local function open(keys, args)
  local base = keys[1]
  if call('EXISTS', base) == 0 then
    call('HSET', base, 'v', VERSION, 'id', args[1], 'gen', 1, 'term', 1, 'seq', 0, 'from', 0, 'doubtAt', 0,
      'owners', 0, 'checker', '', 'urls', '', 'health', '0 0 0 0 0 0')
  end
  return { '', call('HGET', base, 'v'), call('HGET', base, 'id'), replicas(base, args[2]) }
end

local function seen(base)
  local names, instances = call('HGETALL', base .. ':m'), {}
  for at = 1, #names, 2 do
    local fields = call('HMGET', instanceKey(base, names[at]), 'epoch', 'beat', 'alive', 'gen', 'unsettled', 'figures')
    table.insert(fields, 1, names[at])
    instances[#instances + 1] = fields
  end
  local d = call('HMGET', base, 'gen', 'term', 'checker', 'health')
  return { '', d[1], d[2], d[3], d[4], instances }
end

local function look(keys) return seen(keys[1]) end

local function isOurs(base, name, epoch) return call('HGET', instanceKey(base, name), 'epoch') == epoch end

local function inDoubt(run, last, durable)
  return last and last ~= '' and last ~= run and durable ~= '1'
end

-- Notes who of those that live is still to say what it had.
local function noteUnheard(base, run)
  local names, unheard = call('HGETALL', base .. ':m'), ''
  for at = 1, #names, 2 do
    local theirs = call('HMGET', instanceKey(base, names[at]), 'alive', 'run', 'durable')
    if theirs[1] == '1' and inDoubt(run, theirs[2], theirs[3]) then unheard = names[at] end
  end
  call('HSET', base, 'unheard', unheard)
end

local function diedInDoubt(other)
  return { 'lost', other .. ' died when the server started anew or was replaced: what it wrote last may be missing' }
end

-- The process with this session has the name, unless another one has it that lives.
local function takeName(keys, args)
  local base, name, session = keys[1], args[1], args[2]
  local me, now = instanceKey(base, name), nowMs()
  local held = call('HMGET', me, 'session', 'seen')
  if held[1] and held[1] ~= '' and held[1] ~= session then
    local channel = base .. ':' .. held[1]
    local isListening = call('PUBSUB', 'NUMSUB', channel)[2] > 0
    -- A host that is gone leaves its connection behind, but beats no more.
    if isListening and now - tonumber(held[2] or 0) < LEASE then return { '', 0 } end
  end
  call('HSET', me, 'session', session, 'seen', now)
  return { '', 1 }
end

-- What is unsettled may have been sent anywhere since it was last written. Whoever has joined has to join anew: an instance
-- that lost nothing, too, may be sent again what another one lost, and has to ask for it first.
local function beginTerm(base, gen, run)
  local pinned, names, payments = 0, call('HGETALL', base .. ':m'), keyOf(base, gen, 'p')
  for at = 1, #names, 2 do
    for _, kind in ipairs({ 'u:', 'h:' }) do
      local members = call('ZRANGE', keyOf(base, gen, kind .. names[at + 1]), 0, -1)
      for from = 1, #members, PAGE do
        local ids, all = {}, {}
        for index = from, min(from + PAGE - 1, #members) do ids[#ids + 1] = sub(members[index], -16) end
        for index, record in ipairs(hmget(payments, ids)) do
          local state = byte(record, 9) % 128
          local processor, requested, attempts = sub(record, 10, 10), sub(record, 26, 31), sub(record, 32, 35)
          if state == 0 then
            pinned = pinned + 1
            state = 2
            if byte(processor) == 0 then processor = char(1) end
            if read('>I6', requested) == 0 then requested = sub(record, 16, 21) end
            if read('>I4', attempts) == 0 then attempts = pack('>I4', 1) end
          end
          all[#all + 1] = ids[index]
          all[#all + 1] = sub(record, 1, 8) .. char(state + 128) .. processor .. sub(record, 11, 25) .. requested
            .. attempts .. sub(record, 36)
        end
        paged('HSET', payments, all, 2)
      end
    end
    call('HSET', instanceKey(base, names[at]), 'run', run)
    call('HINCRBY', instanceKey(base, names[at]), 'epoch', 1)
  end
  return pinned
end

-- Arguments: name, durable, the last term seen before a loss (-1: unknown, '': no loss), the server's run, the epoch
-- that this process had before, its wall clock. Answers: epoch, generation, term, pinned, asks, calm, number, step.
local function join(keys, args)
  local base, name, durable, lostTerm, run = keys[1], args[1], args[2], args[3], args[4]
  local me, now, pinned = instanceKey(base, name), nowMs(), 0
  local d = call('HMGET', base, 'gen', 'term', 'checker')
  local mine = call('HMGET', me, 'n', 'epoch', 'run', 'durable')
  local gen, term = d[1], tonumber(d[2])
  if not mine[1] then
    mine[1] = tostring(call('HINCRBY', base, 'owners', 1))
    call('HSET', base .. ':m', name, mine[1])
    call('HSET', me, 'n', mine[1], 'beat', 0, 'unsettled', 0, 'step', 0)
  end
  local lost = lostTerm ~= '' and (lostTerm == '-1' or tonumber(lostTerm) >= term)
  if lost or inDoubt(run, mine[3], mine[4]) then
    pinned = beginTerm(base, gen, run)
    if lost and tonumber(lostTerm) > term then term = tonumber(lostTerm) end
    term = term + 1
    call('HSET', base, 'term', term, 'doubtAt', now)
  end
  local epoch = tonumber(mine[2] or 0)
  if tonumber(args[5]) > epoch then epoch = tonumber(args[5]) end
  epoch = epoch + 1
  -- By this instance's clock, which says when it accepted a payment: another one's may be hours away from it.
  local doubtMs, asks = now - tonumber(call('HGET', base, 'doubtAt') or 0), '0'
  if doubtMs < HOUR then asks = string.format('%.0f', tonumber(args[6]) + HOUR - doubtMs) end
  call('HSET', me, 'epoch', epoch, 'alive', 1, 'gen', gen, 'figures', '', 'batch', 0, 'codes', '', 'run', run, 'durable',
    durable, 'seen', now, 'asks', asks)
  call('HINCRBY', me, 'beat', 1)
  if d[3] == name then call('HSET', base, 'checker', '') end
  noteUnheard(base, run)
  local step = raiseStep(me)
  changed(base)
  return { '', epoch, tonumber(gen), term, pinned, asks, doubtMs >= CALM and 1 or 0, tonumber(mine[1]), step }
end

-- Whether the store has what an instance knows that it had: name, epoch, step, term, the store's id, the server's run
-- and replicas. Answers: the most replicas.
local function confirm(keys, args)
  local base, name, epoch = keys[1], args[1], tonumber(args[2])
  local d = call('HMGET', base, 'id', 'term')
  if not d[1] then return { 'lost', 'the store is empty' } end
  if d[1] ~= args[5] then return { 'lost', 'another store is in its place' } end
  if tonumber(d[2]) < tonumber(args[4]) then return { 'lost', 'it is older than it was (term ' .. d[2] .. ')' } end
  local count = replicas(base, args[7])
  if epoch == 0 then return { '', count } end
  local me = instanceKey(base, name)
  local mine = call('HMGET', me, 'epoch', 'step')
  local had, step = tonumber(mine[1] or 0), tonumber(mine[2] or 0)
  if had < epoch then return { 'lost', 'it is older than when ' .. name .. ' joined' } end
  if had > epoch then return { '', count } end
  local behind = tonumber(args[3]) - step
  if behind > 0 then return { 'lost', 'it lacks the last ' .. behind .. ' batches that it acknowledged to ' .. name } end
  call('HSET', me, 'run', args[6])
  noteUnheard(base, args[6])
  return { '', count }
end

local function beat(keys, args)
  local base, name = keys[1], args[1]
  if not isOurs(base, name, args[2]) then return { 'fenced' } end
  local me = instanceKey(base, name)
  call('HINCRBY', me, 'beat', 1)
  call('HSET', me, 'figures', args[3], 'seen', nowMs())
  changed(base)
  return seen(base)
end

-- Of the functions below the answer is: a fault, the answer, the step.
local function fence(keys, args)
  local base, other = keys[1], args[3]
  if not isOurs(base, args[1], args[2]) then return { 'fenced' } end
  local key = instanceKey(base, other)
  local theirs = call('HMGET', key, 'epoch', 'beat', 'alive', 'run', 'durable')
  local isSame = theirs[1] == args[4] and theirs[2] == args[5] and theirs[3] == '1'
  if isSame and inDoubt(args[6], theirs[4], theirs[5]) then return diedInDoubt(other) end
  local step = raiseStep(instanceKey(base, args[1]))
  if not isSame then return { '', 0, step } end
  call('HINCRBY', key, 'epoch', 1)
  call('HSET', key, 'alive', 0)
  if call('HGET', base, 'checker') == other then call('HSET', base, 'checker', '') end
  changed(base)
  return { '', 1, step }
end

-- A part of what a dead instance had; asked again until nothing is left.
local function adopt(keys, args)
  local base, name, other, run = keys[1], args[1], args[3], args[4]
  if not isOurs(base, name, args[2]) then return { 'fenced' } end
  local me, them = instanceKey(base, name), instanceKey(base, other)
  local theirs = call('HMGET', them, 'n', 'alive', 'run', 'durable', 'unsettled')
  local gen, ours = call('HGET', base, 'gen'), call('HGET', me, 'n')
  if theirs[2] ~= '0' or theirs[5] == '0' then return { '', 0, raiseStep(me) } end
  if inDoubt(run, theirs[3], theirs[4]) then return diedInDoubt(other) end
  local ids, all, owner, moved = {}, {}, pack('>I2', tonumber(ours)), 0
  for _, kind in ipairs({ 'u:', 'h:' }) do
    local from, to = keyOf(base, gen, kind .. theirs[1]), keyOf(base, gen, kind .. ours)
    local members = call('ZRANGE', from, 0, ADOPTED - 1, 'WITHSCORES')
    local added, names = {}, {}
    for at = 1, #members, 2 do
      ids[#ids + 1] = sub(members[at], -16)
      names[#names + 1] = members[at]
      added[#added + 1] = members[at + 1]
      added[#added + 1] = members[at]
    end
    paged('ZADD', to, added, 2)
    paged('ZREM', from, names, 1)
    moved = moved + #names
  end
  for at, record in ipairs(hmget(keyOf(base, gen, 'p'), ids)) do
    all[#all + 1] = ids[at]
    all[#all + 1] = sub(record, 1, 6) .. owner .. sub(record, 9)
  end
  paged('HSET', keyOf(base, gen, 'p'), all, 2)
  call('HINCRBY', them, 'unsettled', -moved)
  call('HINCRBY', me, 'unsettled', moved)
  changed(base)
  return { '', moved, raiseStep(me) }
end

local function takeChecker(keys, args)
  local base = keys[1]
  if not isOurs(base, args[1], args[2]) then return { 'fenced' } end
  local step = raiseStep(instanceKey(base, args[1]))
  if call('HGET', base, 'checker') ~= args[3] then return { '', 0, step } end
  call('HSET', base, 'checker', args[1])
  changed(base)
  return { '', 1, step }
end

local function report(keys, args)
  local base, health = keys[1], {}
  if not isOurs(base, args[1], args[2]) then return { 'fenced' } end
  local step = raiseStep(instanceKey(base, args[1]))
  if call('HGET', base, 'checker') ~= args[1] then return { '', 0, step } end
  for word in string.gmatch(call('HGET', base, 'health'), '%S+') do health[#health + 1] = word end
  local at = tonumber(args[3]) * 3
  health[at + 1], health[at + 2], health[at + 3] = args[4], args[5], tostring(tonumber(health[at + 3]) + 1)
  call('HSET', base, 'health', concat(health, ' '))
  changed(base)
  return { '', 1, step }
end

local function rememberUrls(keys, args)
  local base = keys[1]
  if not isOurs(base, args[1], args[2]) then return { 'fenced' } end
  call('HSET', base, 'urls', args[3])
  return { '', 1, raiseStep(instanceKey(base, args[1])) }
end

local function purge(keys, args)
  local base = keys[1]
  if not isOurs(base, args[1], args[2]) then return { 'fenced' } end
  local gen, names = call('HGET', base, 'gen'), call('HGETALL', base .. ':m')
  local old = {}
  for _, kind in ipairs({ 'p', 's', 'H', 'n', 't', 't6', 'a', 'c', 'l', 'x' }) do old[#old + 1] = keyOf(base, gen, kind) end
  for at = 1, #names, 2 do
    old[#old + 1] = keyOf(base, gen, 'u:' .. names[at + 1])
    old[#old + 1] = keyOf(base, gen, 'h:' .. names[at + 1])
    call('HSET', instanceKey(base, names[at]), 'unsettled', 0)
  end
  -- Memory is freed beside, so nothing waits for that.
  call('UNLINK', unpack(old))
  call('HSET', base, 'from', call('HGET', base, 'seq'), 'gone', 0, 'xn', 0, 'xb', 0, 'xs', 0)
  local now = call('HINCRBY', base, 'gen', 1)
  changed(base)
  return { '', now, raiseStep(instanceKey(base, args[1])) }
end

local function leave(keys, args)
  local base, name = keys[1], args[1]
  if not isOurs(base, name, args[2]) then return { '', 1 } end
  call('HSET', instanceKey(base, name), 'alive', 0, 'run', '', 'session', '')
  if call('HGET', base, 'checker') == name then call('HSET', base, 'checker', '') end
  changed(base)
  return { '', 1 }
end
`;
