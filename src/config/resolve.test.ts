import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { AUTHORITY, pem, REVOCATIONS } from '../identity/certificates.test-support.ts'
import { ConfigError } from './problem.ts'
import { resolveSettings } from './resolve.ts'
import { fromEnvironment, fromPipeline } from './settings.ts'

const SECRET = 'ab'.repeat(32)
const folder = mkdtempSync(join(tmpdir(), 'signet-resolve-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const LOG = join(folder, 'audit.jsonl')
const PRODUCTION = {
  SIGNET_HMAC_SECRET: SECRET,
  SIGNET_RECEIPT_KEY_FILE: join(folder, 'receipt.pem'),
  SIGNET_IDENTITY: 'asserted',
  SIGNET_AUDIT_LOG_PATH: LOG,
}

const resolve = (variables: Record<string, string>, dev = false) =>
  resolveSettings([fromEnvironment(variables, '')], dev)

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('outside --dev', () => {
  it('starts with a key, a receipt key and a word on identity', () => {
    const resolved = resolve(PRODUCTION)
    expect(resolved).toMatchObject({ dev: false, hmacKey: 'given', receiptKey: 'given', warnings: [] })
    expect(resolved.settings).toMatchObject({ hmacSecret: SECRET, identity: 'asserted', strictErrorRedaction: true })
  })

  it('does not start with nothing set, and says everything that is missing, one line each', () => {
    const problems = problemsOf(() => resolve({ SIGNET_AUDIT_LOG_PATH: LOG }))
    expect(problems.map(line => line.split(':')[0])).toEqual([
      'SIGNET_HMAC_SECRET',
      'SIGNET_RECEIPT_KEY_FILE',
      'SIGNET_IDENTITY',
    ])
    for (const line of problems) expect(line).not.toContain('\n')
  })

  it('takes a key that dies with the process only when told to', () => {
    const resolved = resolve({
      SIGNET_IDENTITY: 'asserted',
      SIGNET_AUDIT_LOG_PATH: LOG,
      SIGNET_ALLOW_EPHEMERAL_KEY: '1',
    })
    expect(resolved).toMatchObject({ hmacKey: 'ephemeral', receiptKey: 'ephemeral' })
    expect(resolved.warnings.join()).toContain('as long as this process')
  })

  it('needs no receipt key when receipts are off', () => {
    const { SIGNET_RECEIPT_KEY_FILE: _, ...rest } = PRODUCTION
    expect(resolve({ ...rest, SIGNET_EMIT_RECEIPTS: '0' }).receiptKey).toBe('off')
  })
})

describe('--dev', () => {
  it('asserts owners, keeps its keys and answers in full', () => {
    const resolved = resolve({ SIGNET_AUDIT_LOG_PATH: LOG }, true)
    expect(resolved).toMatchObject({ dev: true, hmacKey: 'kept in .signet', receiptKey: 'kept in .signet' })
    expect(resolved.settings).toMatchObject({ identity: 'asserted', strictErrorRedaction: false })
  })

  it('changes only what nobody set', () => {
    const layers = [
      fromEnvironment({ SIGNET_HMAC_SECRET: SECRET, SIGNET_AUDIT_LOG_PATH: LOG }, ''),
      fromPipeline({ strictErrorRedaction: true }, 'pipeline.ts'),
    ]
    const resolved = resolveSettings(layers, true)
    expect(resolved.hmacKey).toBe('given')
    expect(resolved.settings.strictErrorRedaction).toBe(true)
  })
})

describe('passkeys', () => {
  const RP = { SIGNET_PASSKEY_RP_ID: 'signet.example.com' }
  it('are of one host name, on https pages of it; on this machine also on the control plane’s own port', () => {
    expect(resolve(PRODUCTION).passkeys).toBeUndefined()
    expect(resolve({ ...PRODUCTION, ...RP }).passkeys).toEqual({
      id: 'signet.example.com',
      origins: ['https://signet.example.com'],
    })
    const here = { SIGNET_PASSKEY_RP_ID: 'localhost', SIGNET_CONTROL_PORT: '9444' }
    expect(resolve({ ...PRODUCTION, ...here }).passkeys?.origins).toEqual([
      'https://localhost',
      'http://localhost:9444',
    ])
    const below = { ...RP, SIGNET_PASSKEY_ORIGINS: 'https://ops.signet.example.com:8443' }
    expect(resolve({ ...PRODUCTION, ...below }).passkeys?.origins).toEqual(['https://ops.signet.example.com:8443'])
  })

  it.each<[Record<string, string>, string]>([
    [{ SIGNET_APPROVER_AUTH: 'passkey' }, 'needs passkeyRpId'],
    [{ SIGNET_PASSKEY_ORIGINS: 'https://a.example' }, 'set without passkeyRpId'],
    [{ ...RP, SIGNET_PASSKEY_ORIGINS: 'https://example.com' }, 'cannot use passkeys of "signet.example.com"'],
    [{ ...RP, SIGNET_PASSKEY_ORIGINS: 'https://notsignet.example.com' }, 'cannot use passkeys'],
    [{ ...RP, SIGNET_PASSKEY_ORIGINS: 'http://signet.example.com' }, 'https pages only'],
    [{ SIGNET_PASSKEY_RP_ID: '127.0.0.1' }, 'not a host name'],
    [{ SIGNET_PASSKEY_RP_ID: 'https://signet.example.com' }, 'not a host name'],
    [{ SIGNET_PASSKEY_REGISTRATION: 'anybody' }, '"invited" or "self"'],
  ])('%j does not start: %s', (variables, problem) => {
    expect(problemsOf(() => resolve({ ...PRODUCTION, ...variables })).join()).toContain(problem)
  })
})

it('roles from tokens are for the control plane alone', () => {
  const role = { claim: 'groups', roles: { ops: 'admin' } }
  const jwt = { issuers: [{ issuer: 'https://a.example', audience: 'x', discovery: true, claims: { role } }] }
  expect(problemsOf(() => withIdentity({ jwt })).join()).toContain('move it to controlIdentity')
  const wrong = { jwt: { issuers: [{ ...jwt.issuers[0], claims: { role: { ...role, roles: { ops: 'root' } } } }] } }
  expect(problemsOf(() => withIdentity(wrong)).join()).toContain('one of viewer, approver, admin')
})

describe('asserted identity', () => {
  it.each(['0.0.0.0', '::', '10.1.2.3', 'gate.example.com'])(
    'with a stored upstream key on %s does not start, not even in --dev',
    host => {
      const variables = { ...PRODUCTION, SIGNET_HOST: host, SIGNET_UPSTREAM_API_KEY: 'sk-1' }
      for (const dev of [false, true]) {
        expect(problemsOf(() => resolve(variables, dev)).join()).toContain('anybody who reaches the port spends it')
      }
    },
  )

  it.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost', '[::1]', '::ffff:127.0.0.1'])(
    'with a stored upstream key on %s starts',
    host => {
      expect(
        resolve({ ...PRODUCTION, SIGNET_HOST: host, SIGNET_UPSTREAM_API_KEY: 'sk-1' }).settings.upstreamApiKey,
      ).toBe('sk-1')
    },
  )

  it('on an open address without a stored key starts with a warning', () => {
    expect(resolve({ ...PRODUCTION, SIGNET_HOST: '10.1.2.3' }).warnings.join()).toContain('reachable from outside')
  })
})

const write = (name: string, text: string, mode: number): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}
const { SIGNET_IDENTITY: _asserted, ...UNSAID } = PRODUCTION
const HASH = `sha256:${'ab'.repeat(32)}`
const API_KEYS = { apiKey: { keys: [{ hash: HASH, owner: 'agent:crawler-7' }] } }
const MTLS = { mtls: { san: 'uri', rules: [{ name: 'spiffe://a.example/{id}', owner: 'agent:{id}' }] } }
const identityFile = (name: string, identity: unknown, mode = 0o644) => write(name, JSON.stringify(identity), mode)
const withIdentity = (identity: unknown, variables: Record<string, string> = {}, dev = false) =>
  resolveSettings([fromEnvironment({ ...UNSAID, ...variables }, ''), fromPipeline({ identity }, 'pipeline.ts')], dev)

