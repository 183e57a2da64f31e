/**
 * Rate-limit buckets in Redis.
 *
 * Guarantees: gates together never grant more than the bucket holds; the server's clock counts, not theirs. A bucket is
 * forgotten only when it is full again. Does not guarantee: a quota that never refills beyond 400 days without a
 * request, or anything the server itself has lost.
 */
import type { RateLimitState } from '../../core/state.ts'
import { keyName } from './keys.ts'
import type { RedisLink } from './link.ts'
import { asList, asNumber, run, type Script, SERVER_TIME, script } from './script.ts'

/** 400 days. */
const LONGEST_MS = 34_560_000_000
/** Time to live is counted by another clock of the server than `TIME`: the least of it is more than any step of that one. */
const LEAST_MS = 60_000

const TAKE = `
local capacity, refill = tonumber(ARGV[1]), tonumber(ARGV[2])
local tokens = capacity
local stored = redis.call('GET', KEYS[1])
if stored then
  local left, at = string.match(stored, '^1 (%S+) (%S+)$')
  left, at = number(left), number(at)
  if not (left and at) then return corrupt() end
  tokens = math.min(capacity, left + (math.max(0, now - at) * refill) / 1000)
end
local ok = 0
if tokens >= 1 then
  tokens = tokens - 1
  ok = 1
end
local ttl = ${LONGEST_MS}
if refill > 0 then ttl = math.min(ttl, math.max(${LEAST_MS}, math.ceil((capacity - tokens) / refill * 1000))) end
redis.call('SET', KEYS[1], '1 ' .. text(tokens) .. ' ' .. text(now), 'PX', string.format('%.0f', ttl))
return { ok, text(tokens) }
`

export class RedisRateLimitState implements RateLimitState {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #take: Script

  constructor(link: RedisLink, prefix: string, clock = SERVER_TIME) {
    this.#link = link
    this.#prefix = prefix
    this.#take = script(TAKE, clock)
  }

  async take(
    key: string,
    capacity: number,
    refillPerSecond: number,
  ): Promise<{ readonly ok: boolean; readonly remaining: number; readonly retryAfterS?: number }> {
    if (!(capacity >= 0 && Number.isFinite(capacity) && refillPerSecond >= 0 && Number.isFinite(refillPerSecond)))
      throw new RangeError('take: capacity and refill must be numbers >= 0')
    const name = keyName(this.#prefix, 'ratelimit', key)
    const [ok, left] = asList(await run(this.#link, this.#take, name, [capacity, refillPerSecond]))
    const tokens = asNumber(left)
    if (asNumber(ok) === 1) return { ok: true, remaining: Math.floor(tokens) }
    if (refillPerSecond === 0) return { ok: false, remaining: 0 }
    return { ok: false, remaining: 0, retryAfterS: (1 - tokens) / refillPerSecond }
  }
}
