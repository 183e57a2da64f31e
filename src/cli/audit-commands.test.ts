import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openAuditLog } from '../audit/open.ts'
import { policyOwner } from '../core/owner.ts'
import type { Row } from '../core/row.ts'
import { Key, KeyRing } from '../keys/ring.ts'
import { KeyFolder } from '../keys/store.ts'
import { newFolder, SECRET, signet } from './testing/command.test-support.ts'

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
    expect((await signet(['audit', 'verify', join(newFolder(), 'nope')], KEY)).code).toBe(2)
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
    const nope = join(newFolder(), 'nope')
    expect(await signet(['audit', 'accept-missing-head', nope], KEY)).toMatchObject(oneLine('no such file'))
    expect(existsSync(nope)).toBe(false)
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
    const named = await signet(['audit', 'tail', path, '--sealing-key-file', join(newFolder(), 'nope.key')], KEY)
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
