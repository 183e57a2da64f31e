import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from './problem.ts'
import {
  DEFAULTS,
  environmentName,
  fromEnvironment,
  fromFlags,
  fromPipeline,
  SETTING_NAMES,
  settle,
} from './settings.ts'

const SECRET = 'ab'.repeat(32)

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

const env = (variables: Record<string, string>) => settle([fromEnvironment(variables, '')])
const file = (settings: Record<string, unknown>) => settle([fromPipeline(settings, 'pipeline.ts')])

describe('names', () => {
  it('keeps the variable names users know', () => {
    for (const name of [
      'SIGNET_UPSTREAM_URL',
      'SIGNET_UPSTREAM_API_KEY',
      'SIGNET_HOST',
      'SIGNET_PORT',
      'SIGNET_REQUEST_TIMEOUT_S',
      'SIGNET_AUDIT_LOG_PATH',
      'SIGNET_HMAC_KEY_ID',
      'SIGNET_HMAC_SECRET',
      'SIGNET_ALLOW_EPHEMERAL_KEY',
      'SIGNET_RECEIPT_HEADER_NAME',
      'SIGNET_EMIT_RECEIPTS',
      'SIGNET_UPSTREAM_LABEL',
      'SIGNET_MAX_REQUEST_BODY_BYTES',
      'SIGNET_STRICT_ERROR_REDACTION',
      'SIGNET_SHADOW',
      'SIGNET_LOG_FORMAT',
    ]) {
      expect(SETTING_NAMES.map(environmentName)).toContain(name)
    }
  })

  it('every default passes its own shape', () => {
    expect(file({ ...DEFAULTS }).settings).toEqual(DEFAULTS)
  })

  it('every setting can be set by a variable and lands under its name', () => {
    const text: Record<string, string> = {
      upstreamUrl: 'https://x.example/v1',
      upstreamApiKey: 'sk-1',
      anthropicUpstreamUrl: 'https://y.example/v1',
      extraForwardHeaders: 'X-Team',
      allowedHosts: 'gate.example.com,10.0.0.5',
      allowedOrigins: 'https://a.example',
      trustedProxies: '10.0.0.0/8,fd00::/8',
      identity: 'asserted',
      allowReferenceKinds: 'file,vector_store',
      onEscalate: '403',
      onRefuse: 'continue',
      auditBeforeForward: 'always',
      redisUrl: 'rediss://redis.example.com',
      hmacSecret: SECRET,
      hmacLegacyKeys: `k0=${SECRET}`,
      receipts: 'signet-v1',
      receiptSigner: '{"command":"./signer"}',
      logFormat: 'json',
      host: '::1',
      corsAllowedOrigins: 'https://a.example,https://b.example:8443',
      corsAllowedMethods: 'GET,POST',
      corsAllowedHeaders: 'Authorization',
      receiptHeaderName: 'X-Receipt',
      approvalQuorum: '2',
      approverAuth: 'passkey',
      passkeyRpId: 'signet.example.com',
      passkeyOrigins: 'https://signet.example.com',
      passkeyRegistration: 'self',
      redeemers: `payments=sha256:${'a'.repeat(64)}`,
      approvers: 'human:bob@example.com',
      controlIdentity: 'asserted',
      notifications: '{"webhooks":[]}',
      webhookSecrets: 'ops=whsec_AAAA',
      viewers: 'human:bob@example.com',
      admins: 'human:bob@example.com',
      controlHost: '::1',
      controlPort: '7',
      controlAllowedHosts: 'log.example.com',
      consoleOidcScopes: 'openid,groups',
      consoleOidcToken: 'access_token',
      transparencyLogOrigin: 'log.example.com/signet',
      anchorUrls: 'https://tsa.example.com/tsr',
      anchorPolicy: '1.2.3.4.1',
      anchorEveryRows: '7',
    }
    for (const name of SETTING_NAMES) {
      const usual: unknown = Object.entries(DEFAULTS).find(([key]) => key === name)?.[1]
      const fallback = typeof usual === 'boolean' ? String(!usual) : typeof usual === 'number' ? '7' : 'some-name'
      const { settings } = env({ [environmentName(name)]: text[name] ?? fallback })
      expect(settings[name], name).not.toEqual(usual)
    }
  })
})

