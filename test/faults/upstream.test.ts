/** Every way in which the demo model can lie × unary and streamed: a documented answer, a row, none of its bytes, bounded memory. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { FAULTS, type FaultKind } from '../../src/upstream/demo/scenario.ts'
import { chat, scenario, startTestGate, type TestGate } from '../support/gate.ts'
import { RowWatch, SettleProbe } from './support.ts'

vi.setConfig({ testTimeout: 20_000 })

/** A status alone: refused before anything was sent. A token with 200: the stream had begun and ends with its error frame. `ok`: no fault here. */
type Expected = readonly [status: number, token: string] | 'ok'

const TABLE: Readonly<Record<FaultKind, readonly [unary: Expected, stream: Expected]>> = {
  html: [
    [502, 'upstream_content_type_invalid'],
    [502, 'upstream_content_type_invalid'],
  ],
  wrong_type: [
    [502, 'upstream_content_type_invalid'],
    [502, 'upstream_content_type_invalid'],
  ],
  no_type: ['ok', 'ok'],
  truncated_json: [
    [502, 'upstream_decode_error'],
    [502, 'upstream_decode_error'],
  ],
  die: [
    [502, 'upstream_truncated'],
    [200, 'upstream_truncated'],
  ],
  die_at_once: [
    [502, 'upstream_unreachable'],
    [502, 'upstream_unreachable'],
  ],
  redirect: [
    [502, 'upstream_redirect'],
    [502, 'upstream_redirect'],
  ],
  huge: [[502, 'upstream_too_large'], 'ok'],
  unterminated: [
    [502, 'upstream_sse_unterminated'],
    [502, 'upstream_sse_unterminated'],
  ],
  slow_headers: [
    [504, 'upstream_timeout'],
    [504, 'upstream_timeout'],
  ],
  hang: [
    [504, 'upstream_timeout'],
    [504, 'upstream_timeout'],
  ],
  hang_mid_stream: [
    [504, 'upstream_timeout'],
    [200, 'upstream_timeout'],
  ],
  status: ['ok', 'ok'],
  u2028: ['ok', 'ok'],
  crlf: ['ok', 'ok'],
  cr: ['ok', 'ok'],
  no_done: ['ok', 'ok'],
  malformed_event: [
    [502, 'upstream_decode_error'],
    [200, 'upstream_sse_malformed'],
  ],
  malformed_tail: [
    [502, 'upstream_decode_error'],
    [200, 'upstream_truncated'],
  ],
  gzip: [
    [502, 'upstream_protocol_violation'],
    [502, 'upstream_protocol_violation'],
  ],
  empty: [
    [502, 'upstream_decode_error'],
    [502, 'upstream_truncated'],
  ],
  array: [
    [502, 'upstream_protocol_violation'],
    [502, 'upstream_protocol_violation'],
  ],
  not_utf8: [
    [502, 'upstream_decode_error'],
    [200, 'upstream_protocol_violation'],
  ],
  byte_by_byte: ['ok', 'ok'],
}

