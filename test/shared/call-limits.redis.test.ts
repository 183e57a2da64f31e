/** Call limits of gates that share a real Redis: what one has counted the other knows. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CallLimitsCheck, type CallLimitsOptions } from '../../src/checks/call-limits.ts'
import { callOf, exchangeOf, TestContext } from '../../src/checks/testing.ts'
import type { SharedState } from '../../src/core/state.ts'
import { openRedisState } from '../../src/state/redis/open.ts'
import { type RedisServer, startRedis, until } from '../../src/state/redis/testing/server.test-support.ts'

let server: RedisServer
let states: readonly SharedState[] = []
beforeAll(async () => {
  server = await startRedis()
  states = await Promise.all([0, 1].map(() => openRedisState({ url: server.url })))
  for (const state of states) await until(() => state.reachable(), 'a connection to Redis')
})
afterAll(async () => {
  for (const state of states) await state.close()
  await server.close()
})
beforeEach(() => server.command('FLUSHALL'))

function gates(tools: CallLimitsOptions['tools'] & object) {
  const checks = states.map(state => {
    const check = new CallLimitsCheck({ tools })
    check.shareState(state)
    return check
  })
  return async (gate: number, n: number): Promise<string> => {
    const check = checks[gate % checks.length] ?? new CallLimitsCheck({ tools })
    const call = callOf('refund', { argumentsText: `{"n":${n}}`, arguments: { n } })
    const verdict = await check.commit(call, exchangeOf(), new TestContext(check))
    return verdict.kind === 'allow' ? 'allow' : verdict.because.code
  }
}

describe('over gates', () => {
  it('of the same call everywhere at once, one is let through; the others cost no rate', async () => {
    const ask = gates({
      refund: { rate: { calls: 3, perSeconds: 31_622_400 }, duplicates: { withinSeconds: 31_622_400 } },
    })
    // One after the other, so that none meets what another holds for a moment.
    const said: string[] = []
    for (let gate = 0; gate < 6; gate += 1) said.push(await ask(gate, 1))
    expect(said).toEqual(['allow', ...Array.from({ length: 5 }, () => 'call_duplicate')])
    expect([await ask(1, 2), await ask(0, 3), await ask(1, 4)]).toEqual(['allow', 'allow', 'call_rate'])
  })

  it('no more than the rate are let through, however many ask at once', async () => {
    const ask = gates({
      '*': { rate: { calls: 5, perSeconds: 31_622_400 }, loop: { calls: 50, perSeconds: 31_622_400 } },
    })
    const said = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(i, i)))
    expect(said.filter(one => one === 'allow')).toHaveLength(5)
    expect(said.filter(one => one === 'call_rate')).toHaveLength(35)
  })

  it('of one call asked for by all at once, one is let through', async () => {
    const ask = gates({ refund: { duplicates: { withinSeconds: 600 } } })
    const said = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i, 1)))
    expect(said.filter(one => one === 'allow')).toHaveLength(1)
  })
})
