/**
 * One run of a log on a disk that fails at random: full, read-only, broken, at writes, syncs, renames and packing. Whoever was
 * told that a row is durable must find it, once, in one chain. Used by the test (few runs) and by the soak (many).
 */
import { join } from 'node:path'
import { openAuditLog } from '../../src/audit/open.ts'
import { readRows } from '../../src/audit/read.ts'
import { WatchedFiles } from '../../src/audit/testing/watched-files.test-support.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { ring, row } from './sound.ts'

export interface FaultResult {
  readonly told: number
  readonly refused: number
  readonly faults: number
  readonly segments: number
  /** Empty when the run was sound. */
  readonly problems: readonly string[]
}

const CODES = ['ENOSPC', 'EROFS', 'EIO', 'EDQUOT'] as const

/** `random` gives numbers in [0, 1). */
export async function faultRun(folder: string, random: () => number): Promise<FaultResult> {
  const path = join(folder, 'audit.jsonl')
  const files = new WatchedFiles(path)
  // Time passes at once: a retry comes when everything else has run.
  const later = (_ms: number, f: () => void) => {
    const handle = setImmediate(f)
    return () => clearImmediate(handle)
  }
  const log = await openAuditLog({ path, ring, files, later, roll: { bytes: 6000 }, packer: files.packer(folder) })
  let faults = 0
  let failing = 0
  files.before = step => {
    // Some faults pass, some last for a while.
    if (failing > 0) failing--
    else if (random() < 0.02) failing = random() < 0.5 ? 0 : Math.floor(random() * 12)
    else return
    faults++
    throw Object.assign(new Error(step), { code: CODES[Math.floor(random() * CODES.length)] ?? 'EIO' })
  }
  const told: string[] = []
  let refused = 0
  let next = 0
  const appender = async () => {
    while (next < 120) {
      const ticket = log.append(row(next++))
      try {
        await ticket.durable()
        told.push(ticket.entryId)
      } catch {
        refused++
        await new Promise(resolve => setImmediate(resolve))
      }
    }
  }
  await Promise.all([appender(), appender(), appender()])
  files.before = () => undefined
  while (!log.ok) await new Promise(resolve => setImmediate(resolve))
  const last = log.append(row(9999))
  await last.durable()
  told.push(last.entryId)
  await log.close()

  const problems: string[] = []
  const report = await verifyLog(path, ring)
  if (!report.ok) problems.push(`the log does not verify: ${JSON.stringify(report.breaks.slice(0, 3))}`)
  const seen = new Map<string, number>()
  for await (const read of readRows(path)) {
    if (read.kind === 'row') seen.set(read.row.entryId, (seen.get(read.row.entryId) ?? 0) + 1)
    else problems.push(`a line is no row: ${JSON.stringify(read.kind)}`)
  }
  for (const id of told)
    if (seen.get(id) !== 1) problems.push(`${id} was acknowledged and is there ${seen.get(id) ?? 0} times`)
  try {
    const again = await openAuditLog({ path, ring })
    await again.append(row(10_000)).durable()
    await again.close()
  } catch (error) {
    problems.push(`the log does not open again: ${error instanceof Error ? error.message : 'unknown error'}`)
  }
  const after = await verifyLog(path, ring)
  if (!after.ok)
    problems.push(`the log does not verify after the next start: ${JSON.stringify(after.breaks.slice(0, 3))}`)
  const segments = Number(after.sections.segments?.details['segments'] ?? 0)
  return { told: told.length, refused, faults, segments, problems }
}