describe.each([
  ['verbose', false, false],
  ['strict', true, false],
  ['shadow', false, true],
] as const)('upstream lies, %s', (_name, strict, shadow) => {
  let gate: TestGate
  const watch = new RowWatch()
  const probe = new SettleProbe()
  beforeAll(async () => {
    gate = await startTestGate({
      checks: [probe],
      wrapAudit: watch.wrap,
      requestTimeoutMs: 150,
      idleTimeoutMs: 150,
      settings: { strict },
      shadow,
    })
  })
  afterAll(async () => {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
  })

  for (const kind of FAULTS)
    for (const [mode, expected] of [
      ['unary', TABLE[kind][0]],
      ['streamed', TABLE[kind][1]],
    ] as const)
      it(`${kind}, ${mode}`, async () => {
        const stream = mode === 'streamed'
        const bytes = kind === 'huge' ? 40 * 1024 * 1024 : 3 * 1024 * 1024
        const res = await chat(
          gate,
          scenario({ kind, bytes, delayMs: kind === 'slow_headers' ? 3_000 : 0 }, { stream }),
        )
        const text = await res.text()
        const id = res.headers.get('x-signet-correlation-id')
        expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
        await probe.all()
        const [outcome, ...more] = probe.settled.get(id ?? '') ?? []
        expect(more).toEqual([])
        expect(outcome?.forwarded).toBe(true)
        // Nothing upstream said in the wrong place gets through: its markup, its half objects, its redirect's password.
        expect(text).not.toMatch(/NOFORN|doctype|user:pass|\[1,2,3\]/)
        const rows = watch.of(id)
        const last = rows.at(-1)

        if (expected === 'ok') {
          expect(res.status).toBe(kind === 'status' ? 429 : 200)
          expect(outcome?.kind).toBe('completed')
          expect(last).toMatchObject({
            decision: 'allow',
            checkName: kind === 'status' ? 'pipeline.upstream' : 'pipeline.complete',
          })
          expect(text).not.toMatch(/signet_abort/)
          return
        }
        const [status, token] = expected
        expect([res.status, text.slice(0, 400)]).toEqual([status, text.slice(0, 400)])
        expect(outcome).toMatchObject({ kind: 'faulted', outputComplete: false })
        expect(last).toMatchObject({
          decision: 'block',
          checkName: 'pipeline.upstream',
          metadata: { _code: token, _refusal_kind: token, _pipeline_upstream_failure: true, _outcome: 'faulted' },
        })
        expect(rows.filter(r => r.decision === 'block')).toHaveLength(1)
        if (status === 200) {
          // How far it came: what had left by then stands in the row.
          expect(last?.metadata).toMatchObject({
            _stage: 'upstream',
            upstream_status: 200,
            response_bytes: expect.any(Number),
            output_chars: expect.any(Number),
          })
          expect(last?.metadata['response_bytes']).toBeGreaterThan(0)
          // A transport token survives strict mode: retry logic reads it.
          expect(text).toMatch(
            new RegExp(
              `"signet_abort":true,"reason":"${token}"[^\\n]*\\n\\ndata: \\{"error":[^\\n]*\\n\\ndata: \\[DONE\\]\\n\\n$`,
            ),
          )
          return
        }
        const answer = JSON.parse(text) as Record<string, unknown>
        if (token === 'upstream_redirect') {
          expect(answer['signet']).toMatchObject({
            upstream_status: 302,
            upstream_location_host: 'elsewhere.example:8443',
          })
        } else if (strict) {
          expect(answer).toEqual({ error: 'upstream forward failed', correlation_id: id })
        } else {
          expect(answer).toMatchObject({ error: 'upstream forward failed', correlation_id: id, refusal_kind: token })
        }
        expect(res.headers.get('x-signet-receipt')).not.toBeNull()
        // A 502 or 504 may be worth another try; nothing here tells an SDK that it is not.
        expect(res.headers.get('x-should-retry')).toBeNull()
      })

  it.each([
    ['a port that nobody listens on', 'http://127.0.0.1:1/v1'],
    ['a name that does not resolve', 'http://nowhere.invalid/v1'],
    ['TLS spoken to a clear-text server', undefined],
  ])('cannot be reached at %s, unary and streamed: 502 and a row', async (_what, url) => {
    const rows = new RowWatch()
    const clear = gate.url.replace('http:', 'https:')
    const lost = await startTestGate({
      checks: [new SettleProbe()],
      upstreamUrl: url ?? clear,
      wrapAudit: rows.wrap,
      settings: { strict },
    })
    for (const stream of [false, true]) {
      const res = await chat(lost, { model: 'm', stream, messages: [{ role: 'user', content: 'hi' }] })
      const id = res.headers.get('x-signet-correlation-id')
      expect([res.status, await res.json()]).toMatchObject([
        502,
        { error: 'upstream forward failed', correlation_id: id },
      ])
      expect(rows.of(id).at(-1)).toMatchObject({
        decision: 'block',
        checkName: 'pipeline.upstream',
        metadata: { _code: 'upstream_unreachable', _outcome: 'faulted' },
      })
    }
    await lost.close()
  })

  it('relays upstream’s own refusals with its rate limits, recorded as what they are', async () => {
    for (const status of [400, 401, 403, 404, 409, 422, 429, 500, 503])
      for (const stream of [false, true]) {
        const res = await chat(gate, scenario({ kind: 'status', status }, { stream }))
        expect(res.status).toBe(status)
        expect(await res.json()).toMatchObject({ error: { type: 'demo_error' } })
        expect(Object.fromEntries(res.headers)).toMatchObject({
          'retry-after': '7',
          'x-ratelimit-limit-requests': '60',
          'x-ratelimit-remaining-requests': '0',
          'x-request-id': 'req_demo',
          'x-signet-upstream-status': String(status),
        })
        expect(res.headers.get('set-cookie')).toBeNull()
        expect(res.headers.get('x-should-retry')).toBeNull()
        expect(watch.of(res.headers.get('x-signet-correlation-id')).at(-1)).toMatchObject({
          checkName: 'pipeline.upstream',
          reason: `upstream answered ${status}; its answer was relayed`,
          metadata: { upstream_status: status },
        })
      }
  })

  it('holds no more of an endless answer than its bounds', async () => {
    const before = process.memoryUsage()
    for (const stream of [false, true]) {
      const res = await chat(
        gate,
        scenario({ kind: stream ? 'unterminated' : 'huge', bytes: 96 * 1024 * 1024 }, { stream }),
      )
      expect(res.status).toBe(502)
      await res.text()
    }
    const after = process.memoryUsage()
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(80 * 1024 * 1024)
    expect(gate.running.gate.load.heldBytes).toBe(0)
  })
})
