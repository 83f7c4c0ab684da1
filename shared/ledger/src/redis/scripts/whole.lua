-- What stands twice because a server applied a torn append of an older version
-- with the same one repeated: each record bears its hash (its first 32 bytes), so
-- the second of two goes. Nothing, if what is left does not end with the head.
local function whole(log, want, head)
  local seen, records = {}, {}
  for _, record in ipairs(redis.call('LRANGE', log, 0, -1)) do
    local hash = string.sub(record, 1, 32)
    if #records < want and not seen[hash] then
      seen[hash] = true
      records[#records + 1] = record
    end
  end
  if #records < want or string.sub(records[want], 1, 32) ~= head then return nil end
  return records
end