describe('precedence', () => {
  it('is flag, environment, .env, pipeline.ts, default', () => {
    const layers = [
      fromFlags({ port: '1' }),
      fromEnvironment({ SIGNET_PORT: '2', SIGNET_HOST: 'localhost' }, ''),
      fromEnvironment({ SIGNET_PORT: '3', SIGNET_HOST: '127.0.0.2', SIGNET_ISSUER: 'from-dotenv' }, '.env'),
      fromPipeline({ port: 4, host: '127.0.0.3', issuer: 'from-file', maxConcurrent: 5 }, 'pipeline.ts'),
    ]
    const { settings } = settle(layers)
    expect(settings).toMatchObject({
      port: 1,
      host: 'localhost',
      issuer: 'from-dotenv',
      maxConcurrent: 5,
      requestTimeoutS: 120,
    })
    expect(settle(layers.slice(1)).settings.port).toBe(2)
    expect(settle(layers.slice(2)).settings.port).toBe(3)
    expect(settle(layers.slice(3)).settings.port).toBe(4)
  })

  it('an empty variable is unset', () => {
    expect(env({ SIGNET_PORT: '', SIGNET_HOST: ' \n' }).settings).toMatchObject({ port: 8443, host: '127.0.0.1' })
  })

  it('a switch that is off wins over a variable that is on', () => {
    const { settings } = settle([fromFlags({ shadow: false }), fromEnvironment({ SIGNET_SHADOW: '1' }, '')])
    expect(settings.shadow).toBe(false)
  })
})

describe('booleans', () => {
  it.each(['1', 'true', 'yes', 'on', 'enabled', 'TRUE', ' On '])('%j is true', text => {
    expect(env({ SIGNET_SHADOW: text }).settings.shadow).toBe(true)
  })

  it.each(['0', 'false', 'no', 'off', 'disabled', 'OFF'])('%j is false', text => {
    expect(env({ SIGNET_STRICT_ERROR_REDACTION: text }).settings.strictErrorRedaction).toBe(false)
  })

  it('a typo does not turn a protection off', () => {
    expect(problemsOf(() => env({ SIGNET_STRICT_ERROR_REDACTION: 'ture' }))).toEqual([
      'SIGNET_STRICT_ERROR_REDACTION: expected 1, true, yes, on or enabled, or 0, false, no, off or disabled, got "ture"',
    ])
  })

  it('nothing but the ten words is a boolean', () => {
    const words = new Set(['1', 'true', 'yes', 'on', 'enabled', '0', 'false', 'no', 'off', 'disabled'])
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), text => {
        fc.pre(text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '') !== '' && !words.has(text.trim().toLowerCase()))
        expect(problemsOf(() => env({ SIGNET_SHADOW: text }))).toHaveLength(1)
      }),
    )
  })
})

