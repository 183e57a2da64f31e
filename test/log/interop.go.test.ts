/**
 * Needs Go 1.25 or later, and the Go module proxy for its first run: the tools that others check logs with, unmodified.
 * `fsck` of https://github.com/transparency-dev/tessera recomputes the root and every tile from the entry bundles;
 * golang.org/x/mod/sumdb/note opens our checkpoints, and signs nothing of ours.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAuditLog } from '../../src/audit/open.ts'
import { testRow } from '../../src/audit/testing/rows.test-support.ts'
import { KeyRing } from '../../src/keys/ring.ts'
import { KeyFolder } from '../../src/keys/store.ts'
import { ask, startServed } from '../support/served.ts'

const TESSERA = 'v1.0.4'
/** Built once per machine: a module cache of its own would be downloaded anew each time. */
const bin = join(tmpdir(), `signet-go-${process.getuid?.() ?? 0}`)
let folder: string

function go(args: readonly string[], cwd: string): void {
  const run = spawnSync('go', args, { cwd, env: { ...process.env, GOBIN: bin, GOFLAGS: '-mod=mod' }, encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`go ${args.join(' ')}: ${run.stderr}`)
}

beforeAll(() => {
  const found = spawnSync('go', ['version'], { encoding: 'utf8' })
  const [, major = '0', minor = '0'] = /go(\d+)\.(\d+)/.exec(found.stdout ?? '') ?? []
  if (found.status !== 0 || Number(major) < 1 || (major === '1' && Number(minor) < 25)) {
    throw new Error('Go 1.25 or later is not on the path; install it from https://go.dev/dl/')
  }
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  go(['install', `github.com/transparency-dev/tessera/cmd/fsck@${TESSERA}`], homedir())
  go(['install', '.'], join(import.meta.dirname, 'testdata', 'opennote'))
  folder = mkdtempSync(join(tmpdir(), 'signet-go-logs-'))
}, 600_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function fsck(logFolder: string, key: string) {
  const keyFile = join(folder, 'vkey.txt')
  writeFileSync(keyFile, `${key}\n`)
  return spawnSync(join(bin, 'fsck'), [`--storage_url=file://${logFolder}/`, `--public_key=${keyFile}`, '--ui=false'], {
    encoding: 'utf8',
    timeout: 60_000,
  })
}

function openNote(note: Uint8Array, ...keys: readonly string[]) {
  return spawnSync(join(bin, 'opennote'), keys, { input: note, encoding: 'utf8' })
}

/** A gate that has written exactly this many rows, of which `before` were there before there was a log. */
async function logOf(size: number, before = 0): Promise<{ readonly path: string; readonly key: string }> {
  const project = mkdtempSync(join(folder, `${size}-`))
  if (before > 0) {
    const ring = new KeyRing(new KeyFolder(join(project, '.signet')).secret('chain'))
    const audit = await openAuditLog({ path: join(project, 'audit.jsonl'), ring })
    for (let i = 0; i < before; i++) audit.append(testRow(i))
    await audit.close()
  }
  const served = await startServed(project)
  // That a log was begun over older rows is a row too.
  for (let done = before > 0 ? before + 1 : 0; done < size; ) {
    const batch = Math.min(16, size - done)
    // Refused for want of an owner: one row each.
    const answers = await Promise.all(Array.from({ length: batch }, () => ask(served.url, undefined)))
    expect(answers.map(answer => answer.status)).toEqual(answers.map(() => 403))
    done += batch
  }
  expect(await served.stop()).toBe(0)
  return { path: join(project, 'audit.jsonl.tlog'), key: served.logKey }
}

describe("tessera's fsck", () => {
  it.each([
    [1, 0],
    [255, 0],
    [256, 0],
    [257, 0],
    [600, 300],
    [70_000, 69_500],
  ])('accepts a log of %i entries, %i of them older than the log', async (size, before) => {
    const { path, key } = await logOf(size, before)
    const checked = fsck(path, key)
    expect([checked.status, checked.stderr]).toEqual([
      0,
      expect.stringContaining(`Successfully fsck'd log with size ${size} `),
    ])
    if (size > 255) return
    // It would have noticed, though its exit code is 0 then too. (In a full bundle it notices and waits for ever.)
    const tile = join(path, 'tile', 'entries', '000.p', String(size))
    const bytes = readFileSync(tile)
    bytes[40] = (bytes[40] ?? 0) ^ 1
    writeFileSync(tile, bytes)
    expect(fsck(path, key).stderr).toContain('fsck failed')
  })
})

describe('sumdb/note', () => {
  it('opens the checkpoints of logs of any size, and of no other key', async () => {
    for (const size of [0, 3]) {
      const { path, key } = await logOf(size)
      const note = readFileSync(join(path, 'checkpoint'))
      const opened = openNote(note, key)
      expect([opened.status, opened.stderr]).toEqual([0, ''])
      expect(opened.stdout).toMatch(new RegExp(`^signet\\.invalid/[0-9a-f]{16}\\n${size}\\n`))
      const other = 'gate.test/log+267572b1+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c'
      expect(openNote(note, other).status).toBe(1)
      note[5] = (note[5] ?? 0) ^ 1
      expect(openNote(note, key).status).toBe(1)
    }
  })

  it('opens the notes of the vectors', async () => {
    const { vectors } = await import('../../src/audit/log/testing/vectors.test-support.ts')
    for (const note of Object.values(vectors.checkpoints)) {
      expect(openNote(Buffer.from(note), vectors.logVkey).status).toBe(0)
    }
  })
})
