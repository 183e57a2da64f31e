import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHead } from './head.ts'
import { openAuditLog } from './open.ts'
import { readRows } from './read.ts'
import { testRing } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'

const ring = testRing()
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-crash-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the writer until it has acknowledged `after` rows, kills it with SIGKILL, returns all it acknowledged. */
async function writeAndKill(path: string, seed: number, after: number): Promise<string[]> {
  const script = fileURLToPath(new URL('./testing/crash-writer.test-support.ts', import.meta.url))
  const child = spawn(process.execPath, [script, path, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => {
    printed += text
    if (printed.split('\n').length - 2 >= after) child.kill('SIGKILL')
  })
  await new Promise(resolve => child.once('close', resolve))
  expect(child.signalCode).toBe('SIGKILL')
  return printed.split('\n').slice(1, -1)
}

describe('a gate killed anywhere', () => {
  it('leaves all acknowledged rows, no stale lock, and a log that verifies and goes on', async () => {
    const path = join(folder, 'audit.jsonl')
    const acknowledged: string[] = []
    for (const [seed, after] of [1, 23, 60].entries()) {
      acknowledged.push(...(await writeAndKill(path, seed, after)))
      // The head names every acknowledged row, so that none of them can be cut off unseen.
      const head = parseHead(readFileSync(`${path}.head`), ring)
      expect(head.kind === 'found' && head.position.count).toBeGreaterThanOrEqual(BigInt(acknowledged.length))
    }
    expect((await verifyLog(path, ring)).breaks.filter(b => b.kind !== 'torn_tail')).toEqual([])
    const log = await openAuditLog({ path, ring })
    await log.close()
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, breaks: [] })
    const present = new Set<string>()
    for await (const read of readRows(path)) if (read.kind === 'row') present.add(read.row.entryId)
    expect(acknowledged.length).toBeGreaterThanOrEqual(84)
    expect(acknowledged.filter(id => !present.has(id))).toEqual([])
  })
})