describe('verified identity', () => {
  it('comes from pipeline.ts', () => {
    expect(withIdentity(API_KEYS)).toMatchObject({ settings: { identity: API_KEYS }, warnings: [], tls: undefined })
  })

  it('comes from a file, which wins over what --dev would set', () => {
    const variables = { ...UNSAID, SIGNET_IDENTITY_FILE: identityFile('identity.json', API_KEYS) }
    for (const dev of [false, true]) expect(resolve(variables, dev).settings.identity).toEqual(API_KEYS)
    const word = { ...UNSAID, SIGNET_IDENTITY_FILE: identityFile('word.json', 'asserted') }
    expect(resolve(word).settings.identity).toBe('asserted')
  })

  it('in pipeline.ts wins over what --dev would set', () => {
    expect(withIdentity(API_KEYS, {}, true).settings.identity).toEqual(API_KEYS)
  })

  it.each(['0.0.0.0', '10.1.2.3'])('with a stored upstream key on %s starts', host => {
    const variables = { SIGNET_HOST: host, SIGNET_UPSTREAM_API_KEY: 'sk-1', SIGNET_ALLOWED_HOSTS: 'gate.example.com' }
    const { settings, warnings } = withIdentity(API_KEYS, variables)
    expect(settings.upstreamApiKey).toBe('sk-1')
    expect(warnings).toEqual([expect.stringContaining("callers' credentials travel over plain http")])
    expect(warnings.join()).not.toContain('asserted')
  })

  it('that a variable turns back into "asserted" is worth a warning', () => {
    const { settings, warnings } = withIdentity(API_KEYS, { SIGNET_IDENTITY: 'asserted' })
    expect(settings.identity).toBe('asserted')
    expect(warnings).toEqual([expect.stringMatching(/^SIGNET_IDENTITY: "asserted" stands in for/)])
  })

  it.each<[string, unknown, string]>([
    ['a kind nobody knows', { saml: {} }, 'identity.saml: unknown setting'],
    ['no kind', {}, 'expected "asserted", or an object with jwt, apiKey, mtls or trustedProxy'],
    [
      'a misspelt member',
      { apiKey: { keys: [{ hash: HASH, owner: 'agent:a', clearence: 'CUI' }] } },
      'clearence: unknown',
    ],
    ['a missing member', { jwt: { issuers: [{ issuer: 'https://a.example' }] } }, 'audience: not set'],
    ['a wrong type', { trustedProxy: { proxies: '127.0.0.1', header: 'X-Email' } }, 'proxies: expected a list'],
  ])('with %s does not start, whether it is in pipeline.ts or in a file', (name, identity, expected) => {
    const problems = problemsOf(() => withIdentity(identity))
    expect(problems).toEqual([expect.stringMatching(/^identity \(pipeline\.ts\): /)])
    expect(problems[0]).toContain(expected)
    const path = identityFile(`${name}.json`, identity)
    const inFile = problemsOf(() => resolve({ ...UNSAID, SIGNET_IDENTITY_FILE: path }))
    expect(inFile).toEqual([expect.stringMatching(/^SIGNET_IDENTITY_FILE: in /)])
    expect(inFile[0]).toContain(expected)
  })

  it.each<[string, string, number, string]>([
    ['that others can write to', JSON.stringify(API_KEYS), 0o666, 'others can write to'],
    ['whose group can write to it', JSON.stringify(API_KEYS), 0o664, 'others can write to'],
    ['with one member twice', '{"apiKey":{"keys":[]},"apiKey":{"keys":[]}}', 0o600, 'json_duplicate_key'],
    ['that is no JSON', 'identity: asserted', 0o600, 'not strict JSON'],
    ['that is empty', '', 0o600, 'not strict JSON'],
  ])('a file %s is refused', (name, text, mode, expected) => {
    const path = write(name, text, mode)
    const problems = problemsOf(() => resolve({ ...UNSAID, SIGNET_IDENTITY_FILE: path }))
    expect(problems).toEqual([expect.stringContaining(expected)])
  })

  it('a file that is not there, or no file, is refused', () => {
    for (const path of [join(folder, 'missing.json'), folder]) {
      expect(problemsOf(() => resolve({ ...UNSAID, SIGNET_IDENTITY_FILE: path }))).toHaveLength(1)
    }
  })

  it('cannot be given twice', () => {
    const path = identityFile('twice.json', API_KEYS)
    expect(problemsOf(() => withIdentity(API_KEYS, { SIGNET_IDENTITY_FILE: path })).join()).toContain(
      'keep one of them',
    )
    expect(problemsOf(() => resolve({ ...PRODUCTION, SIGNET_IDENTITY_FILE: path })).join()).toContain('keep one')
  })
})

