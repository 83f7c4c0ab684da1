-- Offboard's ledger, due, format 1.
--
-- The wake-ups up to a time and their cases' entries, and the first wake-up
-- that is not among them. One that a torn append left (see append) is put right
-- by its row, and goes if there is none among others.
--
-- KEYS  wakes, cases
-- ARGV  beginning, end, how many
local wakes, cases = KEYS[1], KEYS[2]
local found, rows
repeat
  local right = true
  found, rows = redis.call('ZRANGEBYLEX', wakes, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3]), {}
  for n, wake in ipairs(found) do
    local at, who = string.sub(wake, 1, 8), string.sub(wake, 9)
    local row = redis.call('HGET', cases, string.sub(who, 11) .. '\0' .. string.sub(who, 1, 10))
    if row then
      local format, length = struct.unpack('>BH', row)
      -- What a newer version wrote is not for this one to put right.
      if format == 1 then
        local _, _, _, _, flags, said = struct.unpack('>BHI8c32Bc8', row)
        local is_woken = bit.band(flags, 8) == 8
        if not is_woken or said ~= at then
          if is_woken then redis.call('ZADD', wakes, 0, said .. who) end
          redis.call('ZREM', wakes, wake)
          right = false
        end
      end
      rows[n] = string.sub(row, 1, length)
    elseif redis.call('HLEN', cases) > 0 then
      redis.call('ZREM', wakes, wake)
      right = false
    end
  end
until right
local after = #found > 0 and '(' .. found[#found] or ARGV[1]
return {found, rows, redis.call('ZRANGEBYLEX', wakes, after, '+', 'LIMIT', 0, 1)}
