/**
 * What the gate refuses before any check runs: each request of the table gets its exact status, a stable token, its
 * correlation id and one row, in strict and in verbose form, and the model never hears of it.
 */
import { createHash } from 'node:crypto'
import { deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'

const MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
const FINE = `{"model":"demo",${MESSAGES}}`
const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth)
const LIMIT = 4 * 1024 * 1024

interface Case {
  readonly name: string
  readonly body: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly status?: number
  readonly token: string
}

const bad = (token: string, ...bodies: (string | Uint8Array)[]): Case[] =>
  bodies.map(body => ({
    name: typeof body === 'string' ? body.slice(0, 60) : `bytes ${Buffer.from(body.subarray(0, 12)).toString('hex')}`,
    body,
    token,
  }))
const utf16le = Buffer.from(FINE, 'utf16le')

const CASES: readonly Case[] = [
  ...bad('empty_body', ''),
  ...bad('non_object_body', '[]', 'null', '123', '"x"', 'true', `[${FINE}]`),
  ...bad(
    'json_decode_error',
    '{"model"',
    `${FINE}x`,
    `${FINE}${FINE}`,
    `{"model":"demo",${MESSAGES},}`,
    `{'model':'demo'}`,
    `{"model":"demo",${MESSAGES}/* c */}`,
    '{"model":01}',
    '{"model":"a\nb"}',
    '{"model":"\\x41"}',
    'undefined',
    '\u00a0{}',
    '<html>',
    `{"a":${nested(3, '{')}}`,
  ),
  ...bad(
    'non_finite_float',
    `{"temperature":NaN,${MESSAGES}}`,
    `{"temperature":Infinity,${MESSAGES}}`,
    `{"temperature":-Infinity,${MESSAGES}}`,
    `{"temperature":1e999,${MESSAGES}}`,
    `{"temperature":-1e999,${MESSAGES}}`,
    `{"x":[[{"y":1e400}]],${MESSAGES}}`,
  ),
  ...bad(
    'json_duplicate_key',
    `{"model":"a","model":"b",${MESSAGES}}`,
    `{"model":"a","mod\\u0065l":"b",${MESSAGES}}`,
    `{${MESSAGES},${MESSAGES}}`,
    `{"x":{"y":[{"z":1,"z":1}]},${MESSAGES}}`,
    '{"messages":[{"role":"user","content":"hi","content":"SECRET"}]}',
  ),
  ...bad(
    'json_ambiguous_key',
    `{"model":"demo","Messages":[],${MESSAGES}}`,
    '{"model":"demo","Messages":[{"role":"user","content":"hi"}]}',
    `{"model":"demo","STREAM":true,${MESSAGES}}`,
    `{"model":"demo","\uff4dessages":[],${MESSAGES}}`,
    `{"model":"demo","me\u017f\u017fages":[],${MESSAGES}}`,
    '{"model":"demo","messages":[{"role":"user","Content":"hi"}]}',
  ),
  ...bad(
    'json_lone_surrogate',
    '{"model":"demo","messages":[{"role":"user","content":"\\ud800"}]}',
    '{"model":"demo","messages":[{"role":"user","content":"\\udc00\\ud800"}]}',
    `{"\\udfff":1,${MESSAGES}}`,
  ),
  ...bad(
    'json_too_deeply_nested',
    `{"x":${nested(64)},${MESSAGES}}`,
    `{"x":${nested(10_000)},${MESSAGES}}`,
    '['.repeat(10_000),
    '{"a":'.repeat(10_000),
    nested(1_000_000),
  ),
  ...bad(
    'request_invalid',
    '{"model":"demo","messages":null}',
    '{"model":"demo","messages":5}',
    '{"model":"demo","messages":"hi"}',
    '{"model":"demo","messages":{}}',
    '{"model":"demo","messages":[null]}',
    '{"model":"demo","messages":["hi"]}',
    '{"model":"demo"}',
    `{"model":"demo","stream":"false",${MESSAGES}}`,
    `{"model":"demo","stream":1,${MESSAGES}}`,
    `{"model":"demo","n":"2",${MESSAGES}}`,
    `{"model":5,${MESSAGES}}`,
  ),
  ...bad(
    'invalid_encoding',
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(FINE)]),
    utf16le,
    Buffer.concat([Buffer.from([0xff, 0xfe]), utf16le]),
    Buffer.from(utf16le).swap16(),
    gzipSync(FINE),
    Buffer.from(FINE.replace('hi', 'h\u00e9'), 'latin1'),
    Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
    Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3])]),
  ),
  ...(
    [
      ['gzip', gzipSync(FINE)],
      ['deflate', deflateSync(FINE)],
      ['br', FINE],
      ['gzip, identity', gzipSync(FINE)],
      ['GZIP', FINE],
      ['unknown', FINE],
    ] as const
  ).map(([encoding, body]) => ({
    name: `Content-Encoding: ${encoding}`,
    body,
    headers: { 'content-encoding': encoding },
    status: 415,
    token: 'encoded_body',
  })),
  { name: '4 MiB and one byte', body: padded(LIMIT + 1), status: 413, token: 'body_too_large' },
  {
    name: 'a session id of 257 bytes',
    body: FINE,
    headers: { 'x-signet-session': 's'.repeat(257) },
    token: 'session_id_too_long',
  },
  {
    name: 'a session id of 16 KB',
    body: FINE,
    headers: { 'x-signet-session': 's'.repeat(16_000) },
    token: 'session_id_too_long',
  },
  ...['a b', 'a/b', 'a\u00e9', 'a,b', '<x>', 'a\tb'].map(id => ({
    name: `the session id ${JSON.stringify(id)}`,
    body: FINE,
    headers: { 'x-signet-session': id },
    token: 'session_id_invalid_charset',
  })),
  ...['\u0080', '\u0085', '\u00a0', '\u00e9', '\u00ff'].flatMap(c =>
    ['authorization', 'openai-organization'].map(name => ({
      name: `${name} with U+00${c.charCodeAt(0).toString(16)}`,
      body: FINE,
      headers: { [name]: `Bearer x${c}y` },
      token: 'header_invalid_charset',
    })),
  ),
  {
    name: 'an Origin nobody allowed',
    body: FINE,
    headers: { origin: 'https://evil.example' },
    status: 403,
    token: 'origin_not_allowed',
  },
]

