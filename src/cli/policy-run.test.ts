import { describe, expect, it } from 'vitest'
import { CallLimitsCheck } from '../checks/call-limits.ts'
import { definePipeline } from '../config/pipeline.ts'
import { runPolicyTable } from './policy-run.ts'

describe('a policy table', () => {
  it('says the same at any time of the day', async () => {
    const config = definePipeline({
      checks: [new CallLimitsCheck({ tools: { pay: { rate: { calls: 3, perSeconds: 3600 } } } })],
    })
    const table = { cases: [{ tool: 'pay', times: 4, everySeconds: 60, expect: 'block', rule: 'rate' }] } as const
    // The first, some, and the last seconds of an hour.
    for (const nowMs of [1_700_002_800_000, 1_700_000_000_000, 1_700_002_799_000]) {
      const clock = { now: () => nowMs, nowNs: () => BigInt(nowMs) * 1_000_000n, timer: () => () => undefined }
      expect(await runPolicyTable(config, table, clock, [])).toMatchObject([{ ok: true, got: { code: 'call_rate' } }])
    }
  })
})
