import { describe, expect, it } from 'vitest'
import { type Credential, createRequestHeaders, relayHeaders } from './headers.ts'

const JSON_FACTS = { contentType: 'application/json', accept: 'application/json' }
const OWN = ['user-agent', 'signet/1.2.3', 'accept', 'application/json', 'content-type', 'application/json']

function outgoing(
  rawHeaders: string[],
  credential: Credential = { kind: 'passthrough' },
  more: { forward?: string[]; used?: string[] } = {},
) {
  const headers = createRequestHeaders({
    credential,
    userAgent: 'signet/1.2.3',
    ...(more.forward === undefined ? {} : { forward: more.forward }),
  })
  return headers.outgoing(rawHeaders, {
    ...JSON_FACTS,
    ...(more.used === undefined ? {} : { usedForIdentity: more.used }),
  })
}

describe('what goes upstream', () => {
  it('only the listed names, in any casing, and the gate’s own', () => {
    expect(
      outgoing([
        'AUTHORIZATION',
        'Bearer k',
        'OpenAI-Beta',
        'assistants=v2',
        'openai-organization',
        'org',
        'OpenAI-Project',
        'p',
      ]),
    ).toEqual([
      ...OWN,
      'authorization',
      'Bearer k',
      'openai-beta',
      'assistants=v2',
      'openai-organization',
      'org',
      'openai-project',
      'p',
    ])
  })

  it.each([
    'Host',
    'Connection',
    'Keep-Alive',
    'Transfer-Encoding',
    'TE',
    'Trailer',
    'Upgrade',
    'Proxy-Authorization',
    'Expect',
    'Content-Length',
    'Content-Encoding',
    'Content-Type',
    'Accept',
    'Accept-Encoding',
    'User-Agent',
    'Cookie',
    'Origin',
    'Referer',
    'Sec-Fetch-Site',
    'Forwarded',
    'Via',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Real-IP',
    'X-Signet-Session',
    'X-Signet-Anything',
    'X-Commit-Owner',
    'X-Agent-Id',
    'X-Policy-Name',
    'X-Policy-Version',
    'X-Classification',
    'X-Caller-Clearance',
  ])('%s never does, and no setting can make it', name => {
    expect(outgoing([name, 'value'])).toEqual(OWN)
    expect(() => outgoing([], { kind: 'none' }, { forward: [name] })).toThrow(
      /extraForwardHeaders: .* can never be forwarded/,
    )
  })

  it('headers nobody listed do not', () => {
    expect(outgoing(['X-Custom', '1', 'traceparent', '00-1', 'X-Stainless-Lang', 'js'])).toEqual(OWN)
    expect(outgoing(['Traceparent', '00-1'], { kind: 'none' }, { forward: ['traceparent'] })).toEqual([
      ...OWN,
      'traceparent',
      '00-1',
    ])
  })

  it('blank values count as absent, blanks around a value are dropped, repeated lists stay', () => {
    expect(outgoing(['openai-beta', '  ', 'openai-project', ' p '])).toEqual([...OWN, 'openai-project', 'p'])
    expect(outgoing(['anthropic-beta', 'a', 'anthropic-beta', 'b'])).toEqual([
      ...OWN,
      'anthropic-beta',
      'a',
      'anthropic-beta',
      'b',
    ])
  })

  it('what Connection names belongs to the caller’s connection', () => {
    expect(outgoing(['Connection', 'close, OpenAI-Beta', 'OpenAI-Beta', 'x'])).toEqual(OWN)
    expect(outgoing(['Connection', 'keep-alive', 'OpenAI-Beta', 'x'])).toEqual([...OWN, 'openai-beta', 'x'])
  })

  it('a request without a body has no content type', () => {
    const headers = createRequestHeaders({ credential: { kind: 'none' }, userAgent: 'signet/1' })
    expect(headers.outgoing([], { contentType: undefined, accept: 'text/event-stream' })).toEqual([
      'user-agent',
      'signet/1',
      'accept',
      'text/event-stream',
    ])
  })

  it.each([
    ['CR LF', 'Authorization', 'Bearer x\r\nX-Injected: 1'],
    ['NUL', 'OpenAI-Beta', 'a\u0000b'],
    ['NEL', 'OpenAI-Organization', 'a\u0085b'],
    ['NBSP', 'OpenAI-Project', 'a\u00a0b'],
    ['a byte over 0x7E', 'OpenAI-Beta', 'caf\u00e9'],
    ['DEL', 'OpenAI-Beta', 'a\u007f'],
  ])('%s in a forwarded header is refused by name, not by value', (_, name, value) => {
    expect(outgoing([name, value])).toMatchObject({
      kind: 'fault',
      code: 'header_invalid_charset',
      details: { header_name: name.toLowerCase() },
    })
    expect(JSON.stringify(outgoing([name, value]))).not.toContain('Injected')
  })

  it('TAB and every printable ASCII character pass, and other headers may hold anything', () => {
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
      .join('')
      .trim()
    expect(outgoing(['openai-beta', `a\t${printable}`])).toContain(`a\t${printable}`)
    expect(outgoing(['x-other', '\u00ff'])).toEqual(OWN)
  })

  it.each([['a b'], [''], ['a:b'], ['a\r\nb'], ['é']])('%s is no header name', name => {
    expect(() => outgoing([], { kind: 'none' }, { forward: [name] })).toThrow(/extraForwardHeaders/)
  })
})