describe('TLS', () => {
  const server = pem('server')
  const files = {
    SIGNET_TLS_CERT_FILE: write('server.crt', server.cert, 0o644),
    SIGNET_TLS_KEY_FILE: write('server.key', server.key, 0o600),
  }
  const client = { SIGNET_TLS_CLIENT_CA_FILE: write('clients-ca.crt', AUTHORITY, 0o644) }
  const revoked = { SIGNET_TLS_CLIENT_CRL_FILE: write('clients.crl', REVOCATIONS, 0o644) }

  it('reads certificate, key, authorities and revocations', () => {
    expect(resolve({ ...PRODUCTION, ...files }).tls).toEqual({ cert: server.cert, key: server.key.trim() })
    expect(withIdentity(MTLS, { ...files, ...client, ...revoked }).tls).toEqual({
      cert: server.cert,
      key: server.key.trim(),
      clientCa: AUTHORITY,
      clientCrl: REVOCATIONS,
    })
  })

  it("leaves nothing to say of callers' credentials on an open address", () => {
    const variables = { ...files, SIGNET_HOST: '10.1.2.3' }
    expect(withIdentity(API_KEYS, variables).warnings).toEqual([])
  })

  it.each<[string, Record<string, string>, unknown, string]>([
    [
      'a certificate without a key',
      { SIGNET_TLS_CERT_FILE: files.SIGNET_TLS_CERT_FILE },
      API_KEYS,
      'set without tlsKeyFile',
    ],
    [
      'a key without a certificate',
      { SIGNET_TLS_KEY_FILE: files.SIGNET_TLS_KEY_FILE },
      API_KEYS,
      'set without tlsCertFile',
    ],
    ['mtls without authorities', files, MTLS, 'SIGNET_TLS_CLIENT_CA_FILE: not set'],
    ['authorities without mtls', { ...files, ...client }, API_KEYS, 'nobody is asked for a certificate'],
    ['authorities while owners are asserted', { ...files, ...client }, 'asserted', 'nobody is asked for a certificate'],
    ['revocations without authorities', { ...files, ...revoked }, API_KEYS, 'set without tlsClientCaFile'],
    ['mtls over plain http', client, MTLS, 'set without tlsCertFile'],
    [
      'a key of another certificate',
      { ...files, SIGNET_TLS_KEY_FILE: write('agent.key', pem('agent').key, 0o600) },
      API_KEYS,
      'belongs to another certificate',
    ],
    [
      'a key that everybody can read',
      { ...files, SIGNET_TLS_KEY_FILE: write('open.key', server.key, 0o644) },
      API_KEYS,
      'open to others',
    ],
    [
      'a key that is none',
      { ...files, SIGNET_TLS_KEY_FILE: write('none.key', 'secret-words', 0o600) },
      API_KEYS,
      'holds no private key',
    ],
    [
      'a certificate that is none',
      { ...files, SIGNET_TLS_CERT_FILE: write('none.crt', 'x', 0o644) },
      API_KEYS,
      'holds no certificate',
    ],
    [
      'authorities that others can replace',
      { ...files, SIGNET_TLS_CLIENT_CA_FILE: write('open-ca.crt', AUTHORITY, 0o666) },
      MTLS,
      'others can write to',
    ],
    [
      "a certificate that is no authority's",
      { ...files, SIGNET_TLS_CLIENT_CA_FILE: write('leaf.crt', pem('agent').cert, 0o644) },
      MTLS,
      "no authority's",
    ],
    [
      'revocations that are none',
      { ...files, ...client, SIGNET_TLS_CLIENT_CRL_FILE: write('none.crl', AUTHORITY, 0o644) },
      MTLS,
      'no revocation list',
    ],
    [
      'revocations that are garbage',
      {
        ...files,
        ...client,
        SIGNET_TLS_CLIENT_CRL_FILE: write('bad.crl', REVOCATIONS.replace(/[A-Za-z0-9]{40}/, 'A'.repeat(40)), 0o644),
      },
      MTLS,
      'no revocation list',
    ],
  ])('with %s does not start', (_name, variables, identity, expected) => {
    const problems = problemsOf(() => withIdentity(identity, variables))
    expect(problems).toEqual([expect.stringContaining(expected)])
    expect(problems[0]).toMatch(/^SIGNET_TLS_\w+_FILE: [^\n]+$/)
    expect(problems[0]).not.toContain('secret-words')
  })
})

