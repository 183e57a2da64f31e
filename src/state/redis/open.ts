/**
 * State that several gates share, in Redis 6.2 or later (or Valkey).
 *
 * Opening it does not wait for the server and does not fail when it is down: until it can be asked every call is
 * rejected at once, and it recovers by itself. Held answers are not in it: they are sealed with a key of this process.
 */
import type { Clock, Random } from '../../core/clock.ts'
import type { SharedState } from '../../core/state.ts'
import { systemClock, systemRandom } from '../system.ts'
import { RedisBudgetState } from './budget.ts'
import { connectTo, loadClient, type RedisServer } from './client.ts'
import { RedisLink } from './link.ts'
import { RedisRateLimitState } from './rate-limit.ts'
import { RedisReferenceState } from './references.ts'
import { run, SERVER_TIME, script } from './script.ts'
import { RedisSessionState } from './sessions.ts'

export interface RedisStateOptions extends RedisServer {
  /** Before every key. Default `signet:`. */
  readonly keyPrefix?: string
  /** For each command. Default 1,000. */
  readonly timeoutMs?: number
  /** Told when the server cannot be asked any longer, and when it can be again. */
  readonly onState?: (ok: boolean, reason: string) => void
  /** Told once, when the server may throw keys away by itself; `policy` is its `maxmemory-policy`. */
  readonly onEviction?: (policy: string) => void
  readonly clock?: Pick<Clock, 'timer'>
  readonly random?: Pick<Random, 'bytes'>
  /** A Lua expression for the milliseconds since the epoch. Default: the server's `TIME`. */
  readonly serverTime?: string
}

/** Throws `RedisMissing` when the package `redis` is not installed. */
export async function openRedisState(options: RedisStateOptions): Promise<SharedState> {
  const redis = await loadClient()
  const { keyPrefix: prefix = 'signet:', serverTime = SERVER_TIME, onState, onEviction } = options
  const link = new RedisLink({
    connect: onBroken => connectTo(redis, options, onBroken),
    timeoutMs: options.timeoutMs ?? 1_000,
    clock: options.clock ?? systemClock,
    ...(onState === undefined ? {} : { onState }),
  })
  if (onEviction !== undefined) tellEviction(link, onEviction)
  const probe = script(PROBE, serverTime)
  return {
    rateLimits: new RedisRateLimitState(link, prefix, serverTime),
    budgets: new RedisBudgetState(link, prefix, options.random ?? systemRandom(), serverTime),
    sessions: new RedisSessionState(link, prefix, {}, serverTime),
    references: new RedisReferenceState(link, prefix, {}, serverTime),
    reachable: () =>
      run(link, probe, `${prefix}probe`, []).then(
        () => true,
        () => false,
      ),
    close: () => link.close(),
  }
}

/** As the others do it: a server that answers PING may still be a replica, full, or refuse scripts to this user. */
const PROBE = `
redis.call('SET', KEYS[1], text(now), 'PX', '60000')
return 1
`

/**
 * A bucket or ledger that the server evicts is a limit that begins afresh. Told once; a server that may not be asked
 * says nothing.
 */
function tellEviction(link: RedisLink, tell: (policy: string) => void): void {
  let told = false
  link.onReady(() => {
    if (told) return
    link.send(['INFO', 'memory']).then(
      info => {
        const policy = /^maxmemory_policy:(\S+)/m.exec(String(info))?.[1]
        if (told || policy === undefined || policy === 'noeviction') return
        told = true
        tell(policy)
      },
      () => undefined,
    )
  })
}
