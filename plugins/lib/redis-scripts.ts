/**
 * What the Redis store does on the server. Each script is one atomic step that reads and checks whatever it needs before
 * its first write, so that an error means that nothing was written.
 *
 * Keys of a fleet, all under one hash tag:
 * - `{millrace:F}:meta` (hash): format, lineage, token (the last one given), run (id of the server's process that gave the last lease),
 *   quiet (no lease is given to anybody new until then), longest (time to live, of all leases that were given)
 * - `…:heads` (hash): document → record of its head
 * - `…:outbox` (set): documents whose head is not announced
 * - `…:doc:NAME` (hash): lo (oldest number), bytes, and of each revision m:NUMBER (record), v:NUMBER (value), w:WRITEID (number)
 * - `…:leases` (sorted set): names by when they lapse; `…:lease:NAME` (string, lapses): token, line feed, holder
 *
 * A record is seven lines: number, id, id of the parent, 1 for a tombstone, bytes, milliseconds since 1970, note as JSON.
 */
import { createHash } from 'node:crypto'

export interface Script {
  readonly text: string
  readonly sha: string
}

const script = (body: string): Script => {
  const text = prelude + body
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** A key of another type, or of a newer format, is another program's: say so and leave it. */
const prelude = `
local function foreign(kinds)
  for i, kind in ipairs(kinds) do
    local found = redis.call('TYPE', KEYS[i]).ok
    if found ~= 'none' and found ~= kind then
      return redis.error_reply('MRDATA the key ' .. KEYS[i] .. ' is a ' .. found .. ', expected a ' .. kind)
    end
  end
  local format = redis.call('HGET', KEYS[1], 'format')
  if format and format ~= '1' then
    return redis.error_reply('MRDATA format ' .. format .. ' in ' .. KEYS[1] .. ', expected 1: written by a newer version')
  end
  return nil
end
local function damaged(what)
  return redis.error_reply('MRDATA ' .. what)
end
local function millis()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function text(number)
  return string.format('%.0f', number)
end
local function begin(lineage)
  if redis.call('HSETNX', KEYS[1], 'lineage', lineage) == 1 then redis.call('HSET', KEYS[1], 'format', '1') end
end
`

/** KEYS: meta, heads, outbox, doc. ARGV: document, writeId, number, id, tombstone, value, note, lineage, revisions, bytes, touch. */
const put = script(`
local bad = foreign({'hash', 'hash', 'set', 'hash'})
if bad then return bad end
local meta, heads, outbox, doc = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local document, writeId = ARGV[1], ARGV[2]
local known = redis.call('HGET', doc, 'w:' .. writeId)
if known then
  local record = redis.call('HGET', doc, 'm:' .. known)
  if not record then return damaged('revision ' .. known .. ' of ' .. document .. ' is missing') end
  -- Replicas are waited for by this connection's last write: there has to be one.
  if ARGV[11] == '1' then redis.call('HINCRBY', meta, 'touched', 1) end
  return {'committed', record}
end
local head = redis.call('HGET', heads, document)
local number, id = '0', ''
if head then
  number, id = string.match(head, '^(%d+)\\n([^\\n]+)\\n')
  if not number then return damaged('the head of ' .. document .. ' cannot be read') end
end
if number ~= ARGV[3] or id ~= ARGV[4] then return {'conflict', head} end
local lo, bytes = redis.call('HGET', doc, 'lo'), redis.call('HGET', doc, 'bytes')
if head then
  lo, bytes = tonumber(lo or ''), tonumber(bytes or '')
  if not lo or not bytes then return damaged('the history of ' .. document .. ' is missing') end
elseif lo then
  return damaged('the head of ' .. document .. ' is missing')
else
  lo, bytes = 1, 0
end
local next = tonumber(number) + 1
local size = string.len(ARGV[6])
local record = table.concat({text(next), writeId, id, ARGV[5], text(size), text(millis()), ARGV[7]}, '\\n')
begin(ARGV[8])
redis.call('HSET', doc, 'm:' .. text(next), record, 'w:' .. writeId, text(next))
if ARGV[5] == '0' then redis.call('HSET', doc, 'v:' .. text(next), ARGV[6]) end
bytes = bytes + size
while lo < next do
  local oldest = redis.call('HSTRLEN', doc, 'v:' .. text(lo))
  if next - lo < tonumber(ARGV[9]) and bytes - oldest < tonumber(ARGV[10]) then break end
  local old = redis.call('HGET', doc, 'm:' .. text(lo))
  local oldId = old and string.match(old, '^%d+\\n([^\\n]+)\\n')
  redis.call('HDEL', doc, 'm:' .. text(lo), 'v:' .. text(lo), 'w:' .. (oldId or ''))
  bytes, lo = bytes - oldest, lo + 1
end
redis.call('HSET', doc, 'lo', text(lo), 'bytes', text(bytes))
redis.call('HSET', heads, document, record)
redis.call('SADD', outbox, document)
return {'committed', record}
`)

/** KEYS: meta, heads, doc. ARGV: document, number ('' for the head). Answers with record, value and lineage; nothing where there is none. */
const get = script(`
local bad = foreign({'hash', 'hash', 'hash'})
if bad then return bad end
local record, number
if ARGV[2] == '' then
  record = redis.call('HGET', KEYS[2], ARGV[1])
  number = record and string.match(record, '^(%d+)\\n')
  if record and not number then return damaged('the head of ' .. ARGV[1] .. ' cannot be read') end
else
  number = ARGV[2]
  record = redis.call('HGET', KEYS[3], 'm:' .. number)
end
if not record then return {} end
return {record, redis.call('HGET', KEYS[3], 'v:' .. number), redis.call('HGET', KEYS[1], 'lineage')}
`)

/** KEYS: meta, heads. ARGV: prefix. Answers with names and records in turn. */
const heads = script(`
local bad = foreign({'hash', 'hash'})
if bad then return bad end
local all = redis.call('HGETALL', KEYS[2])
if ARGV[1] == '' then return all end
local found = {}
for i = 1, #all, 2 do
  if string.sub(all[i], 1, string.len(ARGV[1])) == ARGV[1] then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  end
end
return found
`)

/** KEYS: meta, heads, doc. ARGV: document, before ('' for all), limit. Answers with records, the newest first. */
const history = script(`
local bad = foreign({'hash', 'hash', 'hash'})
if bad then return bad end
local head = redis.call('HGET', KEYS[2], ARGV[1])
if not head then return {} end
local number, lo = tonumber(string.match(head, '^(%d+)\\n') or ''), tonumber(redis.call('HGET', KEYS[3], 'lo') or '')
if not number or not lo then return damaged('the history of ' .. ARGV[1] .. ' is missing') end
if ARGV[2] ~= '' then number = math.min(number, tonumber(ARGV[2]) - 1) end
local found = {}
while number >= lo and #found < tonumber(ARGV[3]) do
  local record = redis.call('HGET', KEYS[3], 'm:' .. text(number))
  if not record then return damaged('revision ' .. text(number) .. ' of ' .. ARGV[1] .. ' is missing') end
  found[#found + 1] = record
  number = number - 1
end
return found
`)

/** KEYS: meta, heads, outbox. Answers with names and records in turn. */
const unannounced = script(`
local bad = foreign({'hash', 'hash', 'set'})
if bad then return bad end
local found = {}
for _, document in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  local record = redis.call('HGET', KEYS[2], document)
  if not record then return damaged('the head of ' .. document .. ' is missing') end
  found[#found + 1] = document
  found[#found + 1] = record
end
return found
`)

/** KEYS: meta, heads, outbox. ARGV: document, number, id. What is older than the head leaves the head unannounced. */
const announced = script(`
local bad = foreign({'hash', 'hash', 'set'})
if bad then return bad end
local head = redis.call('HGET', KEYS[2], ARGV[1])
local number, id = string.match(head or '', '^(%d+)\\n([^\\n]+)\\n')
if number == ARGV[2] and id == ARGV[3] then redis.call('SREM', KEYS[3], ARGV[1]) end
return 1
`)

/** KEYS: meta. ARGV: lineage, for a store that has none yet. */
const lineage = script(`
local bad = foreign({'hash'})
if bad then return bad end
local found = redis.call('HGET', KEYS[1], 'lineage')
if found then return found end
begin(ARGV[1])
return ARGV[1]
`)

/**
 * KEYS: meta, leases, lease. ARGV: name, holder, ttl, lineage, run, token that the holder has given back.
 * Answers with token and lineage; nothing when another has it.
 *
 * Another server (a promoted replica, a restarted one) may have lost the last leases, or let them lapse by another clock. Whoever
 * took them may still be acting: nobody new gets any before the longest of them must be over.
 */
const lease = script(`
local bad = foreign({'hash', 'zset', 'string'})
if bad then return bad end
local meta, leases, key = KEYS[1], KEYS[2], KEYS[3]
local name, holder, ttl, run = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]
local held = redis.call('GET', key)
local token, by
if held then
  token, by = string.match(held, '^(%d+)\\n(.*)$')
  if not token then return damaged('the lease ' .. name .. ' cannot be read') end
end
local now = millis()
local last, before = redis.call('HGET', meta, 'token'), redis.call('HGET', meta, 'run')
local quiet = tonumber(redis.call('HGET', meta, 'quiet') or '') or 0
local longest = math.max(tonumber(redis.call('HGET', meta, 'longest') or '') or 0, ttl)
begin(ARGV[4])
if run ~= '' and before ~= run then
  if before then quiet = now + longest end
  redis.call('HSET', meta, 'run', run, 'quiet', text(quiet))
end
local function answer()
  redis.call('HSET', meta, 'longest', text(longest))
  return {token, redis.call('HGET', meta, 'lineage')}
end
if held and by ~= holder then return {} end
if held and token ~= ARGV[6] then
  ttl = math.max(ttl, redis.call('PTTL', key))
  redis.call('PEXPIRE', key, text(ttl))
  redis.call('ZADD', leases, text(now + ttl), name)
  return answer()
end
if now < quiet then return {} end
local time = redis.call('TIME')
token = text(math.max((tonumber(last or '') or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2])))
redis.call('HSET', meta, 'token', token)
redis.call('SET', key, token .. '\\n' .. holder, 'PX', text(ttl))
redis.call('ZREMRANGEBYSCORE', leases, '-inf', text(now - 60000))
redis.call('ZADD', leases, text(now + ttl), name)
return answer()
`)

/** KEYS: meta, leases, lease. ARGV: name, holder, ttl, token. */
const renew = script(`
local bad = foreign({'hash', 'zset', 'string'})
if bad then return bad end
if redis.call('GET', KEYS[3]) ~= ARGV[4] .. '\\n' .. ARGV[2] then return 0 end
local ttl = math.max(tonumber(ARGV[3]), redis.call('PTTL', KEYS[3]))
redis.call('PEXPIRE', KEYS[3], text(ttl))
redis.call('ZADD', KEYS[2], text(millis() + ttl), ARGV[1])
return 1
`)

/** KEYS: meta, leases, lease. ARGV: name, holder, token. */
const release = script(`
local bad = foreign({'hash', 'zset', 'string'})
if bad then return bad end
if redis.call('GET', KEYS[3]) ~= ARGV[3] .. '\\n' .. ARGV[2] then return 0 end
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
`)

/** KEYS: meta, leases. ARGV: prefix of names, prefix of their keys. Answers with the lineage, then names and leases in turn. */
const leases = script(`
local bad = foreign({'hash', 'zset'})
if bad then return bad end
local found = {redis.call('HGET', KEYS[1], 'lineage') or ''}
for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if string.sub(name, 1, string.len(ARGV[1])) == ARGV[1] then
    local held = redis.call('GET', ARGV[2] .. name)
    if held then
      found[#found + 1] = name
      found[#found + 1] = held
    end
  end
end
return found
`)

export const scripts = {
  put,
  get,
  heads,
  history,
  unannounced,
  announced,
  lineage,
  lease,
  renew,
  release,
  leases,
} as const
