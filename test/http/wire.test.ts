/** Requests that no well-behaved client sends, byte by byte. Nothing of them may reach the model or be taken for something else. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'
import { post, type RawAnswer, raw, rawOn } from './raw.ts'

const OWNER = 'X-Commit-Owner: human:alice@example.com'
const FINE = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}'

describe('on the wire', () => {
  let gate: TestGate
  let port: number
  beforeAll(async () => {
    gate = await startTestGate()
    port = gate.running.port
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    expect(report.ok).toBe(true)
  })

  const rowsOf = (id: string | undefined) =>
    gate.rows().filter(r => (r['metadata'] as Record<string, unknown>)['_exchange_id'] === id)

  /** One answer of this status, a row, nothing upstream. */
  async function refused(bytes: Buffer, status: number, token: string): Promise<RawAnswer> {
    const before = gate.upstreamRequests()
    const { answers } = await raw(port, bytes)
    const [answer] = answers
    expect(answer?.status).toBe(status)
    expect(answer?.json()).toMatchObject({ error: token, correlation_id: answer?.header('x-signet-correlation-id') })
    expect(answer?.header('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
    expect(rowsOf(answer?.header('x-signet-correlation-id'))).toMatchObject([
      { check_name: 'pipeline.preflight', decision: 'block', metadata: { _refusal_kind: token } },
    ])
    expect(gate.upstreamRequests()).toBe(before)
    return answer!
  }

  /** Not HTTP: an answer without a body and a closed connection, or just the latter. */
  async function rejected(bytes: Buffer | string, status = 400): Promise<void> {
    const [before, rows] = [gate.upstreamRequests(), gate.rows().length]
    const { text, closed } = await raw(port, bytes, Number.POSITIVE_INFINITY)
    expect(closed).toBe(true)
    if (text !== '') expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(text.match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThanOrEqual(1)
    expect(gate.upstreamRequests()).toBe(before)
    expect(gate.rows().length).toBe(rows)
  }

  describe('headers that may come once only', () => {
    for (const [name, a, b] of [
      ['X-Commit-Owner', 'human:alice@example.com', 'human:root'],
      ['x-commit-owner', 'human:alice@example.com', 'human:alice@example.com'],
      ['X-Agent-Id', 'agent:a', 'agent:b'],
      ['X-Policy-Name', 'a', 'b'],
      ['X-Policy-Version', '1', '2'],
      ['X-Classification', 'PUBLIC', 'SECRET'],
      ['X-Caller-Clearance', 'SECRET', 'PUBLIC'],
      ['X-Signet-Session', 'a', 'b'],
      ['Authorization', 'Bearer a', 'Bearer b'],
      ['X-Api-Key', 'a', 'b'],
      ['Content-Encoding', 'identity', 'gzip'],
      ['Content-Type', 'application/json', 'text/plain'],
      ['Origin', 'http://a', 'http://b'],
      ['Host', '127.0.0.1', 'evil.example'],
    ] as const) {
      it(`${name}: ${a}, ${b}`, async () => {
        const lines = [OWNER, `${name}: ${a}`, `${name.toUpperCase()}: ${b}`]
        // An Origin is judged before repetition is.
        if (name === 'Origin') await refused(post(lines, FINE), 403, 'origin_not_allowed')
        else {
          const answer = await refused(post(lines, FINE), 400, 'header_duplicate')
          expect(answer.json()['header_name']).toBe(name.toLowerCase())
        }
      })
    }
    it('lets other headers repeat', async () => {
      const { answers } = await raw(port, post([OWNER, 'X-Other: 1', 'X-Other: 2'], FINE))
      expect(answers[0]?.status).toBe(200)
    })
  })

  describe('Host', () => {
    for (const host of [
      'evil.example',
      'evil.example:8443',
      '127.0.0.1.evil.example',
      '127.0.0.1@evil.example',
      '169.254.169.254',
      'localhost.',
      'localhost evil',
      '[::1',
      '',
    ]) {
      it(`refuses ${JSON.stringify(host)}`, async () => {
        const bytes = Buffer.from(post([OWNER], FINE).toString('latin1').replace('Host: 127.0.0.1', `Host: ${host}`))
        await refused(bytes, 421, 'host_not_allowed')
        const { answers } = await raw(port, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        expect(answers[0]?.status).toBe(421)
      })
    }
    for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST:1', '[::1]:8443', '127.0.0.1:80', '[::ffff:127.0.0.1]']) {
      it(`answers to ${host}`, async () => {
        const bytes = Buffer.from(post([OWNER], FINE).toString('latin1').replace('Host: 127.0.0.1', `Host: ${host}`))
        expect((await raw(port, bytes)).answers[0]?.status).toBe(200)
      })
    }
    it('is required of HTTP/1.1', () =>
      rejected(`POST /v1/chat/completions HTTP/1.1\r\n${OWNER}\r\nContent-Length: ${FINE.length}\r\n\r\n${FINE}`))
    it('is required of HTTP/1.0 too', async () => {
      const bytes = `POST /v1/chat/completions HTTP/1.0\r\n${OWNER}\r\nContent-Length: ${FINE.length}\r\n\r\n${FINE}`
      await refused(Buffer.from(bytes), 421, 'host_not_allowed')
    })
  })

  it('serves HTTP/1.0 with a length, or until it closes', async () => {
    for (const [body, type] of [
      [FINE, /^application\/json/],
      [FINE.replace('{', '{"stream":true,'), /^text\/event-stream/],
    ] as const) {
      const bytes = post([OWNER], body).toString('latin1').replace('HTTP/1.1', 'HTTP/1.0')
      const { text, closed } = await raw(port, bytes, Number.POSITIVE_INFINITY)
      expect(closed).toBe(true)
      expect(text).toMatch(/^HTTP\/1\.1 200 /)
      expect(text).toMatch(/x-signet-correlation-id: /i)
      expect(/content-type: ([^\r]*)/i.exec(text)?.[1]).toMatch(type)
      // HTTP/1.0 knows no chunks.
      expect(text).not.toMatch(/transfer-encoding/i)
      if (body !== FINE) expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    }
  })

  describe('injected headers', () => {
    it('takes CR LF in a value as what it is on the wire: another header, which is not forwarded', async () => {
      const { answers } = await raw(port, post([OWNER, 'Authorization: Bearer x\r\nX-Injected: 1'], FINE))
      expect(answers[0]?.status).toBe(200)
    })
    for (const [name, value] of [
      ['a bare CR', 'Bearer x\rX-Injected: 1'],
      ['a bare LF and no colon', 'Bearer x\nX Injected'],
      ['NUL', 'Bearer x\0y'],
      ['DEL', 'Bearer x\x7fy'],
      ['BEL', 'Bearer x\x07y'],
    ] as const) {
      it(`rejects ${name}`, async () => {
        const bytes = post([OWNER, `Authorization: ${value}`], FINE)
        // Either the parser rejects the message, or the value is refused with a row; it never reaches the model.
        const before = gate.upstreamRequests()
        const { answers, text } = await raw(port, bytes)
        expect(text).toMatch(/^HTTP\/1\.1 400 /)
        expect(answers).toHaveLength(1)
        expect(gate.upstreamRequests()).toBe(before)
      })
    }
    for (const line of ['X Bad: 1', 'X-Bad : 1', ': 1', ' folded: 1', 'X-Bad\0: 1', 'X-\u00e9: 1'])
      it(`rejects the header line ${JSON.stringify(line)}`, () => rejected(post([OWNER, line], FINE)))
  })

  describe('framing', () => {
    const head = (lines: readonly string[]) =>
      `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${OWNER}\r\n${lines.join('\r\n')}\r\n\r\n`
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
    const chunked = `${chunk(FINE)}0\r\n\r\n`
    const smuggled = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

    for (const [name, bytes] of [
      ['Transfer-Encoding and Content-Length', head(['Transfer-Encoding: chunked', 'Content-Length: 5']) + chunked],
      ['Content-Length and Transfer-Encoding', head(['Content-Length: 5', 'Transfer-Encoding: chunked']) + chunked],
      ['two lengths', head([`Content-Length: ${FINE.length}`, 'Content-Length: 1']) + FINE],
      ['a list of lengths', head([`Content-Length: ${FINE.length}, 1`]) + FINE],
      ['a signed length', head([`Content-Length: +${FINE.length}`]) + FINE],
      ['a hexadecimal length', head(['Content-Length: 0x10']) + FINE],
      ['a coding after chunked', head(['Transfer-Encoding: chunked, gzip']) + chunked],
      ['a disguised coding', head(['Transfer-Encoding: xchunked']) + chunked],
      ['a chunk size that is none', `${head(['Transfer-Encoding: chunked'])}zz\r\n${FINE}`],
      ['a chunk size beyond 64 bits', `${head(['Transfer-Encoding: chunked'])}fffffffffffffffff\r\n${FINE}`],
      ['a chunk longer than its size', `${head(['Transfer-Encoding: chunked'])}2\r\n${FINE}\r\n0\r\n\r\n`],
      ['a bare LF after a chunk size', `${head(['Transfer-Encoding: chunked'])}3\nabc\r\n0\r\n\r\n`],
    ] as const) {
      it(`rejects ${name}, and what is smuggled behind it`, async () => {
        const before = gate.upstreamRequests()
        const { text, closed } = await raw(port, bytes + smuggled, Number.POSITIVE_INFINITY)
        expect(closed).toBe(true)
        expect(text).toMatch(/^HTTP\/1\.1 400 /)
        expect(text).not.toMatch(/ 200 /)
        expect(gate.upstreamRequests()).toBe(before)
      })
    }

    it('reads a chunked body, with trailers that say nothing', async () => {
      const trailers = `${chunk(FINE.slice(0, 9))}${chunk(FINE.slice(9))}0\r\nX-Commit-Owner: human:root\r\n\r\n`
      const { answers } = await raw(port, head(['Transfer-Encoding: chunked']) + trailers)
      expect(answers[0]?.status).toBe(200)
      const rows = rowsOf(answers[0]?.header('x-signet-correlation-id'))
      expect(rows[0]).toMatchObject({ owner_type: 'human', owner_id: 'alice@example.com' })
    })

    it('counts a chunked body by what arrives: 413 at 4 MiB and one byte, before its end', async () => {
      const before = gate.upstreamRequests()
      const big = `{"model":"${'a'.repeat(64 * 1024)}`
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      const answer = rawOn(socket, head(['Transfer-Encoding: chunked']))
      let sent = 0
      // The terminating chunk is never sent: the gate must not wait for it.
      while (sent <= 4 * 1024 * 1024) {
        socket.write(chunk(big))
        sent += big.length
      }
      const { answers } = await answer
      expect(answers[0]?.status).toBe(413)
      expect(answers[0]?.json()).toMatchObject({ error: 'body_too_large', limit_bytes: 4_194_304 })
      expect(answers[0]?.header('connection')).toBe('close')
      expect(rowsOf(answers[0]?.header('x-signet-correlation-id'))).toMatchObject([
        { metadata: { _refusal_kind: 'body_too_large' }, request_fingerprint: '' },
      ])
      expect(gate.upstreamRequests()).toBe(before)
    })

    it('answers 413 to an ordinary client that goes on sending', async () => {
      const res = await chat(gate, 'x'.repeat(24 * 1024 * 1024))
      expect(res.status).toBe(413)
      expect(((await res.json()) as Record<string, unknown>)['error']).toBe('body_too_large')
    })

    it('answers Expect: 100-continue, and judges the body all the same', async () => {
      const socket = connect(port, '127.0.0.1')
      const answer = rawOn(socket, head([`Content-Length: ${FINE.length}`, 'Expect: 100-continue']))
      const [first] = (await once(socket, 'data')) as [Buffer]
      expect(first.toString()).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
      socket.write(FINE)
      expect((await answer).answers[0]?.status).toBe(200)
    })

    it('refuses an Expect it does not know', async () => {
      const { text } = await raw(port, head([`Content-Length: ${FINE.length}`, 'Expect: miracles']) + FINE)
      expect(text).toMatch(/^HTTP\/1\.1 417 /)
    })

    it('answers pipelined requests in their order', async () => {
      const bytes = Buffer.concat([
        post([OWNER], FINE),
        post([OWNER], '[]'),
        post([], FINE),
        Buffer.from('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'),
        post([OWNER], FINE.replace('{', '{"stream":true,')),
      ])
      const { answers } = await raw(port, bytes, 5)
      expect(answers.map(a => a.status)).toEqual([200, 400, 403, 200, 200])
      expect(answers[4]?.body.toString()).toMatch(/data: \[DONE\]\n\n$/)
      expect(new Set(answers.map(a => a.header('x-signet-correlation-id'))).size).toBe(5)
    })

    it('goes on serving a connection after a refusal whose body it did not read', async () => {
      const bytes = Buffer.concat([
        post([OWNER, 'Content-Encoding: gzip'], 'x'.repeat(300_000)),
        post([OWNER, 'X-Agent-Id: a', 'X-Agent-Id: b'], FINE),
        post([OWNER], FINE),
      ])
      const { answers } = await raw(port, bytes, 3)
      expect(answers.map(a => a.status)).toEqual([415, 400, 200])
    })

    it('never writes a parser error into the middle of an answer', async () => {
      // The second message on the connection is garbage, and arrives while the first is being answered.
      const body = `{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}],"metadata":{"signet_demo":"{\\"kind\\":\\"plain\\",\\"delayMs\\":2,\\"chunk\\":1}"}}`
      const socket = connect(port, '127.0.0.1')
      const answer = rawOn(socket, post([OWNER], body), Number.POSITIVE_INFINITY)
      await once(socket, 'data')
      socket.write('\0garbage\r\n\r\n')
      const { text } = await answer
      expect(text).toMatch(/^HTTP\/1\.1 200 /)
      expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
    })
  })

  it('answers 408, with a row, when a body does not come in time', async () => {
    const slow = await startTestGate()
    // The listener looks every five seconds for requests older than this.
    slow.running.server.requestTimeout = 1
    const bytes = post([OWNER], FINE)
    const { answers, closed } = await raw(
      slow.running.port,
      bytes.subarray(0, bytes.length - 5),
      Number.POSITIVE_INFINITY,
    )
    expect(closed).toBe(true)
    expect(answers[0]?.status).toBe(408)
    expect(answers[0]?.header('connection')).toBe('close')
    expect(answers[0]?.json()).toMatchObject({ error: 'request_timeout' })
    expect(slow.rows()).toMatchObject([
      {
        check_name: 'pipeline.preflight',
        decision: 'block',
        metadata: { _refusal_kind: 'request_timeout', _status: 408 },
      },
    ])
    expect(slow.running.gate.load.active).toBe(0)
    expect(slow.upstreamRequests()).toBe(0)
    await slow.close()
  })

  it('rejects a head beyond 32 KiB with 431', () => rejected(post([OWNER, `X-Big: ${'x'.repeat(40_000)}`], FINE), 431))
  it('rejects many headers that together pass 32 KiB', () =>
    rejected(post([OWNER, ...Array.from({ length: 2000 }, (_, i) => `X-${i}: ${'y'.repeat(20)}`)], FINE), 431))

  for (const garbage of [
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'hello\r\n\r\n',
  ])
    it(`rejects ${JSON.stringify(garbage.slice(0, 16))}`, () => rejected(garbage))

  it('opens no tunnel and no upgrade', async () => {
    const tunnel = await raw(port, 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', Number.POSITIVE_INFINITY)
    expect(tunnel.text).not.toMatch(/ 200 /)
    expect(tunnel.closed).toBe(true)
    const upgrade = await raw(
      port,
      'GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    expect(upgrade.text).not.toMatch(/ 101 /)
    expect(upgrade.answers[0]?.status).toBe(404)
  })
})