describe('an upstream of their own for the Anthropic surfaces', () => {
  const url = { SIGNET_ANTHROPIC_UPSTREAM_URL: 'https://api.anthropic.com/v1' }

  it('has a key of its own, from a variable or a file', () => {
    const given = resolve({ ...PRODUCTION, ...url, SIGNET_ANTHROPIC_UPSTREAM_API_KEY: 'sk-ant-1' })
    expect(given.settings).toMatchObject({ anthropicUpstreamApiKey: 'sk-ant-1' })
    expect(given.settings.upstreamApiKey).toBeUndefined()
    const file = write('anthropic-key', 'sk-ant-2\n', 0o600)
    const read = resolve({ ...PRODUCTION, ...url, SIGNET_ANTHROPIC_UPSTREAM_API_KEY_FILE: file })
    expect(read.settings.anthropicUpstreamApiKey).toBe('sk-ant-2')
  })

  it('with asserted owners on an open address its key is not to be had either', () => {
    const variables = { ...PRODUCTION, ...url, SIGNET_ANTHROPIC_UPSTREAM_API_KEY: 'sk-1', SIGNET_HOST: '10.1.2.3' }
    expect(problemsOf(() => resolve(variables)).join()).toContain('anybody who reaches the port spends it')
  })

  it.each(['SIGNET_ANTHROPIC_UPSTREAM_API_KEY', 'SIGNET_ANTHROPIC_UPSTREAM_LABEL'])('%s alone is a mistake', name => {
    expect(problemsOf(() => resolve({ ...PRODUCTION, [name]: 'x' }))).toEqual([
      `${name}: set without anthropicUpstreamUrl; set that too, or remove this`,
    ])
  })

  it('warns of its key over plain http', () => {
    const variables = { SIGNET_ANTHROPIC_UPSTREAM_URL: 'http://10.0.0.9/v1', SIGNET_ANTHROPIC_UPSTREAM_API_KEY: 'sk-1' }
    expect(resolve({ ...PRODUCTION, ...variables }).warnings.join()).toContain('plain http to 10.0.0.9')
  })
})

