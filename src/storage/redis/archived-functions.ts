/**
 * Archived payments: what stays of one in Redis, so that its id is refused and its look-up answered.
 *
 *     {NAME}:GEN:x   bucket -> entries of 36 bytes: id 16, processor 1, cents 5, acceptedAt 6, requestedAt 6,
 *                    attempts 2
 *     {NAME}:GEN:l   what stayed when its neighbours were archived, by seq: held, closed, or settled later
 *     {NAME}:f       files of the archive, each with its length, and of each day the last part
 *     {NAME}:g       those that have grown
 *
 * A field of a hash for each id would cost three times its entry; a bucket has forty of them. There are as
 * many buckets as that asks for: one more is split off another whenever the mean is above it (linear
 * hashing), so none is ever written anew because of the number of ids.
 */
export const ARCHIVED_LUA = `
local ENTRY, FILL = 36, 40

local function bucketOf(id, bits, split)
  -- Clients choose ids, and often their first bytes are the time.
  local hash, size = tonumber(sub(redis.sha1hex(id), 1, 8), 16), 2 ^ bits
  local at = hash % size
  if at < split then at = hash % (size * 2) end
  return at
end

local function entryIn(bucket, id)
  local from = 1
  while true do
    local at = string.find(bucket, id, from, true)
    if not at then return nil end
    if (at - 1) % ENTRY == 0 then return sub(bucket, at, at + ENTRY - 1) end
    from = at + 1
  end
end

-- As the record that it was, as far as it is known.
local function recordOfEntry(entry)
  local requested = sub(entry, 29, 34)
  return string.rep(char(0), 8) .. char(3) .. sub(entry, 17, 28) .. string.rep(char(0), 4) .. requested
    .. char(0, 0) .. sub(entry, 35, 36) .. requested
end

local function entryOfRecord(id, record)
  return id .. sub(record, 10, 21) .. sub(record, 26, 31) .. pack('>I2', min(read('>I4', record, 32), 65535))
end

-- Puts the records of archived payments to those that were found; 'ids' has all of them.
local function addArchived(base, gen, ids, found)
  local d = call('HMGET', base, 'xn', 'xb', 'xs')
  if not d[1] or d[1] == '0' then return end
  local bits, split, missing, fields = tonumber(d[2]), tonumber(d[3]), {}, {}
  for at, id in ipairs(ids) do
    if not found[at] then
      missing[#missing + 1] = at
      fields[#fields + 1] = bucketOf(id, bits, split)
    end
  end
  for n, bucket in ipairs(hmget(keyOf(base, gen, 'x'), fields)) do
    local entry = bucket and entryIn(bucket, ids[missing[n]])
    if entry then found[missing[n]] = recordOfEntry(entry) end
  end
end

local function recordOf(base, gen, id)
  local found = { call('HGET', keyOf(base, gen, 'p'), id) }
  addArchived(base, gen, { id }, found)
  return found[1]
end

local function putArchived(base, gen, entries)
  local key, d = keyOf(base, gen, 'x'), call('HMGET', base, 'xn', 'xb', 'xs')
  local count, bits, split = tonumber(d[1] or 0), tonumber(d[2] or 0), tonumber(d[3] or 0)
  local by, fields, all = {}, {}, {}
  for _, entry in ipairs(entries) do
    local at = bucketOf(sub(entry, 1, 16), bits, split)
    if not by[at] then
      by[at] = {}
      fields[#fields + 1] = at
    end
    table.insert(by[at], entry)
  end
  for n, old in ipairs(hmget(key, fields)) do
    all[#all + 1] = fields[n]
    all[#all + 1] = (old or '') .. concat(by[fields[n]])
  end
  paged('HSET', key, all, 2)
  count = count + #entries
  while count > FILL * (2 ^ bits + split) do
    local size, stay, go = 2 ^ bits, {}, {}
    local old = call('HGET', key, split) or ''
    for at = 1, #old, ENTRY do
      local entry = sub(old, at, at + ENTRY - 1)
      local to = bucketOf(sub(entry, 1, 16), bits + 1, 0) == split and stay or go
      to[#to + 1] = entry
    end
    call('HDEL', key, split)
    if #stay > 0 then call('HSET', key, split, concat(stay)) end
    if #go > 0 then call('HSET', key, split + size, concat(go)) end
    split = split + 1
    if split == size then bits, split = bits + 1, 0 end
  end
  call('HSET', base, 'xn', count, 'xb', bits, 'xs', split)
end
`;
