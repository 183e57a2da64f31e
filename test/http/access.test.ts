/** The access log through the real listener: one line for each request, whatever becomes of it, with nothing in it that is secret. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/state/system.ts'
import { AccessLog } from '../../src/telemetry/access-log.ts'
import { chat, scenario, startTestGate, type TestGate } from '../support/gate.ts'
import { raw } from './raw.ts'

const HELLO = { model: 'demo', messages: [{ role: 'user', content: 'private words' }] }
const OWNER = 'human:alice@example.com'

describe('access log', () => {
  let gate: TestGate
  let written = ''
  let wake: () => void = () => undefined
  beforeAll(async () => {
    const sink = {
      append: async (lines: Uint8Array) => {
        written += Buffer.from(lines).toString()
        wake()
      },
    }
    gate = await startTestGate({ access: new AccessLog({ sink, clock: systemClock, owners: true }) })
  })
  afterAll(() => gate.close())

  const all = () => written.split('\n').flatMap(l => (l === '' ? [] : [JSON.parse(l) as Record<string, unknown>]))
  /** The one line that `doing` leaves. */
  const lineOf = async <T>(doing: () => Promise<T>) => {
    const before = all().length
    const result = await doing()
    while (all().length === before) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
    expect(all()).toHaveLength(before + 1)
    return { line: all()[before] ?? {}, result }
  }

  for (const stream of [false, true]) {
    it(`tells an answer, ${stream ? 'streamed' : 'unary'}`, async () => {
      const { line, result } = await lineOf(async () => {
        const answer = await chat(gate, { ...HELLO, stream })
        await answer.text()
        return answer
      })
      expect(line).toEqual({
        time: expect.stringMatching(/^2\d{3}-.*Z$/),
        event: 'request',
        method: 'POST',
        path: '/v1/chat/completions',
        status: 200,
        complete: true,
        ms: expect.any(Number),
        exchange: result.headers.get('x-signet-correlation-id'),
        owner: OWNER,
        outcome: 'completed',
        decision: 'allow',
      })
    })
  }

  it('tells a refusal by its code', async () => {
    const { line } = await lineOf(() => chat(gate, HELLO, { owner: null }))
    expect(line).toMatchObject({ status: 403, outcome: 'refused', decision: 'block', code: 'owner_unresolved' })
    expect(line).not.toHaveProperty('owner')
  })

  it('tells a request refused before any check', async () => {
    const { line, result } = await lineOf(() => chat(gate, '[]'))
    expect(line).toMatchObject({ status: 400, outcome: 'preflight', decision: 'block', code: 'non_object_body' })
    expect(line['exchange']).toBe(result.headers.get('x-signet-correlation-id'))
  })

  it('tells a stream that was cut off, though its status is 200', async () => {
    const body = scenario(
      { kind: 'place', place: 'content', text: 'The plan SECRET//NOFORN is', chunk: 1 },
      { stream: true },
    )
    const { line, result } = await lineOf(async () => (await chat(gate, body)).text())
    expect(result).toContain('signet_abort')
    expect(line).toMatchObject({ status: 200, outcome: 'aborted', decision: 'block' })
    expect(line['code']).toEqual(expect.any(String))
  })

  it('tells routes by their template, and unknown paths not at all', async () => {
    const token = 'A'.repeat(43)
    const id = '00000000-0000-4000-8000-000000000002'
    for (const [target, path] of [
      ['/health', '/health'],
      ['/v1/chat/completions/', '/v1/chat/completions'],
      ['/v1/chat/completions?key=sk-secret', '/v1/chat/completions'],
      [`/signet/v1/escalations/${id}/${token}`, '/signet/v1/escalations/{id}/{token}'],
      [`/signet/v1/exchanges/${id}/capabilities`, '/signet/v1/exchanges/{id}/capabilities'],
      ['/v1/files/sk-secret', 'other'],
      ['/sk-secret', 'other'],
    ] as const) {
      const { line } = await lineOf(async () => (await fetch(gate.url + target)).text())
      expect(line, target).toMatchObject({ method: 'GET', path })
    }
    expect(written).not.toMatch(/sk-secret|AAAA|00000000-0000-4000/)
  })

  it('holds no header, no body, no credential', async () => {
    const headers = { authorization: 'Bearer sk-very-secret', 'x-signet-session': 's-1', cookie: 'c=1' }
    await lineOf(async () => (await chat(gate, HELLO, { headers })).text())
    expect(written).not.toMatch(/sk-very-secret|s-1|c=1|private words|Hello/)
  })

  it('tells a host that is not this gate’s, as the exchange it was refused as', async () => {
    const { line } = await lineOf(() =>
      raw(
        gate.running.port,
        'POST /v1/chat/completions HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
        Number.POSITIVE_INFINITY,
      ),
    )
    expect(line).toMatchObject({ status: 421, outcome: 'preflight', code: 'host_not_allowed' })
  })

  it('tells a caller that left before it was answered', async () => {
    const { line } = await lineOf(async () => {
      connect(gate.running.port, '127.0.0.1').end(
        'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{',
      )
    })
    expect(line).toMatchObject({ status: 0, complete: false, outcome: 'disconnected' })
  })
})

describe('without an access log', () => {
  it('serves as ever', async () => {
    const gate = await startTestGate()
    expect((await chat(gate, HELLO)).status).toBe(200)
    await gate.close()
  })
})
