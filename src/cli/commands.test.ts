import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { openAuditLog } from '../audit/open.ts'
import { policyOwner } from '../core/owner.ts'
import type { Row } from '../core/row.ts'
import { Key, KeyRing } from '../keys/ring.ts'
import { KeyFolder } from '../keys/store.ts'
import { run } from './main.ts'

const execute = promisify(execFile)
const root = mkdtempSync(join(tmpdir(), 'signet-cli-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
function newFolder(): string {
  return mkdtempSync(join(root, `${folders++}-`))
}

interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

async function signet(
  args: readonly string[],
  more: { folder?: string; environment?: Record<string, string>; input?: string } = {},
): Promise<Ran> {
  let out = ''
  let error = ''
  const code = await run(args, {
    out: { write: (text: string) => (out += text) },
    error: { write: (text: string) => (error += text) },
    environment: more.environment ?? {},
    folder: more.folder ?? root,
    now: () => Date.UTC(2026, 0, 2),
    input: async () => Buffer.from(more.input ?? ''),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}

const SECRET = '0123456789abcdef'.repeat(4)

describe('usage', () => {
  it.each([
    [['nope']],
    [['serve', '--nope']],
    [['audit']],
    [['audit', 'verify', 'a', 'b']],
    [['keys', 'generate']],
    [['keys', 'generate', '--kind', 'rsa']],
    [['serve', '--log-format', 'xml']],
    [['bench', '--requests', '0']],
    [['bench', '--requests', '1000001']],
    [['bench', '--gate', 'p100=1ms']],
    [['audit', 'tail', '-n', 'x']],
    [['doctor', '--self', 'ftp://x']],
    [['doctor', '--probe-injection']],
    [['doctor', '--self', 'https://x', '--ca', 'nope.crt']],
    [['escalations', 'evidence', '--file', 'nope.json']],
    [['keys', 'generate', '--kind', 'api', '--public-out', 'x']],
    [['receipt', 'verify', 'x']],
  ])('%j exits 2, says why on standard error and prints no trace', async args => {
    const { code, out, error } = await signet(args, { folder: newFolder() })
    expect(code).toBe(2)
    expect(out).not.toContain('Error')
    expect(error).not.toBe('')
    expect(error).not.toMatch(/\n\s+at /)
  })

  it('--help and --version exit 0', async () => {
    expect((await signet(['--version'])).out).toMatch(/^signet \d+\.\d+\.\d+/)
    for (const args of [['--help'], ['serve', '--help'], ['audit', 'tail', '--help'], ['help', 'keys']]) {
      const { code, out } = await signet(args)
      expect(code).toBe(0)
      expect(out).toContain('Usage: signet')
    }
  })

  it('help is ASCII', async () => {
    for (const command of [
      '',
      'init',
      'serve',
      'doctor',
      'lint',
      'audit',
      'audit verify',
      'audit report',
      'receipt verify',
      'keys generate',
      'plugins',
      'bench',
      'audit export',
      'audit import',
      'audit index',
      'audit segments',
      'audit erase',
      'audit accept-missing-head',
      'audit show',
      'replay',
      'audit tail',
      'audit count',
      'receipt upgrade',
      'keys list',
      'keys rotate',
      'keys retire',
      'keys import',
      'keys generate-ed25519',
      'plugins list',
      'plugins doctor',
      'escalations list',
      'escalations approve',
      'escalations deny',
      'escalations evidence',
      'escalations watch',
      'passkeys',
      'log',
      'log key',
      'log checkpoint',
      'log proof',
      'log consistency',
      'log verify',
      'log witnesses',
      'log alarm',
      'log anchors',
      'log anchor',
      'log verify-anchors',
    ]) {
      const { out } = await signet([...command.split(' ').filter(word => word !== ''), '--help'])
      expect(out).toMatch(/^[\n\x20-\x7e]+$/)
    }
  })

  it('a hostile argument is escaped in the message about it', async () => {
    const { error } = await signet(['serve', '--\x1b[31m\u202e'])
    expect(error).toContain('\\x1b[31m\\u202e')
    expect(error).not.toMatch(/[\x1b\u202e]/)
  })

  it.each([
    ['init', 'CON'],
    ['lint', 'nul.ts'],
    ['serve', '--config', 'aux.ts'],
    ['serve', '--audit-log', 'prn'],
    ['serve', '--env-file', 'com1.env'],
    ['serve', '--hmac-secret-file', 'lpt1'],
    ['audit', 'verify', 'CON .jsonl'],
    ['audit', 'verify', '--audit-log', 'audit.jsonl:x'],
    ['audit', 'tail', 'nul'],
    ['audit', 'count', 'nul'],
    ['audit', 'report', 'nul'],
    ['audit', 'show', 'id', 'nul'],
    ['replay', 'id', '--audit-log', 'nul'],
    ['keys', 'generate', '--kind', 'hmac', '--out', 'con.key'],
    ['keys', 'generate-ed25519', '--out', 'x', '--public-out', 'con'],
    ['receipt', 'verify', '--jwks', 'x', '--file', 'con'],
    ['receipt', 'verify', 'x', '--jwks', 'con.json'],
    ['receipt', 'verify', 'x', '--jwks', 'x', '--response', 'con'],
    ['bench', '--config', 'con.ts'],
    ['doctor', '--self', 'http://x', '--ca', 'con.pem'],
    ['doctor', '--self', 'http://x', '--token-file', 'nul'],
  ])('%s %s %s %s %s: a device name is refused', async (...args) => {
    const { code, error } = await signet(args)
    expect(code).toBe(2)
    expect(error).toMatch(/device name|NTFS stream/)
  })
})

describe('init', () => {
  const NAMES = [
    'pipeline.ts',
    '.env',
    'receipt-key.pem',
    '.env.example',
    '.gitignore',
    'client-example.mjs',
    'package.json',
    'tsconfig.json',
  ]

  it('writes a project with keys of its own, secrets readable by their owner alone', async () => {
    const [a, b] = [newFolder(), newFolder()]
    const { code, out } = await signet(['init', a])
    await signet(['init', b])
    expect(code).toBe(0)
    for (const name of NAMES) expect(out).toMatch(new RegExp(`wrote +${name}`))
    for (const name of ['.env', 'receipt-key.pem']) {
      expect(statSync(join(a, name)).mode & 0o777).toBe(0o600)
      expect(readFileSync(join(a, name), 'utf8')).not.toBe(readFileSync(join(b, name), 'utf8'))
    }
    expect(readFileSync(join(a, '.env'), 'utf8')).toMatch(/^SIGNET_HMAC_SECRET=[0-9a-f]{64}$/m)
    expect(readFileSync(join(a, '.env.example'), 'utf8')).toMatch(/^SIGNET_HMAC_SECRET=$/m)
  })

  it('writes no .env that overrules upstream and address of pipeline.ts', async () => {
    const folder = newFolder()
    await signet(['init', folder])
    expect(readFileSync(join(folder, '.env'), 'utf8')).not.toMatch(/^SIGNET_(UPSTREAM_URL|HOST|PORT)=/m)
  })

  it('writes a client that says in one line that there is no gate', async () => {
    const folder = newFolder()
    await signet(['init', folder])
    const env = { ...process.env, GATE_URL: 'http://127.0.0.1:1/v1' }
    const ran = spawnSync(process.execPath, ['client-example.mjs'], { cwd: folder, env, encoding: 'utf8' })
    expect(ran).toMatchObject({ status: 2, stdout: '' })
    expect(ran.stderr).toMatch(/^no gate answers at http:\/\/127\.0\.0\.1:1\/v1; [^\n]+\n$/)
  })

  it('never overwrites: a second run changes nothing and exits 1', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'pipeline.ts'), '// mine')
    const first = await signet(['init'], { folder })
    expect(first.code).toBe(0)
    expect(first.out).toContain('skipped pipeline.ts (exists)')
    expect(readFileSync(join(folder, 'pipeline.ts'), 'utf8')).toBe('// mine')
    const before = NAMES.map(name => readFileSync(join(folder, name), 'utf8'))
    const second = await signet(['init'], { folder })
    expect(second.code).toBe(1)
    expect(NAMES.map(name => readFileSync(join(folder, name), 'utf8'))).toEqual(before)
  })

  it('never writes through a link, dangling or not', async () => {
    const folder = newFolder()
    const target = join(newFolder(), 'victim')
    writeFileSync(target, 'precious')
    const missing = join(newFolder(), 'not-there')
    symlinkSync(target, join(folder, '.env'))
    symlinkSync(missing, join(folder, 'receipt-key.pem'))
    const { code, out } = await signet(['init', folder])
    expect(code).toBe(0)
    expect(out).toContain('skipped .env (is a symbolic link)')
    expect(readFileSync(target, 'utf8')).toBe('precious')
    expect(existsSync(missing)).toBe(false)
  })

  it('says so when the folder is a file', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'file'), '')
    const { code, error } = await signet(['init', join(folder, 'file')])
    expect(code).toBe(2)
    expect(error).toContain('is not a folder')
  })
})

