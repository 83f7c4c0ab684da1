-- Offboard's ledger, append, format 1.
--
-- All of an append or nothing of it: whatever can refuse it is looked at
-- before its first write. Records that a torn transaction left are taken out
-- before that, also of an append that is refused.
--
-- KEYS  cases, log, wakes, open, ended, opened, claims
-- ARGV  case, expected version, its hash, entry, key, claim, cap, since, trim,
--       and the records
local cases, log, wakes, open, ended, opened, claims =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local case, expected, prev, entry = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local key, claim, cap, since, trim = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] == '1'
-- A server that is killed in mid-write keeps the commands that were whole of a
-- transaction that was not, and applies them with the next one when it starts once
-- more after that. Writing a row twice changes nothing; records that were added
-- twice are there twice. Each bears its hash (its first 32 bytes), so that what is
-- there twice, or was never acknowledged, is told from what is missing.
local function healed(log, want, last)
  local seen, whole = {}, {}
  for _, record in ipairs(redis.call('LRANGE', log, 0, -1)) do
    local hash = string.sub(record, 1, 32)
    if #whole < want and not seen[hash] then
      seen[hash] = true
      whole[#whole + 1] = record
    end
  end
  if #whole < want or (want > 0 and string.sub(whole[want], 1, 32) ~= last) then return nil end
  return whole
end

local FIRST = 10
local ENTRY = '>BHI8c32Bc8c8'
local ZERO = string.rep('\0', 32)

-- What stands there.
local version, head, was_flags, was_wake, was_opened = 0, ZERO, 0, '', ''
local salt, trimmed, trimmed_head, held = '', 0, ZERO, ''
local row = redis.call('HGET', cases, case)
if row then
  local format, length
  format, length, version, head, was_flags, was_wake, was_opened = struct.unpack(ENTRY, row)
  if format ~= 1 then return {'format', format} end
  local at = length + 1
  local n = string.byte(row, at)
  salt, at = string.sub(row, at + 1, at + n), at + n + 1
  trimmed, trimmed_head, at = struct.unpack('>I8c32', row, at)
  held = string.sub(row, at)
end
local kept, want = redis.call('LLEN', log), version - trimmed
if kept ~= want then
  -- Records without a row are not of such a transaction alone: somebody looks at them.
  local whole = row and kept > want and healed(log, want, head)
  if not whole then return {'damaged', want, kept} end
  redis.call('DEL', log)
  for n = 1, want, 1000 do
    redis.call('RPUSH', log, unpack(whole, n, math.min(n + 999, want)))
  end
end

-- What is to stand there.
local _, _, to, to_head, flags, wake, opened_at = struct.unpack(ENTRY, entry)

local function hash_at(at)
  if at == version then return head end
  if at == trimmed then return trimmed_head end
  if at < trimmed or at > version then return nil end
  return string.sub(redis.call('LINDEX', log, at - trimmed - 1), 1, 32)
end
if version > expected then
  if #ARGV >= FIRST and hash_at(to) == to_head then return {'ours'} end
  if expected < trimmed then return {'trimmed', trimmed} end
end
if hash_at(expected) ~= prev then return {'gap', version} end
if version > expected then
  return {'conflict', redis.call('LRANGE', log, expected - trimmed, -1)}
end
if trim and trimmed == version then return {'ours'} end

local tenant, id = string.sub(case, 1, -11), string.sub(case, -10)
local wanted = ''
if string.sub(claim, 1, 1) == 't' then
  wanted = string.sub(claim, 2)
  local by = redis.call('HGET', claims, tenant .. wanted)
  if by and by ~= id then return {'claimed', by} end
end
if cap ~= '' then
  local from = '[' .. tenant .. since
  local count = redis.call('ZLEXCOUNT', opened, from, '(' .. string.sub(tenant, 1, -2) .. '\1')
  if row and redis.call('ZLEXCOUNT', opened, from, '[' .. tenant .. was_opened .. id) > 0 then
    count = count - 1
  end
  if count >= tonumber(cap) then return {'capped', count} end
end
-- A salt is its length and itself; a destroyed one is a single 'd'.
local change = string.sub(key, 1, 1)
if change == 'c' then
  local new = string.sub(key, 2)
  if salt == 'd' then return {'destroyed'} end
  if salt ~= '' and salt ~= new then return {'has key'} end
  salt = new
elseif change == 'd' then
  salt = 'd'
end

-- Nothing is refused from here on.
for n = FIRST, #ARGV, 1000 do
  redis.call('RPUSH', log, unpack(ARGV, n, math.min(n + 999, #ARGV)))
end
if trim then
  redis.call('DEL', log)
  trimmed, trimmed_head = to, to_head
end
local is_over = bit.band(flags, 1) == 1
if is_over or claim == 'r' then
  local at = 1
  while at <= #held do
    local subject
    subject, at = struct.unpack('>Hc0', held, at)
    redis.call('HDEL', claims, tenant .. subject)
  end
  held = ''
elseif wanted ~= '' then
  if redis.call('HSET', claims, tenant .. wanted, id) == 1 then
    held = held .. struct.pack('>Hc0', #wanted, wanted)
  end
end
if wake ~= was_wake or bit.band(flags, 8) ~= bit.band(was_flags, 8) then
  local who = id .. string.sub(tenant, 1, -2)
  if bit.band(was_flags, 8) == 8 then redis.call('ZREM', wakes, was_wake .. who) end
  if bit.band(flags, 8) == 8 then redis.call('ZADD', wakes, 0, wake .. who) end
end
local was_over = bit.band(was_flags, 1) == 1
if not row or was_over ~= is_over then
  if row then redis.call('ZREM', was_over and ended or open, case) end
  redis.call('ZADD', is_over and ended or open, 0, case)
end
if opened_at ~= was_opened then
  if row then redis.call('ZREM', opened, tenant .. was_opened .. id) end
  redis.call('ZADD', opened, 0, tenant .. opened_at .. id)
end
redis.call('HSET', cases, case,
  entry .. string.char(#salt) .. salt .. struct.pack('>I8c32', trimmed, trimmed_head) .. held)
return {'done'}