describe('rules between settings', () => {
  it('all answers together may hold no less than one', () => {
    const variables = { SIGNET_MAX_HELD_BYTES: '2000', SIGNET_MAX_HELD_BYTES_TOTAL: '1999' }
    expect(problemsOf(() => resolve({ ...PRODUCTION, ...variables })).join()).toContain('1999 is less than one answer')
  })

  it('a key id cannot be active and legacy', () => {
    expect(problemsOf(() => resolve({ ...PRODUCTION, SIGNET_HMAC_LEGACY_KEYS: `k1=${SECRET}` })).join()).toContain(
      'active key id "k1"',
    )
  })

  it('the folder of the audit log must exist', () => {
    const problems = problemsOf(() =>
      resolve({ ...PRODUCTION, SIGNET_AUDIT_LOG_PATH: join(folder, 'nope', 'audit.jsonl') }),
    )
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('does not exist')
  })

  it('warns of shadow and of a key over plain http', () => {
    const { warnings } = resolve({
      ...PRODUCTION,
      SIGNET_SHADOW: 'on',
      SIGNET_UPSTREAM_URL: 'http://10.0.0.9/v1',
      SIGNET_UPSTREAM_API_KEY: 'sk-1',
    })
    expect(warnings.join()).toMatch(/shadow is on.*plain http/)
  })
})

