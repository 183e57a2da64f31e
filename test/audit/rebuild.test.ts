/** A lost manifest is made again from the whole log or not at all: nobody can leave out a segment this way. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { run } from '../../src/cli/main.ts'
import { ring, SECRET, soundLog } from './sound.ts'

const ROWS = 17
let root: string
let serial = 0
let segments: readonly string[]
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'signet-rebuild-'))
  await soundLog(join(root, 'sound'), ROWS, { rollAt: 3000 })
  await soundLog(join(root, 'other'), ROWS, { first: 100, rollAt: 3000 })
  segments = readdirSync(join(root, 'sound'))
    .filter(name => name.endsWith('.zst'))
    .sort()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A log that has lost its manifest. */
function lost(): string {
  const folder = join(root, `case-${serial++}`)
  cpSync(join(root, 'sound'), folder, { recursive: true })
  unlinkSync(manifestIn(folder))
  return folder
}
const manifestIn = (folder: string) => join(folder, 'audit.jsonl.manifest')
const at = (folder: string, number: number) => join(folder, `audit.jsonl.00000${number}.zst`)

async function rebuild(folder: string, ...args: readonly string[]) {
  let out = ''
  let error = ''
  const code = await run(['audit', 'rebuild-manifest', ...args], {
    out: { write: (text: string) => (out += text) },
    error: { write: (text: string) => (error += text) },
    environment: { SIGNET_HMAC_SECRET: Buffer.from(SECRET).toString('hex') },
    folder,
    now: Date.now,
    input: async () => Buffer.alloc(0),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}
/** Lines without what signs them. */
const facts = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map(line => line.replace(/,"mac":"[0-9a-f]{64}"/, ''))
    .sort()

describe('audit rebuild-manifest', () => {
  it('says of every segment what the lost manifest said, and writes a row; the log verifies and goes on', async () => {
    const folder = lost()
    await expect(openAuditLog({ path: join(folder, 'audit.jsonl'), ring })).rejects.toThrow(
      /signet audit rebuild-manifest/,
    )
    expect(await rebuild(folder)).toMatchObject({
      code: 0,
      out: expect.stringContaining(`lists ${segments.length} segments`),
    })
    expect(facts(manifestIn(folder))).toEqual(facts(manifestIn(join(root, 'sound'))))
    const path = join(folder, 'audit.jsonl')
    const row = JSON.parse(readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? '')
    expect(row.metadata).toMatchObject({ _check_name: 'audit.manifest_rebuilt', segments: segments.length })
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: ROWS + 1, breaks: [] })
    await (await openAuditLog({ path, ring })).close()
  })

  it('finds segments in other folders, and one that a killed gate had not packed', async () => {
    const folder = lost()
    const cold = join(folder, 'cold')
    mkdirSync(cold)
    renameSync(at(folder, 1), at(cold, 1))
    // Killed between the packing and its line in the manifest: both are there.
    writeFileSync(join(folder, 'audit.jsonl.000002'), zstdDecompressSync(readFileSync(at(folder, 2))))
    expect(await rebuild(folder, '--segments', cold)).toMatchObject({ code: 0 })
    const report = await verifyLog(join(folder, 'audit.jsonl'), ring, { folders: [cold] })
    expect(report).toMatchObject({ ok: true, total_entries: ROWS + 1 })
  })

  it('leaves half a row at the end of the live file to the start, which sets it aside', async () => {
    const folder = lost()
    const live = join(folder, 'audit.jsonl')
    writeFileSync(live, `${readFileSync(live, 'utf8')}{"approval_chain":["hum`)
    expect(await rebuild(folder)).toMatchObject({ code: 0 })
    expect(readFileSync(live, 'utf8')).toMatch(/audit\.manifest_rebuilt.*audit\.torn_tail/s)
    expect((await verifyLog(live, ring)).ok).toBe(true)
  })

  const last = () => segments.length
  it.each<[string, (folder: string) => void, RegExp]>([
    ['the first segment is gone', f => unlinkSync(at(f, 1)), /000001\.zst is missing/],
    ['one in the middle is gone', f => unlinkSync(at(f, 2)), /000002\.zst is missing/],
    ['the last one is gone', f => unlinkSync(at(f, last())), /the log is not whole .*link_mismatch/],
    [
      'one in the middle is gone, and the others took its number',
      f => {
        for (let n = 2; n < last(); n++) renameSync(at(f, n + 1), at(f, n))
      },
      /000002\.zst does not follow segment 1/,
    ],
    [
      'the first is gone, and the others took its number',
      f => {
        for (let n = 1; n < last(); n++) renameSync(at(f, n + 1), at(f, n))
      },
      /000001\.zst does not begin the log/,
    ],
    ['one is there twice', f => copyFileSync(at(f, 1), at(f, 2)), /000002\.zst does not follow segment 1/],
    ['one is of another log', f => copyFileSync(at(join(root, 'other'), 1), at(f, 1)), /does not follow|not whole/],
    ['one is cut', f => truncateSync(at(f, 1), 300), /000001\.zst has no index/],
    ['one is no segment', f => writeFileSync(at(f, 1), 'no segment at all, but long enough'), /has no index/],
    [
      'a row of a file not packed yet was changed',
      f => {
        const rows = zstdDecompressSync(readFileSync(at(f, 1))).toString()
        writeFileSync(join(f, 'audit.jsonl.000001'), rows.replace('"count":3', '"count":4'))
      },
      /not whole .*000001, line 1: self_mismatch/,
    ],
    ['the live file is gone', f => unlinkSync(join(f, 'audit.jsonl')), /audit\.jsonl cannot be opened|log_truncated/],
    ['the live file is empty', f => truncateSync(join(f, 'audit.jsonl'), 0), /log_truncated/],
    ['the head file is gone', f => unlinkSync(join(f, 'audit.jsonl.head')), /whether the newest segments are missing/],
    [
      'the head file is damaged',
      f => writeFileSync(join(f, 'audit.jsonl.head'), 'x'.repeat(1024)),
      /head is not valid/,
    ],
    [
      'all segments are gone',
      f => {
        for (const name of segments) unlinkSync(join(f, name))
      },
      /there is no segment/,
    ],
  ])('makes nothing when %s', async (_, act, said) => {
    const folder = lost()
    act(folder)
    const before = readdirSync(folder).filter(name => !/lock/.test(name))
    const { code, error } = await rebuild(folder)
    expect({ code, error }).toEqual({ code: 2, error: expect.stringMatching(said) })
    expect(error).not.toMatch(/^\s+at /m)
    expect(existsSync(manifestIn(folder))).toBe(false)
    expect(readdirSync(folder).filter(name => !/lock/.test(name))).toEqual(before)
  })

  it('makes nothing over a manifest that is there, or beside a gate', async () => {
    const folder = lost()
    writeFileSync(manifestIn(folder), '')
    expect((await rebuild(folder)).error).toContain('only one that is missing can be made again')
    unlinkSync(manifestIn(folder))
    expect(await rebuild(folder)).toMatchObject({ code: 0 })
    const gate = await openAuditLog({ path: join(folder, 'audit.jsonl'), ring })
    expect((await rebuild(folder)).error).toContain('is in use by another gate')
    await gate.close()
  })
})
