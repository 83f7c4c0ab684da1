-- Offboard's ledger, gates, format 1.
--
-- KEYS  a tenant's gates
-- ARGV  a name and the time until which it is shut (empty: opened), and so on
for n = 1, #ARGV, 2 do
  if ARGV[n + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[n])
  else
    redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  end
end
return redis.call('HGETALL', KEYS[1])
