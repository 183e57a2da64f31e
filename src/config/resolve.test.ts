import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
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

describe('rules between settings', () => {
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
  const write = (name: string, text: string, mode: number): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }
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
