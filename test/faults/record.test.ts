/** What is found when everything has left: a record check that fails costs the caller nothing, and no other check its say. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Check } from '../../src/core/check.ts'
import { because } from '../../src/core/verdict.ts'
import { chat, demoChecks, startTestGate, type TestGate } from '../support/gate.ts'

const recording = (name: string, record: NonNullable<Check['record']>): Check => ({
  name,
  priority: 0,
  timeLimitMs: 20,
  describe: () => ({ name }),
  record,
})

describe('record checks', () => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await startTestGate({
      checks: [
        ...demoChecks(),
        recording('first', () => [because('custom:first', 'seen')]),
        recording('exits', () => {
          throw Object.assign(new Error('exit'), { code: 'ERR_WORKER_OUT_OF_MEMORY' })
        }),
        recording('aborts', () => Promise.reject(new DOMException('aborted', 'AbortError'))),
        recording('hangs', () => new Promise<never>(() => undefined)),
        recording('last', () => [because('custom:last', 'seen')]),
      ],
    })
  })
  afterAll(() => gate.close())

  for (const stream of [false, true])
    it(`that fail leave the answer whole and their siblings heard, ${stream ? 'streamed' : 'unary'}`, async () => {
      const before = gate.rows().length
      const body = { model: 'demo', stream, messages: [{ role: 'user', content: 'hi' }] }
      const answer = await chat(gate, body)
      expect(answer.status).toBe(200)
      expect(await answer.text()).not.toContain('signet_abort')
      const flags = () =>
        gate
          .rows()
          .slice(before)
          .filter(r => r['check_name'] === 'pipeline.record')
          .map(r => (r['metadata'] as Record<string, unknown>)['_check_name'])
      await expect.poll(flags).toEqual(['first', 'exits', 'aborts', 'hangs', 'last'])
    })
})
