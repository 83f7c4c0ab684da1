-- Offboard's ledger, due, format 1.
--
-- The wake-ups up to a time and their cases' entries, and the first wake-up
-- that is not among them.
--
-- KEYS  wakes, cases
-- ARGV  beginning, end, how many
local found = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local rows = {}
for n, wake in ipairs(found) do
  local row = redis.call('HGET', KEYS[2], string.sub(wake, 19) .. '\0' .. string.sub(wake, 9, 18))
  if row then
    local _, length = struct.unpack('>BH', row)
    row = string.sub(row, 1, length)
  end
  rows[n] = row
end
local after = #found > 0 and '(' .. found[#found] or ARGV[1]
return {found, rows, redis.call('ZRANGEBYLEX', KEYS[1], after, '+', 'LIMIT', 0, 1)}
