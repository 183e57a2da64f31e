/** The gate as a caller meets it: real listener, real log, the demo model behind. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyReceipt, verifyStreamReceipt } from '../src/receipt/index.ts'
import { chat, ISSUER, scenario, startTestGate, type TestGate } from './support/gate.ts'

const MARKER = 'SECRET//NOFORN'
const jwksOf = async (gate: TestGate) => JSON.parse(await (await fetch(`${gate.url}/.well-known/jwks.json`)).text())

/** One transparent pixel, and an empty wave. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='
const SILENCE = Buffer.from(
  '524946462400000057415645666d7420100000000100010044ac000088580100020010006461746100000000',
  'hex',
).toString('base64')

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
    expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
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
      expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
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

  it('redacts the text beside a picture and a sound, and leaves those as they were', async () => {
    const kept = [
      { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
      { type: 'input_audio', input_audio: { data: SILENCE, format: 'wav' } },
    ]
    const content = [{ type: 'text', text: 'my hunter2' }, ...kept, { type: 'text', text: 'and hunter2 again' }]
    await (await chat(gate, { model: 'demo', messages: [{ role: 'user', content }] })).text()
    const sent = JSON.parse(Buffer.from(gate.seen.at(-1) ?? []).toString()) as { messages: { content: unknown[] }[] }
    expect(sent.messages[0]?.content).toEqual([
      { type: 'text', text: 'my [REDACTED]' },
      ...kept,
      { type: 'text', text: 'and [REDACTED] again' },
    ])
  })

  it('gives all rows of an exchange one fingerprint, of the bytes that came and not of those that went on', async () => {
    const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'my hunter2' }] })
    const before = gate.rows().length
    for (let i = 0; i < 2; i++) await (await chat(gate, body)).text()
    const rows = gate.rows().slice(before)
    expect(Buffer.from(gate.seen.at(-1) ?? []).toString()).not.toContain('hunter2')
    expect(rows.some(r => r['decision'] === 'redact')).toBe(true)
    expect(new Set(rows.map(r => r['request_fingerprint']))).toEqual(
      new Set([`sha256:${createHash('sha256').update(body).digest('hex')}`]),
    )
    // Two requests of one body stay two: the fingerprint is not their name.
    expect(new Set(rows.map(r => (r['metadata'] as Record<string, unknown>)['_exchange_id'])).size).toBe(2)
  })

  it('forwards exactly the bytes of the caller when nothing was edited', async () => {
    const raw =
      '{ "model":"demo" , "seed": 12345678901234567890, "temperature": 1.0, "messages":[{"role":"user","content":"\\u0048i"}] }'
    await chat(gate, raw)
    expect(Buffer.from(gate.seen.at(-1) ?? []).toString()).toBe(raw)
  })
})
