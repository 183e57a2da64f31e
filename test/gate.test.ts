/** The gate as a caller meets it: real listener, real log, the demo model behind. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyReceipt, verifyStreamReceipt } from '../src/receipt/index.ts'
import { chat, ISSUER, scenario, startTestGate, type TestGate } from './support/gate.ts'

const MARKER = 'SECRET//NOFORN'
const jwksOf = async (gate: TestGate) => JSON.parse(await (await fetch(`${gate.url}/.well-known/jwks.json`)).text())

describe('gate', () => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await startTestGate()
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    expect(report.ok).toBe(true)
  })

  it('answers a plain request with upstream bytes, a receipt and its ids', async () => {
    const res = await chat(gate, { model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] })
    const body = new Uint8Array(await res.arrayBuffer())
    expect(res.status).toBe(200)
    expect(res.headers.get('x-signet-correlation-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
    const receipt = await verifyReceipt(res.headers.get('x-signet-receipt') ?? '', {
      keys: await jwksOf(gate),
      issuer: ISSUER,
      responseBytes: body,
    })
    expect(receipt.claims.decision).toBe('allow')
    expect(receipt.claims.exchange).toBe(res.headers.get('x-signet-correlation-id'))
  })

  it('refuses a request without an owner, from loopback too, with the exact fields and a receipt', async () => {
    const res = await chat(gate, { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }, { owner: null })
    const body = new Uint8Array(await res.arrayBuffer())
    expect(res.status).toBe(403)
    expect(JSON.parse(Buffer.from(body).toString())).toEqual({
      error: 'signet refused this request',
      reason: 'no commit owner could be resolved',
      check: 'owner_resolution',
      stage: 'admission',
      correlation_id: res.headers.get('x-signet-correlation-id'),
    })
    expect(res.headers.get('x-should-retry')).toBe('false')
    const receipt = await verifyReceipt(res.headers.get('x-signet-receipt') ?? '', {
      keys: await jwksOf(gate),
      issuer: ISSUER,
      responseBytes: body,
    })
    expect(receipt.claims.decision).toBe('block')
  })

  it('streams an answer, with an admission receipt first and a final one before the end', async () => {
    const res = await chat(gate, { model: 'demo', stream: true, messages: [{ role: 'user', content: 'Say hello' }] })
    const body = new Uint8Array(await res.arrayBuffer())
    expect(res.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const keys = await jwksOf(gate)
    const first = await verifyReceipt(res.headers.get('x-signet-receipt') ?? '', { keys, issuer: ISSUER })
    expect([first.claims.stage, first.claims.final]).toEqual(['admission', false])
    const last = await verifyStreamReceipt(body, { keys, issuer: ISSUER })
    expect([last.claims.stage, last.claims.final]).toEqual(['complete', true])
    expect(Buffer.from(body).toString()).toMatch(/\n\ndata: \[DONE\]\n\n$/)
  })

  for (const stream of [false, true]) {
    for (const place of [
      'content',
      'reasoning',
      'refusal',
      'tool_arguments',
      'tool_name',
      'custom_tool',
      'function_call',
      'unknown_field',
      'second_choice',
      'logprobs',
      'envelope',
    ]) {
      it(`cuts off a marker in ${place}, one character at a time, ${stream ? 'streamed' : 'unary'}`, async () => {
        const res = await chat(
          gate,
          scenario({ kind: 'place', place, text: `The plan ${MARKER} is`, chunk: 1 }, { stream, n: 2 }),
        )
        const text = await res.text()
        // The verbose reason names the marker; nothing of the answer itself may.
        const released = text.replace(/"reason":"[^"]*"/g, '').replace(/"(error|message)":"[^"]*"/g, '')
        expect(released).not.toMatch(/NOFORN/i)
        expect(released.replace(/[^A-Z]/g, '')).not.toMatch(/SECRET|SECRE|NOFO/)
        if (stream && res.status === 200)
          expect(text).toMatch(/"signet_abort":true[^\n]*\n\ndata: \{"error":[^\n]*\n\ndata: \[DONE\]\n\n$/)
        else expect(res.status).toBe(403)
        const row = gate.rows().findLast(r => r['check_name'] === 'pipeline.inspection')
        expect(row).toMatchObject({ decision: 'block', metadata: { _check_name: 'scope_drift', _code: 'marker' } })
      })
    }
  }

  for (const stream of [false, true]) {
    it(`holds a high-tier irreversible call, ${stream ? 'streamed' : 'unary'}`, async () => {
      const res = await chat(gate, {
        model: 'demo',
        stream,
        messages: [{ role: 'user', content: 'Please refund 50000 to account X' }],
        tools: [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }],
      })
      const text = await res.text()
      expect(text).not.toContain('50000')
      if (stream)
        expect(text).toMatch(
          /"signet_abort":true.*"code":"escalated".*"escalation_id"|"escalation_id".*"code":"escalated"/,
        )
      else {
        expect(res.status).toBe(202)
        expect(JSON.parse(text)).toMatchObject({
          status: 'escalated',
          correlation_id: res.headers.get('x-signet-correlation-id'),
        })
      }
    })

    it(`delivers an allowed call and refuses an unregistered one in the same turn, ${stream ? 'streamed' : 'unary'}`, async () => {
      const calls = [
        { name: 'format_disk', arguments: '{"disk":"sda"}' },
        { name: 'get_weather', arguments: '{"city":"Oslo"}' },
      ]
      const res = await chat(
        gate,
        scenario(
          { kind: 'call', calls, chunk: 3 },
          { stream, tools: calls.map(c => ({ type: 'function', function: { name: c.name } })) },
        ),
      )
      const text = await res.text()
      expect(res.status).toBe(200)
      expect(text).toContain('get_weather')
      expect(text).not.toContain('sda')
      expect(text).toContain('signet refused the tool call format_disk')
    })

    it(`redacts a key in an answer, ${stream ? 'streamed' : 'unary'}`, async () => {
      const res = await chat(
        gate,
        scenario({ kind: 'place', place: 'content', text: 'use sk-test-abcdefgh1234 now', chunk: 2 }, { stream }),
      )
      const text = await res.text()
      expect(text).toContain('[REDACTED]')
      expect(text).not.toContain('sk-')
      expect(text).not.toContain('1234')
    })
  }

  it('redacts the request before it is forwarded', async () => {
    await chat(gate, {
      model: 'demo',
      messages: [
        { role: 'system', content: 'pw hunter2' },
        { role: 'user', content: 'my hunter2 and hunter299' },
      ],
    })
    const sent = Buffer.from(gate.seen.at(-1) ?? []).toString()
    expect(sent).not.toContain('hunter2')
    expect(sent.match(/\[REDACTED\]/g)).toHaveLength(3)
  })

  it('forwards exactly the bytes of the caller when nothing was edited', async () => {
    const raw =
      '{ "model":"demo" , "seed": 12345678901234567890, "temperature": 1.0, "messages":[{"role":"user","content":"\\u0048i"}] }'
    await chat(gate, raw)
    expect(Buffer.from(gate.seen.at(-1) ?? []).toString()).toBe(raw)
  })
})
