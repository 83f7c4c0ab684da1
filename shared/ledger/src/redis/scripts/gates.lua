-- Offboard's ledger, gates, format 1.
--
-- A gate that is shut is only shut for longer: of two who shut it at the same
-- time the longer one holds. Whoever wants it open sooner opens it first.
--
-- KEYS  a tenant's gates
-- ARGV  a gate and the time until which it must be shut for anything to be
--       changed and answered (both empty: whatever it is), then
--       a name and the time until which it is shut (empty: opened), and so on
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return false
end
for n = 3, #ARGV, 2 do
  local gate, wanted = ARGV[n], ARGV[n + 1]
  if wanted == '' then
    redis.call('HDEL', KEYS[1], gate)
  else
    local shut = tonumber(redis.call('HGET', KEYS[1], gate) or '')
    if not shut or shut < tonumber(wanted) then
      redis.call('HSET', KEYS[1], gate, wanted)
    end
  end
end
return redis.call('HGETALL', KEYS[1])
