-- Offboard's ledger, read, format 1.
--
-- The case's row, and its records from a version on, preceded by the one
-- before if it is still here: its hash is what the first one follows.
--
-- KEYS  cases, log
-- ARGV  case, from
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

local row = redis.call('HGET', KEYS[1], ARGV[1])
if not row then return {} end
local format, length, version, head = struct.unpack('>BHI8c32', row)
if format ~= 1 then return {row, {}} end
local at = length + 1
at = at + string.byte(row, at) + 1
local trimmed = struct.unpack('>I8', row, at)
local from = math.max(tonumber(ARGV[2]), trimmed + 1)
if from > version then return {row, {}} end
local first, want = math.max(from - trimmed - 2, 0), version - trimmed
local whole = redis.call('LLEN', KEYS[2]) > want and healed(KEYS[2], want, head)
if not whole then return {row, redis.call('LRANGE', KEYS[2], first, -1)} end
local asked = {}
for n = first + 1, want do asked[#asked + 1] = whole[n] end
return {row, asked}
