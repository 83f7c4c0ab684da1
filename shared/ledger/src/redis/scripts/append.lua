-- Offboard's ledger, append, format 1.
--
-- All of an append or nothing of it: whatever can refuse it is looked at
-- before its first write.
--
-- A server that is killed in mid-write keeps, when it starts, the commands that
-- were whole of a transaction that was not, and applies them before the next one
-- when it starts once more. Any beginning of what is written here must therefore
-- do no harm, whatever comes after it:
--  * Records go behind the last that the row knows of, and whatever else stands
--    there goes first. That they go is written down even if there is nothing: the
--    empty item sees to it, for a trim that takes nothing is not.
--  * Then what adds to the lists, then the row, then what takes away. So the lists
--    never have less than the row says, and what they have too much is told from
--    it (due, list). What has no row among others was never opened.
--
-- KEYS  cases, log, wakes, open, ended, opened, claims
-- ARGV  case, expected version, its hash, entry, key, claim, cap, since, trim,
--       and the records
local cases, log, wakes, open, ended, opened, claims =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local case, expected, prev, entry = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local key, claim, cap, since, trim = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] == '1'
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
local function hash_of(n) return string.sub(redis.call('LINDEX', log, n), 1, 32) end
local damaged, doubled = kept < want, nil
if not damaged and want > 0 and hash_of(want - 1) ~= head then
  doubled = kept > want and whole(log, want, head)
  damaged = not doubled
end
-- Rows do not go one by one: with all of them gone, somebody looks at what is left.
damaged = damaged or (kept > 0 and not row and redis.call('HLEN', cases) == 0)
if damaged then return {'damaged', want, kept} end

-- What is to stand there.
local _, _, to, to_head, flags, wake, opened_at = struct.unpack(ENTRY, entry)

local function hash_at(at)
  if at == version then return head end
  if at == trimmed then return trimmed_head end
  if at < trimmed or at > version then return nil end
  local n = at - trimmed
  return doubled and string.sub(doubled[n], 1, 32) or hash_of(n - 1)
end
if version > expected then
  if #ARGV >= FIRST and hash_at(to) == to_head then return {'ours'} end
  if expected < trimmed then return {'trimmed', trimmed} end
end
if hash_at(expected) ~= prev then return {'gap', version} end
if version > expected then
  local from = expected - trimmed
  return {'conflict', doubled and {unpack(doubled, from + 1, want)} or redis.call('LRANGE', log, from, want - 1)}
end
if trim and trimmed == version then return {'ours'} end

local tenant, id = string.sub(case, 1, -11), string.sub(case, -10)
local wanted = ''
if string.sub(claim, 1, 1) == 't' then
  wanted = string.sub(claim, 2)
  local by = redis.call('HGET', claims, tenant .. wanted)
  -- A case without a row was never opened.
  if by and by ~= id and redis.call('HGET', cases, tenant .. by) then return {'claimed', by} end
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
if doubled then
  -- Behind what is there, which goes then: with any beginning of it they are there.
  for n = 1, want, 1000 do
    redis.call('RPUSH', log, unpack(doubled, n, math.min(n + 999, want)))
  end
  redis.call('LTRIM', log, kept, -1)
end
if #ARGV >= FIRST then
  redis.call('RPUSH', log, '')
  if want == 0 then redis.call('DEL', log) else redis.call('LTRIM', log, 0, want - 1) end
  for n = FIRST, #ARGV, 1000 do
    redis.call('RPUSH', log, unpack(ARGV, n, math.min(n + 999, #ARGV)))
  end
end
if trim then trimmed, trimmed_head = to, to_head end

local is_over, was_over = bit.band(flags, 1) == 1, bit.band(was_flags, 1) == 1
local wakes_now, woke = bit.band(flags, 8) == 8, bit.band(was_flags, 8) == 8
local who = id .. string.sub(tenant, 1, -2)
local now_in, was_in = is_over and ended or open, was_over and ended or open
local anew = wake ~= was_wake or wakes_now ~= woke
local holds, unclaimed, at = false, {}, 1
while at <= #held do
  local subject
  subject, at = struct.unpack('>Hc0', held, at)
  holds = holds or subject == wanted
  unclaimed[#unclaimed + 1] = subject
end
if is_over or claim == 'r' then
  held = ''
else
  unclaimed = {}
  if wanted ~= '' then
    redis.call('HSET', claims, tenant .. wanted, id)
    if not holds then held = held .. struct.pack('>Hc0', #wanted, wanted) end
  end
end
if anew and wakes_now then redis.call('ZADD', wakes, 0, wake .. who) end
if not row or now_in ~= was_in then redis.call('ZADD', now_in, 0, case) end
if opened_at ~= was_opened then redis.call('ZADD', opened, 0, tenant .. opened_at .. id) end

redis.call('HSET', cases, case,
  entry .. string.char(#salt) .. salt .. struct.pack('>I8c32', trimmed, trimmed_head) .. held)

if trim then redis.call('DEL', log) end
if anew and woke then redis.call('ZREM', wakes, was_wake .. who) end
if row and now_in ~= was_in then redis.call('ZREM', was_in, case) end
if row and opened_at ~= was_opened then redis.call('ZREM', opened, tenant .. was_opened .. id) end
for _, subject in ipairs(unclaimed) do redis.call('HDEL', claims, tenant .. subject) end
return {'done'}
