/**
 * Which owner got which of upstream's ids through a gate, at which level: one hash per owner, a field for each id.
 *
 * Guarantees: an id means nothing to another owner; the level remembered for an id never goes down. At most 10,000 of
 * one owner, for 30 days after the last use; forgetting refuses the request that names it, and never allows one.
 */
import type { ReferenceState } from '../../core/state.ts'
import { digest, keyName } from './keys.ts'
import type { RedisLink } from './link.ts'
import { asNumber, run, type Script, SERVER_TIME, script } from './script.ts'
import { MAKE_ROOM } from './sessions.ts'

export interface RedisReferenceOptions {
  /** Most ids of one owner. Default 10,000. */
  readonly maxPerOwner?: number
  /** An id unused for longer is forgotten, in milliseconds. Default 30 days. */
  readonly ttlMs?: number
}

const READ = `
local ttl = tonumber(ARGV[2])
local rank
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local r, last = string.match(stored, '^1 (%S+) (%S+)$')
  r, last = number(r), number(last)
  if not (r and last) then return corrupt() end
  if now - last <= ttl then rank = r end
end
local function keep(n)
  redis.call('HSET', KEYS[1], ARGV[1], '1 ' .. text(n) .. ' ' .. text(now))
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
`

const REMEMBER = `${MAKE_ROOM}${READ}
if not stored then make_room(tonumber(ARGV[4])) end
keep(math.max(rank or 0, tonumber(ARGV[3])))
return 1
`

const FIND = `${READ}
if rank then
  keep(rank)
  return text(rank)
end
if stored then redis.call('HDEL', KEYS[1], ARGV[1]) end
return false
`

export class RedisReferenceState implements ReferenceState {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #most: number
  readonly #ttlMs: number
  readonly #remember: Script
  readonly #find: Script

  constructor(link: RedisLink, prefix: string, options: RedisReferenceOptions = {}, clock = SERVER_TIME) {
    this.#link = link
    this.#prefix = prefix
    this.#most = options.maxPerOwner ?? 10_000
    this.#ttlMs = options.ttlMs ?? 30 * 86_400_000
    this.#remember = script(REMEMBER, clock)
    this.#find = script(FIND, clock)
  }

  async remember(owner: string, kind: string, id: string, rank: number): Promise<void> {
    await run(this.#link, this.#remember, this.#name(owner), [digest(kind, id), this.#ttlMs, rank, this.#most])
  }

  async find(owner: string, kind: string, id: string): Promise<number | undefined> {
    const rank = await run(this.#link, this.#find, this.#name(owner), [digest(kind, id), this.#ttlMs])
    return rank === null ? undefined : asNumber(rank)
  }

  #name(owner: string): string {
    return keyName(this.#prefix, 'reference', owner)
  }
}