describe('keys', () => {
  it('makes hmac keys', async () => {
    const { code, out } = await signet(['keys', 'generate', '--kind', 'hmac'])
    expect(code).toBe(0)
    expect(out).toMatch(/^[0-9a-f]{64}\n$/)
  })

  it('writes new files only, private ones 0600, and replaces with --force alone', async () => {
    const folder = newFolder()
    const args = ['keys', 'generate', '--kind', 'ed25519', '--out', join(folder, 'key.pem')]
    expect((await signet(args)).code).toBe(0)
    const [key, pub] = [
      readFileSync(join(folder, 'key.pem'), 'utf8'),
      readFileSync(join(folder, 'key.pem.pub'), 'utf8'),
    ]
    expect(statSync(join(folder, 'key.pem')).mode & 0o777).toBe(0o600)
    expect(key).toContain('BEGIN PRIVATE KEY')
    expect(pub).toContain('BEGIN PUBLIC KEY')
    const again = await signet(args)
    expect(again).toMatchObject({ code: 2, out: '' })
    expect(again.error).toContain('exists already')
    expect(readFileSync(join(folder, 'key.pem'), 'utf8')).toBe(key)
    expect((await signet([...args, '--force'])).code).toBe(0)
    expect(readFileSync(join(folder, 'key.pem'), 'utf8')).not.toBe(key)
    expect(statSync(join(folder, 'key.pem')).mode & 0o777).toBe(0o600)
  })

  it('makes API keys: shown once, or in a file, and in the settings only as a hash', async () => {
    const made = await signet(['keys', 'generate', '--kind', 'api'])
    const [key = '', line = ''] = made.out.split('\n')
    expect(key).toMatch(/^sgk_[A-Za-z0-9_-]{43}$/)
    const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`
    expect(JSON.parse(line)).toEqual({ hash, owner: 'agent:NAME' })
    expect(made.error).not.toContain(key)

    const folder = newFolder()
    const written = await signet(['keys', 'generate', '--kind', 'api', '--out', 'caller.key'], { folder })
    const kept = readFileSync(join(folder, 'caller.key'), 'utf8').trim()
    expect(statSync(join(folder, 'caller.key')).mode & 0o777).toBe(0o600)
    expect(written.out + written.error).not.toContain(kept)
    expect((JSON.parse(written.out) as { hash: string }).hash).toBe(
      `sha256:${createHash('sha256').update(kept).digest('hex')}`,
    )
    expect((await signet(['keys', 'generate', '--kind', 'api', '--out', 'caller.key'], { folder })).code).toBe(2)
    expect(readFileSync(join(folder, 'caller.key'), 'utf8').trim()).toBe(kept)
  })

  it('--force replaces a link and leaves what it pointed to', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'victim'), 'precious')
    symlinkSync(join(folder, 'victim'), join(folder, 'key'))
    expect((await signet(['keys', 'generate', '--kind', 'hmac', '--out', join(folder, 'key')])).code).toBe(2)
    expect((await signet(['keys', 'generate', '--kind', 'hmac', '--out', join(folder, 'key'), '--force'])).code).toBe(0)
    expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('precious')
    expect(readFileSync(join(folder, 'key'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
  })

  it('says in one line when the folder is not there', async () => {
    const { code, error } = await signet(['keys', 'generate', '--kind', 'hmac', '--out', join(root, 'nope', 'key')])
    expect(code).toBe(2)
    expect(error.trim().split('\n')).toHaveLength(1)
  })
})

async function logWith(rows: readonly Partial<Row>[], ring = new KeyRing(Key.fromHex('k1', SECRET))): Promise<string> {
  const folder = newFolder()
  const path = join(folder, 'audit.jsonl')
  let ns = 1_767_225_600_000_000_000n
  const log = await openAuditLog({
    path,
    ring,
    nowNs: () => (ns += 1_000_000_000n),
  })
  for (const [index, row] of rows.entries()) {
    log.append({
      entryId: `00000000-0000-7000-8000-00000000000${index}`,
      owner: policyOwner('nightly', { authenticatedBy: 'test' }),
      checkName: 'pipeline.admission',
      decision: 'allow',
      reason: 'admission cleared',
      fingerprint: '',
      metadata: {},
      ...row,
    })
  }
  await log.drain()
  await log.close()
  return path
}

const BLOCKED: Partial<Row> = {
  decision: 'block',
  reason: 'no \x1b[31mowner',
  metadata: { _check_name: 'owner_resolution', _stage: 'admission', _exchange_id: 'exchange-1' },
}
const KEY = { environment: { SIGNET_HMAC_SECRET: SECRET } }

describe('audit', () => {
  it('verify: 0 sound, 1 broken, 2 could not look', async () => {
    const path = await logWith([{}, BLOCKED, {}])
    const sound = await signet(['audit', 'verify', path], KEY)
    expect(sound).toMatchObject({ code: 0, error: '' })
    expect(sound.out).toContain('OK: 3 entries')

    writeFileSync(path, readFileSync(path, 'utf8').replace('admission cleared', 'admission granted'))
    const broken = await signet(['audit', 'verify', path], KEY)
    expect(broken.code).toBe(1)
    expect(broken.out).toMatch(/^BROKEN: /)
    expect((await signet(['audit', 'verify', join(root, 'nope')], KEY)).code).toBe(2)
    expect((await signet(['audit', 'verify', path], { environment: { SIGNET_HMAC_SECRET: 'abcd' } })).code).toBe(2)
    expect((await signet(['audit', 'verify', path])).code).toBe(2)
  })

  it('verify: a log that was cut short or emptied is broken', async () => {
    const path = await logWith([{}, BLOCKED, {}])
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, `${lines[0]}\n`)
    expect((await signet(['audit', 'verify', path], KEY)).code).toBe(1)
    writeFileSync(path, '')
    expect((await signet(['audit', 'verify', path], KEY)).code).toBe(1)
  })

  it('accept-missing-head: verifies, makes a new head, and says so in a row; once', async () => {
    const path = await logWith([{}, BLOCKED, {}])
    const accept = (options: object = KEY) => signet(['audit', 'accept-missing-head', path], options)
    const oneLine = (what: string) => ({
      code: 2,
      out: '',
      error: expect.stringMatching(new RegExp(`^Error: [^\\n]*${what}[^\\n]*\\n$`)),
    })
    expect(await accept()).toMatchObject(oneLine('is there'))
    rmSync(`${path}.head`)
    expect(await accept({})).toMatchObject(oneLine('SIGNET_HMAC_SECRET'))
    expect(await accept({ environment: { SIGNET_HMAC_SECRET: 'ff'.repeat(32) } })).toMatchObject({ code: 2 })
    expect(existsSync(`${path}.head`) && statSync(`${path}.head`).size > 0).toBe(false)
    expect(await accept()).toMatchObject({ code: 0, out: expect.stringContaining('OK: 4 rows') })
    expect(readFileSync(path, 'utf8')).toMatch(/the head file was missing and the operator accepted it/)
    expect((await signet(['audit', 'verify', path], KEY)).code).toBe(0)
    expect(await accept()).toMatchObject(oneLine('is there'))

    rmSync(`${path}.head`)
    writeFileSync(path, readFileSync(path, 'utf8').replace('admission cleared', 'admission granted'))
    expect(await accept()).toMatchObject({ code: 2 })
    expect((await signet(['audit', 'verify', path], KEY)).code).toBe(1)
    expect(await signet(['audit', 'accept-missing-head', join(root, 'nope')], KEY)).toMatchObject(
      oneLine('no such file'),
    )
    expect(existsSync(join(root, 'nope'))).toBe(false)
  })

  it('verify --json has the keys that scripts read', async () => {
    const path = await logWith([{}])
    const { out } = await signet(['audit', 'verify', path, '--json'], KEY)
    const report: unknown = JSON.parse(out)
    expect(report).toMatchObject({
      ok: true,
      total_entries: 1,
      last_known_good_index: 0,
      breaks: [],
      verified_at: '2026-01-02T00:00:00.000Z',
    })
    expect(Object.keys(report as object)).toEqual(Object.keys(report as object).sort())
    expect(report).toHaveProperty('signet_version')
    expect(report).toHaveProperty('last_known_good_hmac')
    writeFileSync(path, readFileSync(path, 'utf8').replace('admission cleared', 'admission granted'))
    const broken = await signet(['audit', 'verify', path, '--json'], KEY)
    expect(broken.code).toBe(1)
    const said: unknown = JSON.parse(broken.out)
    expect(said).toMatchObject({ ok: false, verified_at: '2026-01-02T00:00:00.000Z' })
    expect(Object.keys(said as object)).toEqual(Object.keys(report as object))
  })

  it('keys come from a flag, a file, the environment, .env or earlier keys', async () => {
    const path = await logWith([{}])
    const folder = newFolder()
    writeFileSync(join(folder, 'key'), SECRET)
    chmodSync(join(folder, 'key'), 0o600)
    const other = 'ff'.repeat(32)
    for (const [args, environment] of [
      [['--hmac-secret', SECRET], {}],
      [['--hmac-secret', SECRET], { SIGNET_HMAC_SECRET: other }],
      [['--hmac-secret', `0x${SECRET}`], { SIGNET_HMAC_SECRET_FILE: join(folder, 'nope') }],
      [['--hmac-secret-file', join(folder, 'key')], { SIGNET_HMAC_SECRET: other }],
      [['--hmac-secret', other, '--key-id', 'k2', '--legacy-key', `k1=${SECRET}`], {}],
      [[], { SIGNET_HMAC_SECRET: other, SIGNET_HMAC_KEY_ID: 'k2', SIGNET_HMAC_LEGACY_KEYS: `k1=${SECRET}` }],
      [['--legacy-key', `k1=${SECRET}`], {}],
    ] as const) {
      expect(await signet(['audit', 'verify', path, ...args], { environment, folder }), args.join(' ')).toMatchObject({
        code: 0,
      })
    }
    writeFileSync(
      join(folder, '.env'),
      `SIGNET_HMAC_SECRET=${SECRET}\nSIGNET_AUDIT_LOG_PATH=${path}\nSIGNET_PORT=nonsense\n`,
    )
    expect(await signet(['audit', 'verify'], { folder })).toMatchObject({ code: 0 })
    expect((await signet(['audit', 'verify', path, '--hmac-secret', other], { folder })).code).toBe(1)
    for (const bad of ['k1', `=${SECRET}`, `k 1=${SECRET}`, 'k1=abc', `k1=${SECRET}`]) {
      expect((await signet(['audit', 'verify', path, '--hmac-secret', SECRET, '--legacy-key', bad])).code).toBe(2)
    }
  })

  it('a key from the command line is the only one, whatever lies in the key folder', async () => {
    const folder = newFolder()
    const keys = new KeyFolder(join(folder, '.signet'))
    const path = await logWith([{}], keys.ring('chain'))
    const other = 'ff'.repeat(32)
    expect((await signet(['audit', 'verify', path], { folder })).code).toBe(0)
    expect((await signet(['audit', 'verify', path], { folder, environment: { SIGNET_HMAC_SECRET: other } })).code).toBe(
      0,
    )
    const brought = await signet(['audit', 'verify', path, '--hmac-secret', other], { folder })
    expect(brought).toMatchObject({ code: 1, out: expect.stringContaining('unknown_key') })
  })

  it('show prints a row, or an exchange, with every digit and its proof', async () => {
    const path = await logWith([{}, BLOCKED, BLOCKED])
    const one = await signet(['audit', 'show', '00000000-0000-7000-8000-000000000001'.toUpperCase(), path], KEY)
    expect(one.code).toBe(0)
    expect(one.out).toContain('"ts_ns": 17672256')
    expect(one.out).not.toContain('\x1b')
    expect(one.error).toContain('hmac: holds')
    const exchange = await signet(['replay', 'exchange-1', '--audit-log', path])
    expect(exchange.out.match(/"entry_id"/g)).toHaveLength(2)
    expect(exchange.error).toContain('not checked')
    expect((await signet(['audit', 'show', 'nobody', path])).code).toBe(1)
    writeFileSync(path, readFileSync(path, 'utf8').replace('admission cleared', 'admission granted'))
    expect((await signet(['audit', 'show', '00000000-0000-7000-8000-000000000000', path], KEY)).code).toBe(1)
  })

  it('a sealing key that is named has to be there, also where nothing was sealed', async () => {
    const path = await logWith([{}])
    const named = await signet(['audit', 'tail', path, '--sealing-key-file', join(root, 'nope.key')], KEY)
    expect(named).toMatchObject({ code: 2, out: '', error: expect.stringMatching(/^Error: [^\n]*nope\.key[^\n]*\n$/) })
  })

  it('tail shows the last rows, filtered by the check that fired, and escapes what they hold', async () => {
    const path = await logWith([{}, BLOCKED, {}, BLOCKED])
    const all = await signet(['audit', 'tail', path])
    expect(all.out.trim().split('\n')).toHaveLength(5)
    expect(all.out).toContain('no \\x1b[31mowner')
    expect(all.out).not.toContain('\x1b')
    const filtered = await signet([
      'audit',
      'tail',
      path,
      '--filter',
      'check=owner_resolution,decision=block',
      '-n',
      '1',
      '--json',
    ])
    expect(filtered.out.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(filtered.out)).toMatchObject({ entry_id: '00000000-0000-7000-8000-000000000003' })
    const unknown = await signet(['audit', 'tail', path, '--filter', 'color=red'])
    expect(unknown.code).toBe(2)
    expect(unknown.error).toContain('check, decision, owner_type')
  })

  it('count counts', async () => {
    const path = await logWith([{}, BLOCKED, BLOCKED])
    expect((await signet(['audit', 'count', path])).out).toBe('3\n')
    const { out } = await signet(['audit', 'count', '--audit-log', path, '--by', 'check', '--json'])
    expect(JSON.parse(out)).toEqual({
      total: 3,
      damaged_lines: 0,
      by: 'check',
      counts: { owner_resolution: 2, 'pipeline.admission': 1 },
    })
    expect((await signet(['audit', 'count', path, '--audit-log', 'other'])).code).toBe(2)
  })

  it('report hashes owners, needs a salt for it, and is valid JSON', async () => {
    const path = await logWith([{}, BLOCKED])
    const args = ['audit', 'report', path, '--since', '2d', '--format', 'json']
    expect((await signet(args)).code).toBe(2)
    const { code, out } = await signet([...args, '--anonymize-salt', 's'], KEY)
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      rows: 2,
      anonymized: true,
      integrity: { ok: true },
      top_checks: [{ check: 'owner_resolution', rows: 1, change_percent: null }],
    })
    expect(out).not.toContain('nightly')
    expect((await signet([...args, '--no-anonymize'])).out).toContain('policy:nightly')
    const text = await signet(['audit', 'report', path, '--since', '2d', '--no-anonymize'], KEY)
    expect(text.out).toContain('Owners are named.')
    expect(text.out).toContain('Chain intact, 2 rows.')
    expect((await signet(['audit', 'report', path, '--since', 'soon', '--no-anonymize'])).code).toBe(2)
  })

  it('a damaged line is one line on standard error, and never ends the reading', async () => {
    const path = await logWith([{}, {}])
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"entry_id":"\x1b[31m"}\nnot json\n`)
    for (const args of [
      ['tail'],
      ['tail', '--filter', 'decision=allow'],
      ['count'],
      ['show', '00000000-0000-7000-8000-000000000001'],
      ['report', '--no-anonymize', '--since', '9d'],
    ]) {
      const { code, out, error } = await signet(['audit', ...args, '--audit-log', path])
      expect(code).toBe(1)
      expect(out).not.toBe('')
      expect(error.match(/^damaged: /gm)).toHaveLength(2)
      expect(error).not.toMatch(/\n\s+at |\x1b/)
    }
  })
})

