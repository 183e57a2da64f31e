/** The Redis drivers keep the same contract as those in memory, and answer as they do, step by step. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contract } from '../testing/contract.test-support.ts'
import { memorySubject } from '../testing/memory.test-support.ts'
import type { Subject } from '../testing/subject.test-support.ts'
import { openRedisState } from './open.ts'
import { type RedisServer, startRedis, until } from './testing/server.test-support.ts'
import { redisSubject } from './testing/subject.test-support.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.close())

contract('redis', () => redisSubject(server))

contract('redis, of a cluster', async () => {
  const cluster = await startRedis(['--cluster-enabled', 'yes'])
  await cluster.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  // A script of a cluster may touch no key it was not given: the test's clock stands in the script itself.
  const open = async (at: number) => {
    const state = await openRedisState({ url: cluster.url, serverTime: String(at) })
    await until(() => state.reachable(), 'a connection to the cluster')
    return state
  }
  let state = await open(0)
  return {
    rateLimits: { take: (...args) => state.rateLimits.take(...args) },
    budgets: {
      reserve: (...args) => state.budgets.reserve(...args),
      settle: (...args) => state.budgets.settle(...args),
    },
    sessions: { touch: (...args) => state.sessions.touch(...args) },
    references: {
      remember: (...args) => state.references.remember(...args),
      find: (...args) => state.references.find(...args),
    },
    at: async ms => {
      await state.close()
      state = await open(ms)
    },
    now: () => 4_102_444_800_000,
    close: async () => {
      await state.close()
      await cluster.close()
    },
  }
})

type Step =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'take'; readonly key: string; readonly capacity: number; readonly refill: number }
  | { readonly do: 'reserve'; readonly key: string; readonly amount: number; readonly cap: number }
  | { readonly do: 'settle'; readonly which: number; readonly used: number }
  | { readonly do: 'touch'; readonly owner: string; readonly id: string }
  | { readonly do: 'remember'; readonly owner: string; readonly id: string; readonly rank: number }
  | { readonly do: 'find'; readonly owner: string; readonly id: string }

const owner = fc.constantFrom('human:a', 'human:b', 'a:b', 'a')
const id = fc.constantFrom('s', 'b:s', 'x')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('wait' as const),
    ms: fc.oneof(fc.integer({ min: -2_000, max: 5_000 }), fc.constantFrom(59_999, 60_000, 3_600_001, -70_000)),
  }),
  fc.record({
    do: fc.constant('take' as const),
    key: owner,
    capacity: fc.integer({ min: 1, max: 5 }),
    refill: fc.constantFrom(0, 0.1, 1 / 3, 1, 7.5),
  }),
  fc.record({
    do: fc.constant('reserve' as const),
    key: owner,
    amount: fc.integer({ min: 0, max: 60 }),
    cap: fc.constantFrom(100, 150),
  }),
  fc.record({ do: fc.constant('settle' as const), which: fc.nat(30), used: fc.integer({ min: 0, max: 80 }) }),
  fc.record({ do: fc.constant('touch' as const), owner, id }),
  fc.record({ do: fc.constant('remember' as const), owner, id, rank: fc.nat(3) }),
  fc.record({ do: fc.constant('find' as const), owner, id }),
)

class Driven {
  readonly #s: Subject
  readonly #reservations: string[] = []
  #at = 1_000_000

  constructor(s: Subject) {
    this.#s = s
  }

  begin(): Promise<void> {
    return this.#s.at(this.#at)
  }

  /** What a caller can see of it; the name of a reservation is each driver's own. */
  async apply(step: Step): Promise<unknown> {
    const s = this.#s
    switch (step.do) {
      case 'wait':
        this.#at = Math.max(0, this.#at + step.ms)
        return s.at(this.#at)
      case 'take':
        return s.rateLimits.take(step.key, step.capacity, step.refill, s.now())
      case 'reserve': {
        const r = await s.budgets.reserve(step.key, step.amount, step.cap, 60_000, s.now())
        if (r.ok) this.#reservations.push(r.reservation)
        return r.ok ? { ok: true } : r
      }
      case 'settle':
        return s.budgets.settle(this.#reservations[step.which] ?? 'none', step.used)
      case 'touch':
        return s.sessions.touch(step.owner, step.id, s.now())
      case 'remember':
        return s.references.remember(step.owner, 'file', step.id, step.rank)
      case 'find':
        return s.references.find(step.owner, 'file', step.id)
    }
  }
}

describe('beside the memory driver', () => {
  it('answers the same to any sequence of calls and times', { timeout: 120_000 }, async () => {
    const redis = await redisSubject(server)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async steps => {
        await server.command('FLUSHALL')
        const [one, other] = [new Driven(memorySubject()), new Driven(redis)]
        await one.begin()
        await other.begin()
        for (const s of steps) expect(await other.apply(s)).toEqual(await one.apply(s))
      }),
      { numRuns: 300 },
    )
    await redis.close()
  })
})
