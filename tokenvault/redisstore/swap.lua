-- KEYS[1] the row. ARGV: expected revision, owner, this swap's mark, expiry in
-- Unix milliseconds or '', whether the id is indexed, then fields and values.
-- Answers 1 written, 0 another revision, 2 write the index first.
local key = KEYS[1]
local revision, owner, mark = unpack(redis.call('HMGET', key, 'revision', 'owner', 'mark'))
if mark == ARGV[3] then
	return 1
end
if (revision or '0') ~= ARGV[1] then
	return 0
end
if owner ~= ARGV[2] and ARGV[5] ~= '1' then
	return 2
end
redis.call('HSET', key, unpack(ARGV, 6))
if ARGV[4] == '' then
	redis.call('PERSIST', key)
else
	redis.call('PEXPIREAT', key, ARGV[4])
end
return 1
