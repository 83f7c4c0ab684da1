-- Offboard's ledger, list, format 1.
--
-- The open cases, or those and the ended ones, each in order, and their entries.
-- A case that a torn append left in the wrong list (see append) is put where its
-- row says, and goes if there is none among others.
--
-- KEYS  cases, open, ended
-- ARGV  beginning, end, how many of each, 'open' for the open ones alone
local lists
repeat
  local right = true
  lists = {}
  for n = 1, ARGV[4] == 'open' and 1 or 2 do
    local found, rows = redis.call('ZRANGEBYLEX', KEYS[n + 1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3]), {}
    for i, case in ipairs(found) do
      local row = redis.call('HGET', KEYS[1], case)
      if row then
        local format, length = struct.unpack('>BH', row)
        -- What a newer version wrote is not for this one to put right.
        if format == 1 then
          local _, _, _, _, flags = struct.unpack('>BHI8c32B', row)
          local is_in = 1 + bit.band(flags, 1)
          if is_in ~= n then
            redis.call('ZADD', KEYS[is_in + 1], 0, case)
            redis.call('ZREM', KEYS[n + 1], case)
            right = false
          end
        end
        rows[i] = string.sub(row, 1, length)
      elseif redis.call('HLEN', KEYS[1]) > 0 then
        redis.call('ZREM', KEYS[n + 1], case)
        right = false
      end
    end
    lists[n] = {found, rows}
  end
until right
return lists
