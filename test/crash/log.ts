/** The transparency log of a gate that is killed, and what must hold of it afterwards. */
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { checkLog } from '../../src/audit/log/check.ts'
import { type OpenedCheckpoint, openCheckpoint } from '../../src/audit/log/checkpoint.ts'
import { verifyConsistency } from '../../src/audit/log/merkle.ts'
import { ED25519 } from '../../src/audit/log/note.ts'
import { openTransparencyLog, type TransparencyLog } from '../../src/audit/log/open.ts'
import { LogReader, type TileSource } from '../../src/audit/log/reader.ts'
import { FileRows } from '../../src/audit/log/rows.ts'
import { signerOf } from '../../src/audit/log/testing/vectors.test-support.ts'
import { linesOfLog } from '../../src/audit/read.ts'

const signer = await signerOf('crash.test/log', 3, ED25519)
const folderOf = (path: string) => `${path}.tlog`

/** Checkpoints come thick and fast, so that a kill finds one being made. */
export async function openCrashLog(path: string, rows: number): Promise<TransparencyLog> {
  const source = await FileRows.atEnd(path, rows)
  return openTransparencyLog({ path: folderOf(path), signer, source, rows, intervalMs: 5 })
}

/** What the world had been shown when the gate died. */
export async function shownCheckpoint(path: string): Promise<OpenedCheckpoint | undefined> {
  const file = `${folderOf(path)}/checkpoint`
  return existsSync(file) ? openCheckpoint(readFileSync(file, 'utf8'), [signer.key]) : undefined
}

/** Opens the log that a kill has left, lets it catch up, and compares it with the rows and with what was shown. */
export async function checkCrashLog(
  path: string,
  shown: OpenedCheckpoint | undefined,
  rows: number,
): Promise<string[]> {
  const log = await openCrashLog(path, rows)
  if (rows > 0) await log.reached(rows - 1, 'logged')
  await log.close()
  const source: TileSource = { read: name => readFile(`${folderOf(path)}/${name}`).catch(() => undefined) }
  const report = await checkLog({ source, rows: linesOfLog(path), key: signer.key })
  const now = await shownCheckpoint(path)
  if (shown !== undefined && now !== undefined) {
    await verifyConsistency({
      older: shown.size,
      olderRoot: shown.root,
      newer: now.size,
      newerRoot: now.root,
      proof: await new LogReader(source, now.size).consistency(shown.size),
    })
  }
  return report.size === rows ? [...report.problems] : [`${rows} rows, but the log has ${report.size} entries`]
}
