-- Offboard's ledger, list, format 1.
--
-- The cases of each list, in order, and their entries.
--
-- KEYS  cases, and the lists
-- ARGV  beginning, end, how many of each
local lists = {}
for n = 2, #KEYS do
  local found = redis.call('ZRANGEBYLEX', KEYS[n], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
  local rows = {}
  for i, case in ipairs(found) do
    local row = redis.call('HGET', KEYS[1], case)
    if row then
      local _, length = struct.unpack('>BH', row)
      row = string.sub(row, 1, length)
    end
    rows[i] = row
  end
  lists[n - 1] = {found, rows}
end
return lists
