/**
 * Sessions in Redis: one hash per owner, a field for each of its sessions.
 *
 * Guarantees: a session is its owner's alone, for the owner is the key: another owner's session of the same id is
 * another session. At most 1,000 of one owner; then the oldest of eight picked at random makes room. They grant
 * nothing, so forgetting one is safe.
 */
import type { Session, SessionState } from '../../core/state.ts'
import { digest, keyName } from './keys.ts'
import type { RedisLink } from './link.ts'
import { asList, asNumber, run, type Script, SERVER_TIME, script } from './script.ts'

export interface RedisSessionOptions {
  /** Most sessions of one owner. Default 1,000. */
  readonly maxPerOwner?: number
  /** A session unused for longer begins afresh, in milliseconds. Default one hour. */
  readonly ttlMs?: number
}

/** `last` stands at the end of every value of a field that may have to make room. */
export const MAKE_ROOM = `
local function make_room(most)
  if redis.call('HLEN', KEYS[1]) < most then return end
  local some = redis.call('HRANDFIELD', KEYS[1], 8, 'WITHVALUES')
  local oldest, at
  for i = 1, #some, 2 do
    local last = number(string.match(some[i + 1], ' (%S+)$')) or 0
    if not at or last < at then oldest, at = some[i], last end
  end
  redis.call('HDEL', KEYS[1], oldest)
end
`

const TOUCH = `${MAKE_ROOM}
local ttl = tonumber(ARGV[2])
local created, count = now, 0
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local c, n, last = string.match(stored, '^1 (%S+) (%S+) (%S+)$')
  c, n, last = number(c), number(n), number(last)
  if not (c and n and last) then return corrupt() end
  if now - last <= ttl then created, count = c, n end
else
  make_room(tonumber(ARGV[3]))
end
redis.call('HSET', KEYS[1], ARGV[1], '1 ' .. text(created) .. ' ' .. text(count + 1) .. ' ' .. text(now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { text(created), text(now), text(count + 1) }
`

export class RedisSessionState implements SessionState {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #most: number
  readonly #ttlMs: number
  readonly #touch: Script

  constructor(link: RedisLink, prefix: string, options: RedisSessionOptions = {}, clock = SERVER_TIME) {
    this.#link = link
    this.#prefix = prefix
    this.#most = options.maxPerOwner ?? 1_000
    this.#ttlMs = options.ttlMs ?? 3_600_000
    this.#touch = script(TOUCH, clock)
  }

  async touch(owner: string, id: string): Promise<Session> {
    const key = keyName(this.#prefix, 'session', owner)
    const answer = asList(await run(this.#link, this.#touch, key, [digest(id), this.#ttlMs, this.#most]))
    const [createdAtMs, lastSeenAtMs, requestCount] = [asNumber(answer[0]), asNumber(answer[1]), asNumber(answer[2])]
    return Object.freeze({ id, owner, createdAtMs, lastSeenAtMs, requestCount })
  }
}