describe('wrong values', () => {
  const control = (n: number) => String.fromCodePoint(n)

  it.each([
    ['SIGNET_PORT', '70000', 'from 0 to 65535'],
    ['SIGNET_PORT', '-1', 'from 0 to 65535'],
    ['SIGNET_PORT', 'http', 'whole number'],
    ['SIGNET_PORT', '8443.5', 'whole number'],
    ['SIGNET_PORT', '0x50', 'whole number'],
    ['SIGNET_PORT', 'tcp://10.0.0.1:8443', 'enableServiceLinks'],
    ['SIGNET_REQUEST_TIMEOUT_S', '0', 'above 0'],
    ['SIGNET_REQUEST_TIMEOUT_S', 'NaN', 'decimal number'],
    ['SIGNET_REQUEST_TIMEOUT_S', 'Infinity', 'decimal number'],
    ['SIGNET_REQUEST_TIMEOUT_S', '2147484', 'at most 2147483'],
    ['SIGNET_MAX_REQUEST_BODY_BYTES', '0', 'from 1 to'],
    ['SIGNET_MAX_REQUEST_BODY_BYTES', '99999999999999999999', 'whole number'],
    ['SIGNET_SHUTDOWN_GRACE_SECONDS', '-0.1', 'from 0 to'],
    ['SIGNET_HMAC_SECRET', 'ab'.repeat(31), '31 bytes long, expected at least 32'],
    ['SIGNET_HMAC_SECRET', `${'ab'.repeat(31)}zz`, 'not hexadecimal'],
    ['SIGNET_HMAC_SECRET', `${SECRET}a`, 'odd number'],
    ['SIGNET_HMAC_KEY_ID', 'k 1', 'U+0020'],
    ['SIGNET_HMAC_KEY_ID', `k${control(0x1b)}[31m`, 'U+001B'],
    ['SIGNET_HMAC_KEY_ID', `k${control(0x1f600)}`, 'U+1F600'],
    ['SIGNET_HMAC_LEGACY_KEYS', 'k0', 'id=hex'],
    ['SIGNET_HMAC_LEGACY_KEYS', 'k0=abcd', '2 bytes long'],
    ['SIGNET_HMAC_LEGACY_KEYS', `k0=${SECRET},k0=${SECRET}`, 'twice'],
    ['SIGNET_RECEIPT_HEADER_NAME', 'X-Receipt\r\nX-Evil: 1', 'not a header name'],
    ['SIGNET_RECEIPT_HEADER_NAME', 'X Receipt', 'not a header name'],
    ['SIGNET_RECEIPT_HEADER_NAME', 'Content-Length', 'meaning of its own'],
    ['SIGNET_EXTRA_FORWARD_HEADERS', 'Authorization,Host', 'never forwarded'],
    ['SIGNET_EXTRA_FORWARD_HEADERS', 'X-Caller-Clearance', 'never forwarded'],
    ['SIGNET_EXTRA_FORWARD_HEADERS', 'X Y', 'not a header name'],
    ['SIGNET_UPSTREAM_API_KEY', 'sk\nX-Evil: 1', 'control'],
    ['SIGNET_UPSTREAM_LABEL', 'é', 'ASCII'],
    ['SIGNET_HOST', 'a b', 'host name'],
    ['SIGNET_HOST', 'http://127.0.0.1', 'host name'],
    ['SIGNET_HOST', '999.1.1.1', 'host name'],
    ['SIGNET_ALLOWED_ORIGINS', 'https://a.example/', 'not an origin'],
    ['SIGNET_CORS_ALLOWED_ORIGINS', '*', 'not an origin'],
    ['SIGNET_TRUSTED_PROXIES', '10.0.0.0/33', 'address range'],
    ['SIGNET_IDENTITY', 'none', '"asserted"'],
    ['SIGNET_IDENTITY', '{"jwt":{}}', 'SIGNET_IDENTITY_FILE'],
    ['SIGNET_ANTHROPIC_UPSTREAM_URL', 'demo', 'not a URL'],
    ['SIGNET_ANTHROPIC_UPSTREAM_API_KEY', 'sk 1', 'holds a blank'],
    ['SIGNET_ANTHROPIC_UPSTREAM_LABEL', 'é', 'ASCII'],
    ['SIGNET_MAX_HELD_BYTES', '0', 'from 1 to'],
    ['SIGNET_MAX_HELD_BYTES_TOTAL', '1e9', 'whole number'],
    ['SIGNET_ESCALATION_TTL_S', '0', 'above 0'],
    ['SIGNET_TLS_KEY_FILE', 'con.pem', 'Windows device'],
    ['SIGNET_REDIS_URL', 'http://127.0.0.1:6379', 'not a Redis URL'],
    ['SIGNET_REDIS_URL', '127.0.0.1:6379', 'not a Redis URL'],
    ['SIGNET_REDIS_URL', 'redis://', 'not a Redis URL'],
    ['SIGNET_REDIS_URL', 'redis:///0', 'names no host'],
    ['SIGNET_REDIS_URL', 'redis://h:99999', 'not a Redis URL'],
    ['SIGNET_REDIS_URL', 'redis://h/zero', 'database number'],
    ['SIGNET_REDIS_URL', 'redis://h/0?family=6', 'query'],
    ['SIGNET_REDIS_URL', 'redis://h\u200b', 'U+200B'],
    ['SIGNET_REDIS_URL', 'redis://gate:deadbeef@h', 'SIGNET_REDIS_PASSWORD_FILE'],
    ['SIGNET_REDIS_KEY_PREFIX', 'signet:{a}', 'not a key prefix'],
    ['SIGNET_REDIS_KEY_PREFIX', 'a'.repeat(65), 'not a key prefix'],
    ['SIGNET_REDIS_TIMEOUT_MS', '0', 'from 1 to 5000'],
    ['SIGNET_REDIS_TIMEOUT_MS', '5001', 'from 1 to 5000'],
    ['SIGNET_REDIS_PASSWORD', 'a\u0007b', 'control character'],
    ['SIGNET_ON_ESCALATE', '200', '"202", "403" or "hold"'],
    ['SIGNET_AUDIT_LOG_PATH', 'con.jsonl', 'Windows device'],
    ['SIGNET_AUDIT_LOG_PATH', '/var/log/audit.jsonl:stream', 'NTFS stream'],
  ])('%s=%j: says what is wrong, names the variable, in one line', (name, text, expected) => {
    const problems = problemsOf(() => env({ [name]: text }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`${name}: `)
    expect(problems[0]).toContain(expected)
    expect(problems[0]).not.toMatch(/[\n\r\x1b]/)
  })

  it.each([
    ['port', '8443'],
    ['port', true],
    ['port', -1],
    ['requestTimeoutS', Number.NaN],
    ['requestTimeoutS', Number.POSITIVE_INFINITY],
    ['requestTimeoutS', '5'],
    ['maxRequestBodyBytes', 0],
    ['shutdownGraceSeconds', Number.NaN],
    ['hmacSecret', new Uint8Array(32)],
    ['shadow', 'false'],
    ['shadow', 1],
    ['extraForwardHeaders', 'Authorization'],
    ['extraForwardHeaders', ['ok', 3]],
    ['upstreamUrl', 5],
    ['identity', ['asserted']],
    ['identity', null],
    ['identity', 'jwt'],
    ['anthropicUpstreamUrl', 'ftp://x'],
    ['escalationTtlS', '900'],
    ['allowReferenceKinds', ['files']],
    ['allowOpaqueInputs', 'yes'],
    ['maxHeldBytes', 0.5],
  ])('pipeline.ts: %s %j is refused', (name, value) => {
    const problems = problemsOf(() => file({ [name]: value }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`${name} (pipeline.ts): `)
  })

  it.each([
    'ftp://x/v1',
    'file:///etc/passwd',
    'x.example/v1',
    'http:x.example',
    'https://user:pass@x.example/v1',
    'https://x.example/v1?key=1',
    'https://x.example/v1#a',
    'https://x.example/v1?',
    'https:\\\\x.example',
    ...[0x00, 0x0a, 0x1b, 0x7f, 0x85, 0xa0, 0x200b, 0x202e, 0x2028, 0x3000, 0xfeff].map(
      n => `https://x${control(n)}y.example/v1`,
    ),
    `${control(0xfeff)}https://x.example/v1`,
    `https://x.example/v1${control(0xa0)}`,
  ])('upstream %j is refused, from a variable, a flag and pipeline.ts alike', url => {
    expect(problemsOf(() => env({ SIGNET_UPSTREAM_URL: url }))).toHaveLength(1)
    expect(problemsOf(() => settle([fromFlags({ upstreamUrl: url })]))).toHaveLength(1)
    expect(problemsOf(() => file({ upstreamUrl: url }))).toHaveLength(1)
  })

  it.each([
    ['https://api.openai.com/v1\n', 'https://api.openai.com/v1'],
    [' http://[::1]:11434/v1/ ', 'http://[::1]:11434/v1'],
    ['demo', 'demo'],
  ])('upstream %j is %j', (given, expected) => {
    expect(env({ SIGNET_UPSTREAM_URL: given }).settings.upstreamUrl).toBe(expected)
  })

  it.each([
    ['redis://h:6380/2', 'redis://h:6380/2'],
    [' rediss://[::1]:6379/ ', 'rediss://[::1]:6379'],
  ])('redis %j is %j', (given, expected) => {
    expect(env({ SIGNET_REDIS_URL: given }).settings.redisUrl).toBe(expected)
  })

  it.each([
    'redis://:deadbeef@h',
    'redis://:dead/deadbeef@h',
    'redis://gate:dead@deadbeef@h',
    'redis://gate:deadbeef#@h',
    'https://gate:deadbeef@h/v1',
    'https://gate:a/deadbeef@h/v1',
  ])('no password of the URL %j is shown', url => {
    for (const problems of [
      problemsOf(() => env({ SIGNET_REDIS_URL: url })),
      problemsOf(() => settle([fromFlags({ upstreamUrl: url })])),
      problemsOf(() => file({ redisUrl: url })),
    ]) {
      expect(problems).toHaveLength(1)
      expect(problems.join()).not.toContain('deadbeef')
    }
  })

  it('never shows a secret', () => {
    const secret = `deadbeef${'0'.repeat(20)}zz`
    const problems = [
      ...problemsOf(() =>
        env({
          SIGNET_HMAC_SECRET: secret,
          SIGNET_HMAC_LEGACY_KEYS: `a=${secret}`,
          SIGNET_UPSTREAM_API_KEY: `${secret}\u00e9`,
          SIGNET_ANTHROPIC_UPSTREAM_API_KEY: `${secret}\u00e9`,
          SIGNET_REDIS_PASSWORD: `${secret}\u0007`,
        }),
      ),
      ...problemsOf(() => file({ hmacSecret: { secret }, upstreamApiKey: [secret] })),
    ]
    expect(problems).toHaveLength(7)
    expect(problems.join()).not.toContain('deadbeef')
  })
})

describe('unknown settings', () => {
  it('a misspelt variable is an error that names the nearest', () => {
    expect(problemsOf(() => env({ SIGNET_STRICT_EROR_REDACTION: '1' }))).toEqual([
      'SIGNET_STRICT_EROR_REDACTION: unknown setting, did you mean SIGNET_STRICT_ERROR_REDACTION; correct the name or unset it',
    ])
    expect(problemsOf(() => env({ signet_port: '1' }))).toHaveLength(1)
  })

  it('a misspelt key in pipeline.ts is an error that names the nearest', () => {
    expect(problemsOf(() => file({ shdow: true }))).toEqual([
      'shdow (pipeline.ts): unknown setting, did you mean shadow; correct the name or remove it',
    ])
    expect(problemsOf(() => file({ __proto__x: 1, constructor: 1 }))).toHaveLength(2)
  })

  it('says why a setting of the Python implementation is gone', () => {
    expect(problemsOf(() => env({ SIGNET_INSPECT_ALL_SSE_LINES: 'false' }))[0]).toContain('always; remove the setting')
    expect(problemsOf(() => env({ SIGNET_INSPECT_ALL_SSE_LINES: 'perhaps' }))).toHaveLength(1)
    expect(problemsOf(() => file({ realtimeEnabled: true }))[0]).toContain('no realtime endpoint')
  })

  it('takes one that asks for what always holds', () => {
    for (const on of ['true', '1', 'yes', 'on']) env({ SIGNET_INSPECT_ALL_SSE_LINES: on })
    file({ inspectAllSseLines: true })
    expect(problemsOf(() => file({ inspectAllSseLines: false }))).toHaveLength(1)
  })

  it('other variables and what Kubernetes adds are left alone', () => {
    const variables = {
      PATH: '/bin',
      SIGNET_SERVICE_HOST: '10.0.0.1',
      SIGNET_SERVICE_PORT_HTTP: '8443',
      SIGNET_PORT_8443_TCP_ADDR: '10.0.0.1',
      SIGNET_ANONYMIZE_SALT: 's',
    }
    expect(env(variables).settings).toEqual(DEFAULTS)
  })

  it('reports every problem at once', () => {
    expect(
      problemsOf(() => env({ SIGNET_PORT: 'x', SIGNET_SHADOW: 'maybe', SIGNET_NOPE: '1', SIGNET_HOST: '?' })),
    ).toHaveLength(4)
  })
})
