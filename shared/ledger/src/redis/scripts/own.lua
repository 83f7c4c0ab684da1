-- Offboard's ledger, own, format 1.
--
-- KEYS  owners
-- ARGV  shard, owner, now, until
local shard, owner, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local held = redis.call('HGET', KEYS[1], shard)
if held then
  local lasts, other = string.match(held, '^(%-?%d+) (.*)$')
  if other ~= owner and tonumber(lasts) > now then return other end
end
if tonumber(ARGV[4]) <= now then
  redis.call('HDEL', KEYS[1], shard)
  return ''
end
redis.call('HSET', KEYS[1], shard, ARGV[4] .. ' ' .. owner)
return owner