describe('doctor', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  async function serving(answer: RequestListener): Promise<string> {
    const server = createServer(answer)
    servers.push(server)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  function gate(
    more: Readonly<Record<string, readonly [number, string, Readonly<Record<string, string>>?]>> = {},
  ): Promise<string> {
    const answers = {
      '/healthz': [200, '{"status":"ok","shadow":false}'],
      '/version': [200, '{"version":"9.9.9"}'],
      '/readyz': [200, '{"status":"ready"}'],
      '/v1/chat/completions': [403, '{"error":"refused"}', { 'x-signet-receipt': 'r' }],
      '/v1/models': [200, '{}'],
      ...more,
    } as Readonly<Record<string, readonly [number, string, Readonly<Record<string, string>>?]>>
    return serving((request, response) => {
      const [status, body, headers] = answers[request.url ?? ''] ?? [404, '{}']
      response.writeHead(status, headers).end(body)
    })
  }

  it('is content with a gate that refuses', async () => {
    const url = await gate()
    const { code, out } = await signet(['doctor', '--upstream', `${url}/v1`, '--self', url])
    expect(out).toContain('runs signet 9.9.9')
    expect(out).toContain('refused (403)')
    expect(code).toBe(0)
  })

  it.each<[string, Parameters<typeof gate>[0], string]>([
    ['lets an ownerless request through', { '/v1/chat/completions': [200, '{}'] }, 'loopback is trusted'],
    ['is in shadow', { '/v1/chat/completions': [200, '{}', { 'x-signet-shadow-decision': 'block' }] }, 'shadow is on'],
    ['does not know its name', { '/v1/chat/completions': [421, '{}'] }, 'allowedHosts'],
    [
      'is not ready',
      { '/readyz': [503, '{"reason":"the audit log cannot be written"}'] },
      'audit log cannot be written',
    ],
    ['has a version that is no JSON', { '/version': [200, '<html>'] }, 'names no version'],
    ['is something else', { '/healthz': [200, 'hello'] }, 'is this a signet gate'],
    ['forwards what it does not know', { '/v1/signet-doctor-unknown': [200, '{}'] }, 'must not be forwarded'],
    ['answers with escape sequences', { '/readyz': [503, '{"reason":"\\u001b[31m"}'] }, '\\x1b[31m'],
  ])('fails on a gate that %s', async (_name, answers, expected) => {
    const url = await gate(answers)
    const { code, out } = await signet(['doctor', '--self', url])
    expect(code).toBe(1)
    expect(out).toContain(expected)
    expect(out).not.toContain('\x1b')
  })

  it('is content with a gate that asks for a credential, and with what it says of owner headers', async () => {
    const url = await gate({ '/v1/chat/completions': [401, '{"error":"refused"}', { 'x-signet-receipt': 'r' }] })
    const { code, out } = await signet(['doctor', '--self', url])
    expect(out).toContain('refused (401)')
    expect(out).toMatch(/ok +identity: callers are verified/)
    expect(code).toBe(0)
    const probed = await signet(['doctor', '--self', url, '--probe-injection'])
    expect(probed.out).toMatch(/failed +injection probes: .*give one with --token-file/)
    expect(probed.code).toBe(1)
  })

  it('sends probes with a credential when it is given one', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'token'), 'sgk_1\n', { mode: 0o600 })
    let asked = 0
    const url = await serving((request, response) => {
      const isGiven = request.headers.authorization === 'Bearer sgk_1'
      if (isGiven) asked++
      const statuses = { '/v1/chat/completions': isGiven ? 403 : 401, '/v1/signet-doctor-unknown': 404 }
      const status = Object.entries(statuses).find(([path]) => path === request.url)?.[1] ?? 200
      response.writeHead(status).end('{"status":"ok","version":"9.9.9"}')
    })
    const { code, out } = await signet(['doctor', '--self', url, '--probe-injection', '--token-file', 'token'], {
      folder,
    })
    expect(out).toContain(`injection probes: all ${asked} refused`)
    expect(asked).toBeGreaterThan(50)
    expect(code).toBe(0)
  })

  it('fails on a gate that takes an owner header for a credential', async () => {
    const url = await serving((request, response) => {
      const answers: Readonly<Record<string, [number, string]>> = {
        '/healthz': [200, '{"status":"ok"}'],
        '/version': [200, '{"version":"9.9.9"}'],
        '/readyz': [200, '{}'],
        '/v1/chat/completions': [request.headers['x-commit-owner'] === undefined ? 401 : 200, '{}'],
      }
      const [status, body] = answers[request.url ?? ''] ?? [404, '{}']
      response.writeHead(status).end(body)
    })
    const { code, out } = await signet(['doctor', '--self', url])
    expect(out).toMatch(/failed +identity: an owner header without a credential got 200, expected 401/)
    expect(code).toBe(1)
  })

  it('fails on a gate that asks for less than the settings do', async () => {
    const url = await gate()
    const { code, out } = await signet(['doctor', '--self', url], { environment: { SIGNET_IDENTITY_FILE: 'i.json' } })
    const unset = { SIGNET_IDENTITY_FILE: ' ', SIGNET_UPSTREAM_URL: '' }
    expect((await signet(['doctor', '--self', url], { environment: unset })).code).toBe(0)
    expect(out).toMatch(/failed +identity: the settings here ask for credentials/)
    expect(code).toBe(1)
  })

  it('fails when nobody is there', async () => {
    const { code, out } = await signet([
      'doctor',
      '--self',
      'http://127.0.0.1:1',
      '--upstream',
      'http://127.0.0.1:1/v1',
      '--json',
    ])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      results: [{ status: 'ok' }, { check: 'upstream', status: 'failed' }, { check: 'gate', status: 'failed' }],
    })
  })

  it('finds upstream and gate in a project folder', async () => {
    const folder = newFolder()
    const url = await gate()
    writeFileSync(join(folder, 'pipeline.ts'), '')
    writeFileSync(
      join(folder, '.env'),
      `SIGNET_UPSTREAM_URL="${url}/v1" # mine\nexport SIGNET_PORT=${new URL(url).port}\n`,
    )
    const { code, out } = await signet(['doctor'], { folder })
    expect(out).toContain(`${url} runs signet`)
    expect(code).toBe(0)
  })
})

