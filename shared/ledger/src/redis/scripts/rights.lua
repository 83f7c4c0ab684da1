-- Offboard's ledger, rights, format 1.
--
-- Which of the commands that the other scripts use are refused: to this user, who
-- may not run them, or to everybody, because the store takes no writes now. A
-- script that is stopped in the middle leaves half of what it wrote.
--
-- What takes memory comes first: a script that has written something is not held
-- to the limit any more. (Of another sort is only what a try before left half done.)
--
-- KEYS  a key for trying
local key = KEYS[1]
local tries = {
  {'HSET', key, 'a', 'b'}, {'DEL', key},
  {'HSET', key, 'a', 'b'}, {'HGET', key, 'a'}, {'HGETALL', key}, {'HLEN', key}, {'HDEL', key, 'a'},
  {'RPUSH', key, 'a'}, {'LLEN', key}, {'LINDEX', key, 0}, {'LRANGE', key, 0, -1}, {'LTRIM', key, 0, 0}, {'DEL', key},
  {'ZADD', key, 0, 'a'}, {'ZRANGEBYLEX', key, '-', '+'}, {'ZLEXCOUNT', key, '-', '+'}, {'ZREM', key, 'a'},
}
local refused = {}
for _, try in ipairs(tries) do
  local answer = redis.pcall(unpack(try))
  if type(answer) == 'table' and answer.err then refused[#refused + 1] = try[1] .. ': ' .. answer.err end
end
return refused