/** A valid request of exactly so many bytes. */
function padded(bytes: number): string {
  const empty = '{"model":"demo","messages":[{"role":"user","content":""}]}'
  return empty.replace('""}', `"${'a'.repeat(bytes - empty.length)}"}`)
}

describe('preflight', () => {
  let verbose: TestGate
  let strict: TestGate
  beforeAll(async () => {
    verbose = await startTestGate()
    strict = await startTestGate({ settings: { strict: true } })
  })
  afterAll(async () => {
    for (const gate of [verbose, strict]) {
      const report = await gate.verify()
      await gate.close()
      expect(report.ok).toBe(true)
    }
  })

  for (const c of CASES) {
    it(`${c.token}: ${JSON.stringify(c.name)}`, async () => {
      for (const gate of [verbose, strict]) {
        const before = gate.upstreamRequests()
        const res = await chat(gate, c.body, c.headers === undefined ? {} : { headers: c.headers })
        const text = await res.text()
        const status = c.status ?? 400
        expect([res.status, text]).toEqual([status, text])
        const id = res.headers.get('x-signet-correlation-id')
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/)
        expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:\d+$/)
        expect(res.headers.get('content-type')).toBe('application/json')
        const body = JSON.parse(text) as Record<string, unknown>
        expect(body).toMatchObject({ error: c.token, correlation_id: id })
        if (gate === strict) expect(Object.keys(body).sort()).toEqual(['correlation_id', 'error'])
        else expect(body['description']).toMatch(/^.{10,}$/)
        expect(gate.upstreamRequests()).toBe(before)

        const rows = gate.rows().filter(r => (r['metadata'] as Record<string, unknown>)['_exchange_id'] === id)
        expect(rows).toHaveLength(1)
        expect(rows[0]).toMatchObject({
          check_name: 'pipeline.preflight',
          decision: 'block',
          metadata: {
            _stage: 'preflight',
            _pre_pipeline_refusal: true,
            _refusal_kind: c.token,
            _code: c.token,
            _status: status,
          },
        })
        const read = rows[0]?.['request_fingerprint'] !== ''
        if (read) {
          const digest = createHash('sha256').update(Buffer.from(c.body)).digest('hex')
          expect(rows[0]?.['request_fingerprint']).toBe(`sha256:${digest}`)
          expect(res.headers.get('x-signet-receipt')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
        } else expect(res.headers.get('x-signet-receipt')).toBeNull()
        expect(read).toBe(!['encoded_body', 'body_too_large', 'origin_not_allowed'].includes(c.token))
      }
    })
  }

  it('never repeats a refused session id or header value', async () => {
    for (const headers of [{ 'x-signet-session': 'leak me' }, { authorization: 'Bearer leak\u00e9me' }]) {
      const res = await chat(verbose, FINE, { headers })
      expect(await res.text()).not.toMatch(/leak/)
    }
    expect(JSON.stringify(verbose.rows())).not.toMatch(/leak/)
  })

  const passes: readonly Omit<Case, 'token'>[] = [
    { name: 'exactly 64 levels', body: `{"model":"demo","x":${nested(63)},${MESSAGES}}` },
    {
      name: 'brackets and escaped quotes in strings',
      body: `{"model":"demo","messages":[{"role":"user","content":"\\"${'[{'.repeat(500)}"}]}`,
    },
    { name: 'exactly 4 MiB', body: padded(LIMIT) },
    { name: 'ordinary numbers', body: `{"model":"demo","temperature":0.5,"seed":-1e308,"top_p":true,${MESSAGES}}` },
    { name: 'Content-Encoding: identity', body: FINE, headers: { 'content-encoding': 'identity' } },
    { name: 'a session id of 256 bytes', body: FINE, headers: { 'x-signet-session': 's'.repeat(256) } },
    { name: 'a session id with blanks around it', body: FINE, headers: { 'x-signet-session': '  a_b.c:d-9 ' } },
    { name: 'a blank session id', body: FINE, headers: { 'x-signet-session': '   ' } },
    { name: 'printable ASCII and TAB in a forwarded header', body: FINE, headers: { 'openai-organization': 'a\tb~!' } },
    { name: 'pairs of surrogates', body: FINE.replace('hi', '\\ud83d\\ude00') },
    { name: 'any casing of header names', body: FINE, headers: { 'X-COMMIT-OWNER': 'human:alice@example.com' } },
  ]
  for (const c of passes) {
    it(`lets pass: ${c.name}`, async () => {
      const before = verbose.upstreamRequests()
      const owner = c.name === 'any casing of header names' ? null : 'human:alice@example.com'
      const res = await chat(verbose, c.body, { owner, ...(c.headers === undefined ? {} : { headers: c.headers }) })
      const text = await res.text()
      expect([res.status, text.slice(0, 300)]).toEqual([200, text.slice(0, 300)])
      expect(verbose.upstreamRequests()).toBe(before + 1)
      expect(Buffer.from(verbose.seen.at(-1) ?? []).equals(Buffer.from(c.body))).toBe(true)
    })
  }
})