/**
 * The same in a Node of its own, for what loads TypeScript at run time: the test runner would compile it in Node's place. All
 * commands of the list run in one process.
 */
async function signetInNode(commands: readonly (readonly string[])[], folder: string): Promise<readonly Ran[]> {
  const script = `
    const { run } = await import(${JSON.stringify(new URL('./main.ts', import.meta.url).href)})
    const results = []
    for (const args of ${JSON.stringify(commands)}) {
      let out = '', error = ''
      const code = await run(args, {
        out: { write: text => (out += text) }, error: { write: text => (error += text) }, environment: {},
        folder: process.cwd(), now: Date.now, input: async () => Buffer.alloc(0), asked: async () => 'SIGTERM',
      })
      results.push({ code, out, error })
    }
    process.stdout.write(JSON.stringify(results))`
  const { stdout, stderr } = await execute(process.execPath, ['--input-type=module', '-e', script], { cwd: folder })
  expect(stderr).toBe('')
  return JSON.parse(stdout) as readonly Ran[]
}

describe('lint', () => {
  it('every way a file can be broken is one line', async () => {
    const folder = newFolder()
    const cases: readonly (readonly [string, RegExp])[] = [
      ['export default {{', /:1: syntax error/],
      ['const a = 1\n\nconst b: = 3', /:3: syntax error/],
      ['enum A { B }', /enum is not supported/],
      ['const a = 1\n\nthrow new Error("two\\nlines")', /:3: failed while it ran: two lines/],
      ["import 'not-installed-anywhere'", /Cannot find package 'not-installed-anywhere'/],
      ["import './not-there.ts'", /Cannot find module .*not-there\.ts/],
      ["import { ghost } from 'signet-gate'", /does not provide an export named 'ghost'/],
      ["import 'signet-gate/nope'", /has no part called/],
      ['export const checks = []', /no default export/],
      ['export default { checks: [] }', /not made by definePipeline/],
      ["import { definePipeline } from 'signet-gate'\nexport default definePipeline({ checks: [] })", /gates nothing/],
      [
        "import { definePipeline, OwnerResolutionCheck } from 'signet-gate'\nexport default definePipeline({ checks: [new OwnerResolutionCheck()], shdow: true })",
        /did you mean shadow/,
      ],
      [
        "import { RateLimitCheck } from 'signet-gate'\nnew RateLimitCheck({ capacity: -1 })",
        /:2: failed while it ran: .*capacity must be/,
      ],
      ['throw { toString() { throw 1 } }', /failed while it ran/],
      ['throw new Error("\\u001b[31m\\u202e")', /\\x1b\[31m\\u202e/],
    ]
    for (const [index, [text]] of cases.entries()) writeFileSync(join(folder, `p${index}.ts`), text)
    const commands = [
      ...cases.map((_, index) => ['lint', `p${index}.ts`]),
      ...cases.map((_, index) => ['serve', '--dev', '--upstream', 'demo', '--config', `p${index}.ts`]),
      ['lint', 'missing.ts'],
      ['lint', 'pipeline.json'],
      ['lint'],
    ]
    const results = await signetInNode(commands, folder)
    for (const [index, { code, out, error }] of results.entries()) {
      expect(code).toBe(2)
      expect(out).toBe('')
      expect(error.trim().split('\n')).toHaveLength(1)
      const broken = index < 2 * cases.length ? cases[index % cases.length] : undefined
      expect(error).toMatch(broken?.[1] ?? /no such file|expected a \.ts/)
    }
  })

  it('reports findings, fails on errors, and on warnings when strict; what init writes has none', async () => {
    const folder = newFolder()
    const write = (name: string, checks: string, more = '') =>
      writeFileSync(
        join(folder, name),
        `import { definePipeline, OwnerResolutionCheck, RateLimitCheck } from 'signet-gate'\nexport default definePipeline({ checks: [${checks}]${more} })`,
      )
    write('ownerless.ts', 'new RateLimitCheck()')
    write('owned.ts', 'new OwnerResolutionCheck()')
    write('wrong.ts', 'new OwnerResolutionCheck()', ', port: 70000')
    const [ownerless, owned, strict, wrong, init, scaffold] = await signetInNode(
      [
        ['lint', 'ownerless.ts'],
        ['lint', 'owned.ts'],
        ['lint', 'owned.ts', '--strict'],
        ['lint', 'wrong.ts', '--json'],
        ['init', '.'],
        ['lint', '--strict'],
      ],
      folder,
    )
    expect(ownerless).toMatchObject({ code: 1, out: expect.stringContaining('error SIG002') })
    expect(owned).toMatchObject({ code: 0, out: expect.stringContaining('warning SIG005') })
    expect(strict?.code).toBe(1)
    expect(wrong?.code).toBe(1)
    expect(JSON.parse(wrong?.out ?? '')).toMatchObject({
      ok: false,
      findings: [{ code: 'SIG000', level: 'error' }, {}, {}, {}],
    })
    expect(init?.code).toBe(0)
    expect(scaffold).toEqual({
      code: 0,
      out: expect.stringMatching(/^OK: pipeline passes the v[0-9.]+ lint checks\.\n$/),
      error: '',
    })
    expect(readFileSync(join(folder, 'pipeline.ts'), 'utf8')).toContain('new PromptInjectionCheck()')
  })
})

describe('plugins', () => {
  it('list and doctor answer in an empty folder', async () => {
    const folder = newFolder()
    expect(JSON.parse((await signet(['plugins', 'list', '--json'], { folder })).out)).toEqual([])
    expect(JSON.parse((await signet(['plugins', 'doctor', '--json'], { folder })).out)).toMatchObject({
      ok: true,
      failed_count: 0,
      duplicate_count: 0,
    })
  })
})
