/** Every kind of tampering is found, named, and reported as a report. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { run } from '../../src/cli/main.ts'
import { ring, row, SECRET, soundLog } from './sound.ts'
import type { Tampering } from './tampered.ts'
import { FILE_TAMPERING } from './tampered-files.ts'
import { ROW_TAMPERING } from './tampered-rows.ts'
import { SEGMENT_TAMPERING } from './tampered-segments.ts'
import { PAGE, tamperingPage } from './tampering-page.ts'

let root: string
let serial = 0
const PLAIN = 8
const ROLLED = 17
const ROLL_AT = 3000

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'signet-tampering-'))
  await soundLog(join(root, 'plain'), PLAIN)
  await soundLog(join(root, 'older'), PLAIN - 3)
  await soundLog(join(root, 'other'), PLAIN, { first: 100 })
  await soundLog(join(root, 'rolled'), ROLLED, { rollAt: ROLL_AT })
  await soundLog(join(root, 'other-rolled'), ROLLED, { first: 100, rollAt: ROLL_AT })
  // A real older state: the same log before its last segments were made.
  cpSync(join(root, 'rolled'), join(root, 'older-rolled'), { recursive: true })
  const manifest = join(root, 'older-rolled', 'audit.jsonl.manifest')
  const lines = readFileSync(manifest, 'utf8').split('\n')
  writeFileSync(
    manifest,
    `${lines
      .slice(
        0,
        lines.findIndex(l => l.includes('"segment":3')),
      )
      .join('\n')}\n`,
  )
  for (const n of [3, 4, 5]) rmSync(join(root, 'older-rolled', `audit.jsonl.00000${n}.zst`), { force: true })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function command(path: string): Promise<{ code: number; text: string }> {
  let text = ''
  const write = (chunk: string) => {
    text += chunk
  }
  const code = await run(['audit', 'verify', path, '--hmac-secret', Buffer.from(SECRET).toString('hex')], {
    out: { write },
    error: { write },
    environment: {},
    folder: root,
    now: () => 0,
    input: async () => Buffer.alloc(0),
    asked: async () => 'SIGTERM',
  })
  return { code, text }
}

async function check(base: 'plain' | 'rolled', { named, at, act }: Tampering): Promise<void> {
  const folder = join(root, `case-${serial++}`)
  cpSync(join(root, base), folder, { recursive: true })
  act(folder, join(root, 'older'))
  const path = join(folder, 'audit.jsonl')
  const report = await verifyLog(path, ring)
  expect(report.ok).toBe(false)
  const kinds = report.breaks.map(b => b.kind)
  expect(kinds).toContain(named)
  if (at !== undefined) {
    expect(report.breaks.find(b => b.kind === named)?.index).toBe(at)
    expect(report.last_known_good_index).toBeLessThan(at)
  }
  const { code, text } = await command(path)
  expect(code).toBe(1)
  expect(text).toContain(named)
  expect(text).not.toMatch(/^\s+at |Error:/m)
}

describe('sound logs', () => {
  it('verify, so that what is found below is the tampering', async () => {
    for (const base of ['plain', 'older', 'other', 'rolled', 'other-rolled']) {
      const report = await verifyLog(join(root, base, 'audit.jsonl'), ring)
      expect({ base, breaks: report.breaks, ok: report.ok }).toEqual({ base, breaks: [], ok: true })
    }
    expect(readFileSync(join(root, 'rolled', 'audit.jsonl.manifest'), 'utf8')).toContain('"segment":3')
  })
})

describe('tampering with rows', () => {
  it.each(ROW_TAMPERING.map(t => [t.what, t] as const))('%s', (_, t) => check('plain', t))
})
describe('tampering with files', () => {
  it.each(FILE_TAMPERING.map(t => [t.what, t] as const))('%s', (_, t) => check('plain', t))
})
describe('tampering with segments', () => {
  it.each(SEGMENT_TAMPERING.map(t => [t.what, t] as const))('%s', (_, t) => check('rolled', t))
})

describe('a write torn at every byte of the last two rows', () => {
  it('is found, and repaired by the next start when the head does not know more', async () => {
    const folder = join(root, 'torn')
    const path = await soundLog(folder, 4)
    const head = readFileSync(`${path}.head`)
    const whole = readFileSync(path)
    const log = await openAuditLog({ path, ring })
    for (const i of [50, 51]) await log.append(row(i)).durable()
    await log.close()
    const longer = readFileSync(path)
    const newHead = readFileSync(`${path}.head`)
    const newline = longer.indexOf(0x0a, whole.length)

    async function cut(to: number): Promise<void> {
      const copy = join(folder, `cut-${to}.jsonl`)
      writeFileSync(copy, longer.subarray(0, to))
      writeFileSync(`${copy}.head`, newHead)
      const known = await verifyLog(copy, ring)
      expect(
        known.breaks.map(b => b.kind),
        `cut at ${to}`,
      ).toContain('log_truncated')
      // With the head as it was before these rows: they were written, and nobody was told.
      writeFileSync(`${copy}.head`, head)
      const report = await verifyLog(copy, ring)
      const whole_ = to === whole.length || to === newline + 1
      expect(
        report.breaks.map(b => b.kind),
        `cut at ${to}`,
      ).toEqual(whole_ ? [] : ['torn_tail'])
      expect(report.last_known_good_index).toBe(to > newline ? 4 : 3)
      await (await openAuditLog({ path: copy, ring })).close()
      expect((await verifyLog(copy, ring)).ok, `cut at ${to}`).toBe(true)
    }
    // A file that ends in half a line is given a moment, in case somebody is writing it: many at once.
    for (let from = whole.length; from < longer.length; from += 100) {
      const at = Array.from({ length: Math.min(100, longer.length - from) }, (_, i) => from + i)
      await Promise.all(at.map(cut))
    }
  }, 180_000)
})

describe('docs/tampering.md', () => {
  it('shows this table, of at least sixty kinds', () => {
    const kinds = [...ROW_TAMPERING, ...FILE_TAMPERING, ...SEGMENT_TAMPERING]
    expect(new Set(kinds.map(k => k.what)).size).toBe(kinds.length)
    expect(kinds.length).toBeGreaterThanOrEqual(60)
    expect(readFileSync(PAGE, 'utf8')).toBe(tamperingPage())
  })
})
