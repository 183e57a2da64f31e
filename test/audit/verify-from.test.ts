/** Verification that begins somewhere, segments that move, and what the commands say about both. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonRows } from '../../src/audit/testing/python-log.test-support.ts'
import { run } from '../../src/cli/main.ts'
import { Key } from '../../src/keys/ring.ts'
import { SECRET, soundLog } from './sound.ts'

const ROWS = 17
let root: string
let serial = 0
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'signet-from-'))
  await soundLog(join(root, 'sound'), ROWS, { rollAt: 3000 })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const fresh = (): string => {
  const folder = join(root, `case-${serial++}`)
  cpSync(join(root, 'sound'), folder, { recursive: true })
  return folder
}

async function signet(folder: string, ...args: string[]) {
  let out = ''
  let error = ''
  const code = await run(['audit', ...args], {
    out: { write: (t: string) => (out += t) },
    error: { write: (t: string) => (error += t) },
    environment: { SIGNET_HMAC_SECRET: Buffer.from(SECRET).toString('hex') },
    folder,
    // A year after the rows.
    now: () => 1_778_536_000_000,
    input: async () => Buffer.alloc(0),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}
const verified = async (folder: string, ...args: string[]) => {
  const { code, out, error } = await signet(folder, 'verify', '--json', ...args)
  return { code, report: out === '' ? undefined : JSON.parse(out), error }
}

describe('audit verify --from-checkpoint', () => {
  it('begins at any row, in a segment, at its end, in the live file, and says so', async () => {
    const folder = fresh()
    for (let index = 0; index <= ROWS; index++) {
      const { code, report } = await verified(folder, '--from-checkpoint', String(index))
      expect({ index, code, breaks: report.breaks }).toEqual({ index, code: 0, breaks: [] })
      expect(report).toMatchObject({ ok: true, total_entries: ROWS, from: { index } })
      expect(report.sections.chain.details.rows).toBe(ROWS - index)
      const looked = index < ROWS ? `rows ${index} to ${ROWS - 1}` : `no row from ${ROWS} on`
      expect(report.sections.chain.text).toBe(`${looked}, 0 issues`)
    }
    const { out } = await signet(folder, 'verify', '--from-checkpoint', String(ROWS))
    expect(out).toMatch(new RegExp(`chain +sound: no row from ${ROWS} on, 0 issues`))
    const { code, error } = await signet(folder, 'verify', '--from-checkpoint', String(ROWS + 1))
    expect(code).toBe(1)
    expect(error).toContain(`the log has no row ${ROWS}`)
  })

  it('does not look at what is before, and finds what is after', async () => {
    const folder = fresh()
    const path = join(folder, 'audit.jsonl')
    rmSync(join(folder, 'audit.jsonl.000001.zst'))
    const live = readFileSync(path, 'utf8')
    expect((await verified(folder, '--from-checkpoint', '8')).code).toBe(0)
    expect((await verified(folder)).report.breaks.map((b: { kind: string }) => b.kind)).toEqual(['segment_missing'])
    writeFileSync(path, live.replace('request completed', 'request complete!'))
    const { code, report } = await verified(folder, '--from-checkpoint', '8')
    expect(code).toBe(1)
    expect(report.breaks[0]).toMatchObject({ kind: 'self_mismatch' })
  })

  it('goes on from a saved state, which another log, a changed state and a lost row do not fit', async () => {
    const folder = fresh()
    await soundLog(folder, 0)
    expect((await signet(folder, 'verify', '--save-state', 'state')).code).toBe(0)
    const log = join(folder, 'audit.jsonl')
    const whole = readFileSync(log)
    const { report } = await verified(folder, '--from-checkpoint', 'state')
    expect(report).toMatchObject({ ok: true, from: { index: ROWS, fixed_by: 'state file' }, total_entries: ROWS })

    const other = join(root, 'other')
    await soundLog(other, ROWS, { first: 100, rollAt: 3000 })
    cpSync(join(folder, 'state'), join(other, 'state'))
    const elsewhere = await verified(other, '--from-checkpoint', 'state')
    expect(elsewhere.code).toBe(1)
    expect(elsewhere.report.breaks[0].kind).toBe('checkpoint_mismatch')

    const state = readFileSync(join(folder, 'state'), 'latin1')
    writeFileSync(join(folder, 'forged'), state.replace(/ 17 /, ' 16 '), 'latin1')
    expect((await signet(folder, 'verify', '--from-checkpoint', 'forged')).code).toBe(2)
    // The log put back to before the state: the head can be put back too, the state is elsewhere.
    writeFileSync(log, whole.subarray(0, whole.lastIndexOf(0x0a, whole.length - 2) + 1))
    const back = await verified(folder, '--no-head', '--from-checkpoint', 'state')
    expect(back.code).toBe(1)
    expect(back.report.breaks.map((b: { kind: string }) => b.kind)).toContain('checkpoint_mismatch')
  })

  it('takes the size of a checkpoint', async () => {
    const folder = fresh()
    writeFileSync(join(folder, 'checkpoint'), `example.com/log\n5\n${Buffer.alloc(32).toString('base64')}\n\n— x y\n`)
    const { report } = await verified(folder, '--from-checkpoint', 'checkpoint')
    expect(report).toMatchObject({ ok: true, from: { index: 5 } })
    expect((await signet(folder, 'verify', '--from-checkpoint', 'audit.jsonl')).code).toBe(2)
  })
})

describe('audit segments', () => {
  it('lists files, says what is old, and moves it; verification finds it by its folder', async () => {
    const folder = fresh()
    const listed = JSON.parse((await signet(folder, 'segments', '--json', '--older-than', '90d')).out)
    const names = readdirSync(folder).filter(n => n.endsWith('.zst'))
    expect(listed.segments.map((s: { state: string }) => s.state)).toEqual(names.map(() => 'packed'))
    expect(listed.movable.segments).toBe(names.length)
    expect(listed.segments.reduce((n: number, s: { rows: number }) => n + s.rows, 0) + 1).toBeLessThanOrEqual(ROWS)
    expect((await signet(folder, 'segments', '--json', '--older-than', '500d')).out).toContain('"segments": 0')
    expect((await signet(folder, 'segments', '--move-to', 'cold')).code).toBe(2)

    mkdirSync(join(folder, 'cold'))
    const moved = await signet(folder, 'segments', '--older-than', '90d', '--move-to', 'cold')
    expect(moved.code).toBe(0)
    expect(readdirSync(folder).filter(n => n.endsWith('.zst'))).toEqual([])
    expect(readdirSync(join(folder, 'cold')).sort()).toEqual(names.sort())
    const lost = await signet(folder, 'segments')
    expect(lost.code).toBe(1)
    expect(lost.out).toContain('missing')
    const { report } = await verified(folder)
    expect(report.breaks.every((b: { kind: string }) => b.kind === 'segment_missing')).toBe(true)
    expect((await verified(folder, '--segments', 'cold')).code).toBe(0)
    const away = listed.segments.reduce((n: number, s: { rows: number }) => n + s.rows, 0)
    const partly = await verified(folder, '--missing-ok')
    expect(partly.code).toBe(0)
    // What was not looked at is not called sound, and no later verification begins behind it.
    expect(partly.report.sections.chain).toMatchObject({
      details: { not_read: away },
      text: expect.stringContaining(`without ${away} that could not be read`),
    })
    const said = await signet(folder, 'verify', '--missing-ok', '--save-state', 'partly')
    expect(said.out).toContain(`OK: ${ROWS} entries in audit.jsonl, of which ${away} could not be read`)
    expect(said.error).toContain('no state was saved')
    expect(existsSync(join(folder, 'partly'))).toBe(false)
    const tail = await signet(folder, 'tail', '-n', '100', '--segments', 'cold')
    expect(tail.out.trim().split('\n')).toHaveLength(ROWS + 1)
    const without = await signet(folder, 'count')
    expect(without.code).toBe(1)
    expect(without.error).toContain('not here: rows 0 to')
  })

  it.each(['.', '../itself', 'link', 'cold'])('moves nothing to %s when that is where it is already', async to => {
    const folder = fresh()
    const itself = join(root, 'itself')
    rmSync(itself, { force: true })
    symlinkSync(folder, itself)
    symlinkSync('.', join(folder, 'link'))
    mkdirSync(join(folder, 'cold'))
    const names = readdirSync(folder).filter(n => n.endsWith('.zst'))
    // The folder is another one; what stands there under the name is the original.
    for (const name of names) symlinkSync(join(folder, name), join(folder, 'cold', name))
    const moved = await signet(folder, 'segments', '--older-than', '90d', '--move-to', to)
    expect(moved.code).toBe(2)
    expect(moved.error).toMatch(/is the folder that it is in already|is there already and is no regular file/)
    expect(readdirSync(folder).filter(n => n.endsWith('.zst'))).toEqual(names)
    expect((await verified(folder)).code).toBe(0)
  })

  it('does not write through a link that waits under the name of its copy', async () => {
    const folder = fresh()
    mkdirSync(join(folder, 'cold'))
    writeFileSync(join(folder, 'somebody'), 'precious')
    for (const name of ['audit.jsonl.000001.zst.tmp', `audit.jsonl.000001.zst.${process.pid}.tmp`])
      symlinkSync(join(folder, 'somebody'), join(folder, 'cold', name))
    const moved = await signet(folder, 'segments', '--older-than', '90d', '--move-to', 'cold')
    expect(moved).toMatchObject({ code: 2, error: expect.stringContaining('EEXIST') })
    expect(readFileSync(join(folder, 'somebody'), 'utf8')).toBe('precious')
    expect((await verified(folder)).code).toBe(0)
  })

  it('does not move what is not the file that was packed, nor over another file', async () => {
    const folder = fresh()
    mkdirSync(join(folder, 'cold'))
    const first = join(folder, 'audit.jsonl.000001.zst')
    const second = join(folder, 'audit.jsonl.000002.zst')
    renameSync(first, `${first}.aside`)
    cpSync(second, first)
    const wrong = await signet(folder, 'segments', '--older-than', '90d', '--move-to', 'cold')
    expect(wrong.code).toBe(2)
    expect(wrong.error).toContain('is not the file that was packed')
    expect(existsSync(first)).toBe(true)
    renameSync(`${first}.aside`, first)
    writeFileSync(join(folder, 'cold', 'audit.jsonl.000001.zst'), readFileSync(second))
    const there = await signet(folder, 'segments', '--older-than', '90d', '--move-to', 'cold')
    expect(there.code).toBe(2)
    expect(there.error).toContain('is there already and is another file')
    expect(existsSync(first)).toBe(true)
  })
})

describe('audit import', () => {
  it('prints the proof, and exits 1 when the source is broken', async () => {
    const folder = join(root, `case-${serial++}`)
    mkdirSync(folder)
    const old = new Key('py', Buffer.alloc(32, 3))
    const lines = pythonRows(old, 9).map(r => `${r.line}\n`)
    writeFileSync(join(folder, 'theirs.jsonl'), lines.join(''))
    const legacy = ['--legacy-key', `py=${Buffer.alloc(32, 3).toString('hex')}`]
    const done = await signet(folder, 'import', 'theirs.jsonl', '--out', 'ours.jsonl', ...legacy)
    expect(done.error).toBe('')
    expect(done.code).toBe(0)
    expect(done.out).toContain('EQUAL: 9 rows, byte for byte, in ours.jsonl')
    expect((await signet(folder, 'verify', 'ours.jsonl', ...legacy)).code).toBe(0)
    writeFileSync(join(folder, 'broken.jsonl'), lines.join('').replace('alice', 'mallory'))
    const broken = await signet(folder, 'import', 'broken.jsonl', '--out', 'no.jsonl', ...legacy)
    expect(broken.code).toBe(1)
    expect(broken.error).toBe('Error: broken.jsonl, line 1: hmac does not match the row (self_mismatch)\n')
    expect((await signet(folder, 'import', 'none.jsonl', '--out', 'no.jsonl', ...legacy)).code).toBe(2)
    expect((await signet(folder, 'import', 'theirs.jsonl', '--out', 'ours.jsonl', ...legacy)).code).toBe(1)
  })
})
