-- Offboard's ledger, read, format 1.
--
-- The case's row, and its records from a version on, preceded by the one
-- before if it is still here: its hash is what the first one follows.
--
-- KEYS  cases, log
-- ARGV  case, from
local row = redis.call('HGET', KEYS[1], ARGV[1])
if not row then return {} end
local format, length, version, head = struct.unpack('>BHI8c32', row)
if format ~= 1 then return {row, {}} end
local at = length + 1
at = at + string.byte(row, at) + 1
local trimmed = struct.unpack('>I8', row, at)
local from = math.max(tonumber(ARGV[2]), trimmed + 1)
if from > version then return {row, {}} end
-- What stands behind the row's last was never acknowledged.
local first, want = math.max(from - trimmed - 2, 0), version - trimmed
local last = redis.call('LINDEX', KEYS[2], want - 1)
local doubled = last and string.sub(last, 1, 32) ~= head and whole(KEYS[2], want, head)
return {row, doubled and {unpack(doubled, first + 1, want)} or redis.call('LRANGE', KEYS[2], first, want - 1)}
