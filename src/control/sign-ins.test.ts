/** Sign-ins that were begun: for ten minutes, once, and never more than a thousand. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Clock } from '../core/clock.ts'
import { systemRandom } from '../state/system.ts'
import type { Flow } from './oidc-client.ts'
import { SignIns } from './sign-ins.ts'

const flow = (n: number): Flow => ({ state: `s${n}`, nonce: `n${n}`, verifier: `v${n}`, redirectUri: 'http://x/' })
let now = 1_800_000_000_000
const clock: Clock = { now: () => now, nowNs: () => BigInt(now) * 1_000_000n, timer: () => () => undefined }

it('whatever is begun, waited for and taken: each is given once, to its own secret, within ten minutes', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('begin' as const) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 400_000 }) }),
    fc.record({ kind: fc.constant('take' as const), which: fc.nat(30) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const all = new SignIns(clock, systemRandom())
      const begun: { readonly binding: string; readonly at: number; taken: boolean }[] = []
      for (const s of steps) {
        if (s.kind === 'begin') begun.push({ binding: all.begin(flow(begun.length)).binding, at: now, taken: false })
        else if (s.kind === 'wait') now += s.ms
        else {
          const one = begun[s.which]
          if (one === undefined) continue
          const good = !one.taken && now - one.at < 600_000
          expect(all.take(one.binding)).toEqual(good ? flow(s.which) : undefined)
          one.taken = true
        }
      }
      expect(new Set(begun.map(b => b.binding)).size).toBe(begun.length)
    }),
  )
})

it('the oldest of more than a thousand makes room', () => {
  const all = new SignIns(clock, systemRandom())
  const bindings = Array.from({ length: 1001 }, (_, n) => all.begin(flow(n)).binding)
  expect(bindings.map(b => all.take(b) !== undefined)).toEqual([false, ...Array<boolean>(1000).fill(true)])
})
