-- Offboard's ledger, installation, format 1.
--
-- What the installation is, written once; and whether this server may be
-- written to at all, which a replica says even of what is there already.
--
-- KEYS  installation
-- ARGV  what it is
local there = redis.call('GET', KEYS[1])
local put = redis.pcall('SETNX', KEYS[1], ARGV[1])
if type(put) == 'table' and put.err then
  if not there or string.find(put.err, 'READONLY', 1, true) then return put end
end
return {there and 0 or 1, there or ARGV[1]}
