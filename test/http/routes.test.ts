/** Which paths are served, and that no other spelling of one is; methods, CORS, health, and what has no place on this port. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyReceipt } from '../../src/receipt/index.ts'
import { startAnthropicUpstream } from '../clients/anthropic-upstream.ts'
import { chat, ISSUER, startTestGate, type TestGate } from '../support/gate.ts'
import { raw } from './raw.ts'

const OWNER = 'X-Commit-Owner: human:alice@example.com'
const FINE = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
const ORIGIN = 'https://app.example.com'

describe('routes', () => {
  let gate: TestGate
  let port: number
  beforeAll(async () => {
    gate = await startTestGate({
      cors: {
        origins: [ORIGIN],
        methods: ['GET', 'POST'],
        headers: ['Authorization', 'Content-Type'],
        credentials: false,
      },
    })
    port = gate.running.port
  })
  afterAll(() => gate.close())

  const ask = async (method: string, target: string, lines: readonly string[] = [], body = '') => {
    const head = [
      `${method} ${target} HTTP/1.1`,
      'Host: 127.0.0.1',
      OWNER,
      `Content-Length: ${body.length}`,
      'Connection: close',
    ]
    const { text, answers } = await raw(
      port,
      `${[...head, ...lines].join('\r\n')}\r\n\r\n${body}`,
      Number.POSITIVE_INFINITY,
    )
    return { text, answer: answers[0], status: Number(text.slice(9, 12)) }
  }

  for (const target of ['/v1/chat/completions', '/v1/chat/completions/', '/v1/chat/completions?api-version=1&x=%00']) {
    it(`serves ${target}`, async () => {
      const before = gate.upstreamRequests()
      expect((await ask('POST', target, [], FINE)).status).toBe(200)
      expect(gate.upstreamRequests()).toBe(before + 1)
    })
  }

  for (const target of [
    '/v1/chat%2Fcompletions',
    '/v1/chat/completions%20',
    '/v1/chat/completions%00',
    '/v1/chat/%63ompletions',
    '//v1/chat/completions',
    '/v1//chat/completions',
    '/v1/chat/completions//',
    '/v1/../v1/chat/completions',
    '/v1/./chat/completions',
    '/v1/chat/completions/../completions',
    '/v1/chat/completions/..',
    '/V1/chat/completions',
    '/v1/Chat/Completions',
    '/v1/chat/completions;x=1',
    '/v1\\chat\\completions',
    '/v1/chat/completions#x',
    'http://127.0.0.1/v1/chat/completions',
    'http://evil.example/v1/chat/completions',
    '/chat/completions',
    '/v1/engines/demo/chat/completions',
    '/v1/files',
    '/v1/audio/speech',
    '/v1/',
    '/v1',
    '/',
    '*',
  ]) {
    it(`does not serve ${target}, by GET and POST alike, and forwards nothing`, async () => {
      const [before, rows] = [gate.upstreamRequests(), gate.rows().length]
      const bodies = new Set<string>()
      for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
        const { status, answer, text } = await ask(method, target, [], method === 'POST' ? FINE : '')
        expect([method, status]).toEqual([method, target === '*' ? status : 404])
        expect([400, 404]).toContain(status)
        if (status === 400) continue
        bodies.add(answer?.body.toString() ?? text)
        if (target.startsWith('/v1/')) {
          expect(answer?.json()).toEqual({
            error: 'endpoint not implemented in signet v0.0.0-test',
            endpoint: target,
            note: expect.stringContaining('/v1/chat/completions'),
          })
          // Each once: a path with a slash at its end is the same surface.
          expect(answer?.body.toString().split('/v1/messages/count_tokens')).toHaveLength(2)
        }
        expect(answer?.header('x-signet-upstream')).toBeUndefined()
      }
      expect(bodies.size).toBeLessThanOrEqual(1)
      expect(gate.upstreamRequests()).toBe(before)
      expect(gate.rows().length).toBe(rows)
    })
  }

  it('says what a path takes, in one shape, with Allow', async () => {
    for (const path of ['/v1/chat/completions', '/v1/chat/completions/'])
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND', 'TRACE']) {
        const { status, answer, text } = await ask(method, path)
        expect([method, status]).toEqual([method, 405])
        expect(text).toMatch(/\r\nallow: POST\r\n/i)
        expect(text).not.toMatch(/x-signet-upstream/i)
        if (method === 'HEAD') expect(text.endsWith('\r\n\r\n')).toBe(true)
        else expect(answer?.json()).toEqual({ error: 'method not allowed', endpoint: path, allowed_methods: ['POST'] })
      }
    for (const path of ['/health', '/healthz', '/readyz', '/version', '/.well-known/jwks.json']) {
      const { status, answer } = await ask('POST', path)
      expect([status, answer?.header('allow')]).toEqual([405, 'GET'])
    }
  })

  it('refuses unknown methods and unknown versions of HTTP', async () => {
    for (const line of [
      'BREW /v1/chat/completions HTTP/1.1',
      'POST /v1/chat/completions HTTP/9.9',
      'POST /v1/chat/completions',
    ]) {
      const { text } = await raw(port, `${line}\r\nHost: 127.0.0.1\r\n\r\n`, Number.POSITIVE_INFINITY)
      expect(text).toMatch(/^HTTP\/1\.1 (400|405|505) /)
    }
  })

  it('answers a long path without repeating all of it', async () => {
    const { answer, text } = await ask('GET', `/v1/${'x'.repeat(20_000)}`)
    expect(answer?.status).toBe(404)
    expect(text.length).toBeLessThan(1500)
  })

  describe('CORS', () => {
    const preflight = ['Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: authorization']
    it('answers the preflight of a listed origin, and only of that', async () => {
      const { answer } = await ask('OPTIONS', '/v1/chat/completions', [`Origin: ${ORIGIN}`, ...preflight])
      expect(answer?.status).toBe(204)
      expect(answer?.header('access-control-allow-origin')).toBe(ORIGIN)
      expect(answer?.header('access-control-allow-methods')).toBe('GET, POST')
      expect(answer?.header('access-control-allow-credentials')).toBeUndefined()
      for (const origin of [
        'https://evil.example',
        'null',
        `${ORIGIN}.evil.example`,
        ORIGIN.toUpperCase(),
        `${ORIGIN}/`,
      ]) {
        const other = await ask('OPTIONS', '/v1/chat/completions', [`Origin: ${origin}`, ...preflight])
        expect(other.status).toBe(403)
        expect(other.text).not.toMatch(/access-control/i)
      }
    })
    it('exposes the gate’s headers to the listed origin, on refusals too', async () => {
      for (const [body, status] of [
        [FINE, 200],
        ['[]', 400],
      ] as const) {
        const { answer } = await ask('POST', '/v1/chat/completions', [`Origin: ${ORIGIN}`], body)
        expect(answer?.status).toBe(status)
        expect(answer?.header('access-control-allow-origin')).toBe(ORIGIN)
        expect(answer?.header('vary')).toMatch(/origin/i)
        expect(answer?.header('access-control-expose-headers')).toMatch(/X-Signet-Correlation-Id/)
      }
    })
    it('does nothing for a caller without an origin', async () => {
      const { text } = await ask('POST', '/v1/chat/completions', [], FINE)
      expect(text).not.toMatch(/access-control/i)
    })
    it('is off unless configured: no origin is answered, not even by health', async () => {
      const plain = await startTestGate()
      const res = await chat(plain, FINE, { headers: { origin: ORIGIN } })
      expect(res.status).toBe(403)
      expect(res.headers.get('access-control-allow-origin')).toBeNull()
      expect((await fetch(`${plain.url}/healthz`, { headers: { origin: ORIGIN } })).status).toBe(403)
      await plain.close()
    })
  })

  it('has nothing of the control plane on the data port', async () => {
    for (const path of [
      '/metrics',
      '/docs',
      '/redoc',
      '/openapi.json',
      '/console',
      '/admin',
      '/api',
      '/api/v1/rows',
      '/audit',
      '/log',
      '/checkpoint',
      '/tile/0/000',
      '/escalations',
      '/signet',
      '/signet/v1',
      '/signet/v1/escalations',
      '/signet/v1/rows',
      '/debug/pprof',
      '/.env',
      '/favicon.ico',
      '/health/',
      '/healthz/',
      '/livez',
    ]) {
      const { status, answer } = await ask('GET', path)
      expect([path, status]).toEqual([path, 404])
      expect(answer?.json()).toEqual({ error: 'not found', endpoint: path })
    }
  })
})

it.each(['/v1/models/gemini-pro:generateContent', '/v1beta/models/gemini-pro:streamGenerateContent'])(
  'Gemini is told what is gated: %s',
  async path => {
    const gate = await startTestGate()
    const res = await fetch(gate.url + path, { method: 'POST', body: '{}' })
    expect([res.status, await res.json()]).toMatchObject([
      404,
      { endpoint: path, note: expect.stringMatching(/^gated endpoints: /) },
    ])
    expect(gate.upstreamRequests()).toBe(0)
    await gate.close()
  },
)

describe('health', () => {
  it('tells alive, ready, version and keys, without a credential and without a receipt', async () => {
    const gate = await startTestGate()
    const get = async (path: string) => {
      const res = await fetch(gate.url + path)
      expect(res.headers.get('x-signet-upstream')).toBeNull()
      return {
        status: res.status,
        type: res.headers.get('content-type'),
        body: (await res.json()) as Record<string, unknown>,
      }
    }
    const empty = await get('/healthz')
    expect(empty).toMatchObject({
      status: 200,
      body: {
        status: 'ok',
        service: 'signet',
        version: '0.0.0-test',
        shadow: false,
        audit_ok: true,
        pipeline_check_count: 8,
      },
    })
    expect(empty.body['audit_chain_head_hmac']).toBeNull()
    expect(empty.body['uptime_seconds']).toBeGreaterThanOrEqual(0)
    const answer = await chat(gate, FINE)
    await answer.arrayBuffer()
    expect((await get('/health')).body['audit_chain_head_hmac']).toBe(String(gate.rows().at(-1)?.['hmac']).slice(-8))
    expect(await get('/readyz')).toMatchObject({ status: 200, body: { status: 'ready', upstream_status: 200 } })
    expect((await get('/version')).body).toEqual({ version: '0.0.0-test', service: 'signet' })
    const keys = await get('/.well-known/jwks.json')
    expect(keys).toMatchObject({ status: 200, type: 'application/jwk-set+json' })
    expect(JSON.stringify(keys.body)).not.toMatch(/"d"/)
    const head = await fetch(`${gate.url}/healthz`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    await verifyReceipt(answer.headers.get('x-signet-receipt') ?? '', { keys: keys.body as never, issuer: ISSUER })
    await gate.close()
  })

  it('is not ready, but alive, when upstream is down', async () => {
    const gate = await startTestGate({ upstreamUrl: 'http://127.0.0.1:1/v1' })
    const ready = await fetch(`${gate.url}/readyz`)
    const text = await ready.text()
    expect(ready.status).toBe(503)
    expect(JSON.parse(text)).toMatchObject({
      status: 'not_ready',
      reason: 'upstream unreachable: ECONNREFUSED',
      upstream: '127.0.0.1:1',
    })
    expect((await fetch(`${gate.url}/healthz`)).status).toBe(200)
    await gate.close()
  })
})

describe('the query of a request', () => {
  it.each([
    ['/v1/messages?beta=true', '/v1/messages?beta=true'],
    ['/v1/messages/?beta=true', '/v1/messages?beta=true'],
    ['/v1/messages/count_tokens?beta=true', '/v1/messages/count_tokens?beta=true'],
    ['/v1/messages', '/v1/messages'],
    ['/v1/messages?', '/v1/messages'],
    ['/v1/messages?beta=false', '/v1/messages'],
    ['/v1/messages?beta=true&key=sk-1', '/v1/messages'],
    ['/v1/messages?beta=true?beta=true', '/v1/messages'],
    ['/v1/messages?%62eta=true', '/v1/messages'],
    ['/v1/messages?BETA=true', '/v1/messages'],
  ])('of %s reaches upstream as %s', async (target, reached) => {
    const upstream = await startAnthropicUpstream()
    const gate = await startTestGate({ upstreamUrl: upstream.url })
    const answer = await fetch(gate.url + target, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"say: Hello."}]}',
    })
    await answer.arrayBuffer()
    await gate.close()
    await upstream.close()
    expect(answer.status).toBe(200)
    expect(upstream.seen.map(r => r.path)).toEqual([reached])
  })
})
