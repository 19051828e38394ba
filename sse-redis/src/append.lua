-- Appends a batch of records to the log and to the histories of their channels.
--
-- KEYS: log, meta, publisher, then each channel of the batch once.
-- ARGV: floor of the caller; number of the first record; entries of the log; seconds for which a publisher is known;
--       '1' if the caller found the log rewound, else '0'; number of records; then for each record:
--       '1' if it closes its channels, else '0'; description; frame; number of its channels, and for each of these:
--       number of its key, entries of its history, seconds for which that is kept ('0': for ever).
-- Reply: newest position, count of records, position of the first record ('0': no longer known),
--        1 if the batch was stored before, 1 if this call rewound the log, position of the last rewind.

local log, meta, publisher = KEYS[1], KEYS[2], KEYS[3]
local next_argument = 0
local function take()
  next_argument = next_argument + 1
  return ARGV[next_argument]
end
local function decimal(number) return string.format('%.0f', number) end

local floor = tonumber(take())
local first_number = tonumber(take())
local log_entries = take()
local publisher_seconds = take()
local found_rewound = take() == '1'
local records = tonumber(take())

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', meta, 'last', 'k', 'born')
local last, count, born = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])

-- A wrong floor would stop the clock of the log for as long as it is ahead.
if floor > math.max(now, last or 0) + 86400000000 then
  return redis.error_reply('SSEFLOOR the position of the caller is more than a day ahead')
end

-- All that can fail is checked before the first write.
for key = 4, #KEYS do
  local kind = redis.call('TYPE', KEYS[key]).ok
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('SSETYPE the key of a channel is not a stream: ' .. KEYS[key])
  end
end

local rewound = false
if not last then
  -- A new log, or one that was lost. Entries of an old one would have no place in the new order.
  redis.call('DEL', log)
  last, count, rewound = 0, 0, true
elseif floor > last or found_rewound then
  rewound = true
end
if rewound then
  -- Every node reads this record, in its place in the order.
  last = math.max(now, last + 1, floor + 1)
  count, born = count + 1, last
  redis.call('XADD', log, 'MAXLEN', '~', log_entries, decimal(last) .. '-0', 'k', count, 'm', 'R', 'd', '')
  redis.call('HSET', meta, 'last', decimal(last), 'k', count, 'born', decimal(last))
end

local function reply(first, known)
  return { decimal(last), count, decimal(first), known and 1 or 0, rewound and 1 or 0, decimal(born) }
end

if records == 0 then return reply(0, false) end

local former = redis.call('GET', publisher)
if former then
  local former_first, former_last, former_position = string.match(former, '^(%d+) (%d+) (%d+)$')
  if first_number <= tonumber(former_last) then
    local is_same = first_number == tonumber(former_first)
    return reply(is_same and tonumber(former_position) or 0, true)
  end
end

local first = math.max(now, last + 1, floor + 1)
-- Before the records: if one is refused all the same, the count has a hole, and nodes look for it in the histories.
redis.call('HSET', meta, 'last', decimal(first + records - 1), 'k', count + records)
redis.call('SET', publisher, decimal(first_number) .. ' ' .. decimal(first_number + records - 1) .. ' ' .. decimal(first),
  'EX', publisher_seconds)

local kept_for = {}
for record = 0, records - 1 do
  local closes, description, frame, channels = take() == '1', take(), take(), tonumber(take())
  local id = decimal(first + record) .. '-0'
  count = count + 1
  redis.call('XADD', log, 'MAXLEN', '~', log_entries, id, 'k', count, 'm', description, 'd', frame)
  for _ = 1, channels do
    local key, kept, seconds = KEYS[3 + tonumber(take())], tonumber(take()), take()
    if closes then
      -- The marker stays alone: its position is the floor.
      redis.call('XADD', key, id, 'd', '')
      redis.call('XTRIM', key, 'MAXLEN', 1)
      kept_for[key] = seconds
    elseif kept > 0 then
      -- One more than is replayed: the oldest is the floor.
      redis.call('XADD', key, 'MAXLEN', kept + 1, id, 'd', frame)
      kept_for[key] = seconds
    end
  end
end
for key, seconds in pairs(kept_for) do
  if seconds ~= '0' then redis.call('EXPIRE', key, seconds) end
end
last = first + records - 1
return reply(first, false)