describe('whose credential', () => {
  const CALLER = ['Authorization', 'Bearer caller', 'X-Api-Key', 'caller-key']
  const STORED: Credential = { kind: 'stored', header: 'Authorization', value: 'Bearer stored' }

  it('none: nobody’s', () => {
    expect(outgoing(CALLER, { kind: 'none' })).toEqual(OWN)
  })

  it('passthrough: the caller’s', () => {
    expect(outgoing(CALLER)).toEqual([...OWN, 'authorization', 'Bearer caller', 'x-api-key', 'caller-key'])
  })

  it('stored: the operator’s, whatever the caller sends', () => {
    expect(outgoing(CALLER, STORED)).toEqual([...OWN, 'authorization', 'Bearer stored'])
    expect(outgoing([], { kind: 'stored', header: 'x-api-key', value: 'sk' })).toEqual([...OWN, 'x-api-key', 'sk'])
  })

  it('stored with passthrough: the caller’s own wins, the operator’s otherwise', () => {
    expect(outgoing(['Authorization', 'Bearer caller'], { ...STORED, passthrough: true })).toEqual([
      ...OWN,
      'authorization',
      'Bearer caller',
    ])
    expect(outgoing([], { ...STORED, passthrough: true })).toEqual([...OWN, 'authorization', 'Bearer stored'])
  })

  it('a credential that identified the caller stays here, under whatever name it was sent', () => {
    const used = { used: ['authorization'] }
    expect(outgoing(['Authorization', 'Bearer tok'], { kind: 'passthrough' }, used)).toEqual(OWN)
    expect(
      outgoing(
        ['Authorization', 'Bearer tok', 'x-api-key', 'tok', 'openai-beta', 'x-tok-y'],
        { kind: 'passthrough' },
        used,
      ),
    ).toEqual(OWN)
    expect(outgoing(['Authorization', 'Bearer tok', 'x-api-key', 'other'], { kind: 'passthrough' }, used)).toEqual([
      ...OWN,
      'x-api-key',
      'other',
    ])
    expect(outgoing(['Authorization', 'Bearer tok'], { ...STORED, passthrough: true }, used)).toEqual([
      ...OWN,
      'authorization',
      'Bearer stored',
    ])
  })

  it.each([
    ['header', { kind: 'stored', header: 'cookie', value: 'x' }],
    ['header', { kind: 'stored', header: 'x y', value: 'x' }],
    ['value', { kind: 'stored', header: 'authorization', value: 'hunter2\r\nX: 1' }],
    ['value', { kind: 'stored', header: 'authorization', value: ' ' }],
  ] as [string, Credential][])(
    'a stored credential with an impossible %s is refused without being repeated',
    (_, credential) => {
      expect(() => outgoing([], credential)).toThrow(/^upstream credential: (?!.*hunter2)/)
    },
  )
})

describe('what comes back', () => {
  it('content type, request ids, rate limits and retry hints', () => {
    const kept = {
      'content-type': 'application/json',
      'x-request-id': 'req_1',
      'request-id': 'req_2',
      'openai-processing-ms': '12',
      'openai-version': '2020-10-01',
      'openai-organization': 'org',
      'x-ratelimit-remaining-tokens': '10',
      'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:00Z',
      'ratelimit-policy': '"default";q=100',
      'retry-after': '7',
      'retry-after-ms': '7000',
    }
    expect(relayHeaders(kept)).toEqual(Object.entries(kept).flat())
  })

  it.each([
    'set-cookie',
    'server',
    'connection',
    'transfer-encoding',
    'content-length',
    'content-encoding',
    'keep-alive',
    'location',
    'alt-svc',
    'strict-transport-security',
    'access-control-allow-origin',
    'x-signet-receipt',
    'x-signet-upstream',
    'x-signet-correlation-id',
    'x-signet-ratelimit-x',
    'www-authenticate',
    'cf-ray',
    '__proto__',
  ])('never %s', name => {
    expect(relayHeaders(Object.fromEntries([[name, 'value']]))).toEqual([])
  })

  it.each([['a\r\nx-signet-receipt: forged'], ['\u0085'], ['caf\u00e9'], [''], ['x'.repeat(513)]])(
    'never the value %j',
    value => {
      expect(relayHeaders({ 'x-request-id': value })).toEqual([])
    },
  )

  it('no header sent twice, none that Connection names, and not hundreds', () => {
    expect(relayHeaders({ 'retry-after': ['1', '2'] })).toEqual([])
    expect(relayHeaders({ connection: 'close, X-Request-Id', 'x-request-id': '1' })).toEqual([])
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-ratelimit-${String(i)}`, '1']))
    expect(relayHeaders(many)).toHaveLength(128)
  })
})
