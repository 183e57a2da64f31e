/** Shadow decides and records, and enforces no policy verdict; what is not policy it enforces as ever. Its headers are clean. */
import { describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import type { Check } from '../../src/core/check.ts'
import { chat, demoChecks, scenario, startTestGate } from '../support/gate.ts'
import { failingAudit } from './support.ts'

const NASTY = 'line one\r\nX-Injected: 1\u2028 caf\u00e9 \u{1f600} \0 \x7f "quoted"'
const FINE = { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }

function sayer(kind: 'block' | 'escalate'): Check {
  const verdict = { kind, because: { code: 'custom:nasty', reason: NASTY } } as const
  return { name: 'sayer', priority: 50, timeLimitMs: 100, describe: () => ({}), admit: () => verdict }
}

describe('shadow', () => {
  for (const kind of ['block', 'escalate'] as const)
    for (const strict of [false, true])
      for (const stream of [false, true])
        it(`lets a ${kind} at admission pass, and says so in clean headers, strict ${strict}, stream ${stream}`, async () => {
          const gate = await startTestGate({
            checks: [new OwnerResolutionCheck(), sayer(kind)],
            shadow: true,
            settings: { strict },
          })
          const res = await chat(gate, { ...FINE, stream })
          expect(res.status).toBe(200)
          const text = await res.text()
          expect(text).not.toMatch(/signet_abort/)
          const h = res.headers
          expect(h.get('x-signet-shadow-decision')).toBe(kind)
          expect(h.get('x-signet-shadow-stage')).toBe('admission')
          expect(h.get('x-signet-shadow-check')).toBe(strict ? null : 'sayer')
          expect(h.get('x-injected')).toBeNull()
          for (const [, value] of h) expect(value).toMatch(/^[\x20-\x7e]*$/)
          if (strict) expect(h.get('x-signet-shadow-reason')).toBe('refused')
          else
            expect(h.get('x-signet-shadow-reason')).toContain('line one\\u000d\\u000aX-Injected: 1\\u2028 caf\\u00e9')
          expect(h.get('x-signet-shadow-inspection-active')).toBe(stream ? '1' : null)
          const rows = gate.rows()
          expect(rows).toContainEqual(
            expect.objectContaining({
              decision: kind,
              reason: NASTY,
              metadata: expect.objectContaining({ shadow: true, _check_name: 'sayer' }),
            }),
          )
          expect(rows.at(-1)).toMatchObject({ check_name: 'pipeline.complete', decision: 'allow' })
          expect((await gate.verify()).ok).toBe(true)
          await gate.close()
        })

  it('says in a unary answer what inspection and commitment would have refused', async () => {
    const gate = await startTestGate({ checks: demoChecks(), shadow: true })
    const leak = await chat(gate, scenario({ kind: 'place', place: 'content', text: 'it is SECRET//NOFORN here' }))
    expect(await leak.text()).toContain('SECRET//NOFORN')
    expect([leak.headers.get('x-signet-shadow-decision'), leak.headers.get('x-signet-shadow-stage')]).toEqual([
      'block',
      'inspection',
    ])
    const streamed = await chat(
      gate,
      scenario({ kind: 'place', place: 'content', text: 'it is SECRET//NOFORN here' }, { stream: true }),
    )
    expect(streamed.headers.get('x-signet-shadow-inspection-active')).toBe('1')
    const said = await streamed.text()
    expect(said).not.toContain('signet_abort')
    expect(said).toContain('[DONE]')
    const call = await chat(gate, scenario({ kind: 'call', calls: [{ name: 'format_disk', arguments: '{}' }] }))
    expect(await call.text()).toContain('format_disk')
    expect([call.headers.get('x-signet-shadow-decision'), call.headers.get('x-signet-shadow-stage')]).toEqual([
      'block',
      'commitment',
    ])
    await gate.close()
  })

  it('enforces what is not policy: parsing, bounds, upstream, the log', async () => {
    const gate = await startTestGate({
      checks: demoChecks(),
      shadow: true,
      wrapAudit: a => failingAudit(a, r => r.reason === 'never', 'sync'),
    })
    for (const [body, status] of [
      ['[]', 400],
      ['{"model":"a","model":"b"}', 400],
      ['x'.repeat(4 * 1024 * 1024 + 1), 413],
    ] as const)
      expect((await chat(gate, body)).status).toBe(status)
    expect((await chat(gate, FINE, { headers: { 'x-signet-session': 'a b' } })).status).toBe(400)
    expect((await chat(gate, FINE, { headers: { origin: 'https://evil.example' } })).status).toBe(403)
    expect((await chat(gate, scenario({ kind: 'html' }))).status).toBe(502)
    await gate.close()
    const broken = await startTestGate({
      checks: demoChecks(),
      shadow: true,
      wrapAudit: a => failingAudit(a, () => true, 'append'),
    })
    expect((await chat(broken, FINE)).status).toBe(503)
    await broken.close()
  })

  it('cannot be asked for by a request', async () => {
    const gate = await startTestGate({ checks: demoChecks() })
    const res = await chat(
      gate,
      { ...FINE, shadow: true, metadata: { shadow: 'true' } },
      { owner: null, headers: { 'x-signet-shadow': '1', 'x-signet-shadow-decision': 'allow' } },
    )
    expect(res.status).toBe(403)
    expect(res.headers.get('x-signet-shadow-decision')).toBeNull()
    await gate.close()
  })
})
