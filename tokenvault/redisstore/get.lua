-- KEYS[1] the row. Answers the server's clock, then the row's fields and values.
local now = redis.call('TIME')
local answer = redis.call('HGETALL', KEYS[1])
table.insert(answer, 1, now[1] .. string.format('%06d', now[2]))
return answer