describe('secrets from files', () => {
  const { SIGNET_HMAC_SECRET: _, ...keyless } = PRODUCTION

  it('are read, trimmed and checked', () => {
    const path = write('secret', `${SECRET}\n`, 0o600)
    expect(resolve({ ...keyless, SIGNET_HMAC_SECRET_FILE: path }).settings.hmacSecret).toBe(SECRET)
    const key = write('api-key', 'sk-file\n', 0o600)
    expect(resolve({ ...PRODUCTION, SIGNET_UPSTREAM_API_KEY_FILE: key }).settings.upstreamApiKey).toBe('sk-file')
  })

  it('are followed through a link, as orchestrators mount them', () => {
    const path = join(folder, 'linked')
    symlinkSync(write('target', SECRET, 0o600), path)
    expect(resolve({ ...keyless, SIGNET_HMAC_SECRET_FILE: path }).settings.hmacSecret).toBe(SECRET)
  })

  it.each([
    ['world-readable', SECRET, 0o604, 'open to others'],
    ['short', 'abcd', 0o600, '2 bytes long'],
    ['empty', '\n', 0o600, 'empty'],
  ])('that are %s are refused, and nothing of them is shown', (name, text, mode, expected) => {
    const problems = problemsOf(() => resolve({ ...keyless, SIGNET_HMAC_SECRET_FILE: write(name, text, mode) }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^SIGNET_HMAC_SECRET_FILE: /)
    expect(problems[0]).toContain(expected)
    expect(problems[0]).not.toContain(SECRET)
  })

  it('that are not there, or no files, are refused in one line', () => {
    for (const path of [join(folder, 'missing'), folder]) {
      expect(problemsOf(() => resolve({ ...keyless, SIGNET_HMAC_SECRET_FILE: path }))).toHaveLength(1)
    }
  })

  it('cannot be given twice', () => {
    const path = write('twice', SECRET, 0o600)
    expect(problemsOf(() => resolve({ ...PRODUCTION, SIGNET_HMAC_SECRET_FILE: path })).join()).toContain(
      'keep one of them',
    )
  })
})

describe('shared state', () => {
  const file = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const withRedis = (more: Record<string, string>) =>
    resolve({ ...PRODUCTION, SIGNET_REDIS_URL: 'rediss://redis.example.com', ...more })

  it('is this process’s own unless somebody says where else', () => {
    expect(resolve(PRODUCTION).redis).toBeUndefined()
  })

  it('takes its password from a file, and an authority of its own', () => {
    const resolved = withRedis({
      SIGNET_REDIS_USERNAME: 'gate',
      SIGNET_REDIS_PASSWORD_FILE: file('redis-password', 'pass word\n'),
      SIGNET_REDIS_CA_FILE: file('redis-ca.pem', AUTHORITY),
      SIGNET_REDIS_KEY_PREFIX: 'staging:',
      SIGNET_REDIS_TIMEOUT_MS: '250',
    })
    expect(resolved.redis).toEqual({
      url: 'rediss://redis.example.com',
      username: 'gate',
      password: 'pass word',
      ca: AUTHORITY,
      keyPrefix: 'staging:',
      timeoutMs: 250,
    })
    expect(resolved.warnings).toEqual([])
  })

  it.each([
    [{ SIGNET_REDIS_URL: '', SIGNET_REDIS_PASSWORD: 'x' }, 'SIGNET_REDIS_PASSWORD: set without redisUrl'],
    [{ SIGNET_REDIS_URL: '', SIGNET_REDIS_CA_FILE: 'ca.pem' }, 'SIGNET_REDIS_CA_FILE: set without redisUrl'],
    [{ SIGNET_REDIS_USERNAME: 'gate' }, 'SIGNET_REDIS_USERNAME: set without a password'],
    [{ SIGNET_REDIS_PASSWORD: 'x', SIGNET_REDIS_PASSWORD_FILE: 'y' }, 'set together with SIGNET_REDIS_PASSWORD_FILE'],
    [{ SIGNET_REDIS_PASSWORD_FILE: join(folder, 'no-such-file') }, 'SIGNET_REDIS_PASSWORD_FILE: '],
    [{ SIGNET_REDIS_URL: 'redis://127.0.0.1', SIGNET_REDIS_CA_FILE: 'ca.pem' }, 'does not speak TLS'],
    [{ SIGNET_REDIS_CA_FILE: join(folder, 'no-such-file') }, 'SIGNET_REDIS_CA_FILE: '],
  ])('%j does not start', (more, expected) => {
    const problems = problemsOf(() => withRedis(more as Record<string, string>))
    expect(problems.join('\n')).toContain(expected)
  })

  it('over plain TCP to another machine is worth a warning, and on this one is not', () => {
    expect(withRedis({ SIGNET_REDIS_URL: 'redis://10.0.0.5:6379' }).warnings.join()).toContain(
      'plain TCP to 10.0.0.5:6379',
    )
    for (const url of ['redis://127.0.0.1:6379/1', 'redis://[::1]', 'redis://localhost'])
      expect(withRedis({ SIGNET_REDIS_URL: url }).warnings).toEqual([])
  })
})
