/**
 * `audit verify`: the whole log, all of its files, against the key ring, the manifest and the head file, in one pass and
 * constant memory.
 *
 * Reports, never throws, for anything that can be wrong with a log's content; throws `AuditError` only when a file
 * cannot be read. Reads logs of the Python implementation too (floats, no salt, no head file). A log that a gate is
 * writing and rolling meanwhile verifies: the head is read first, the log only grows, and files are read as they were
 * opened.
 */
import { fstatSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { KeyRing } from '../keys/ring.ts'
import type { Position } from './chain.ts'
import { AuditError, errno, NO_WAIT } from './files.ts'
import { type HeadState, parseHead } from './head.ts'
import { closeLayout, type Layout, openLayout } from './layout.ts'
import { locate } from './position.ts'
import { type Joined, joinUnits } from './verify-join.ts'
import type { SectionCheck, VerifyFrom, VerifyReport } from './verify-report.ts'
import { chainSection, headSection, segmentSection } from './verify-sections.ts'
import { planUnits, runUnit, type Unit, type UnitResult } from './verify-units.ts'

export interface VerifyOptions {
  readonly version?: string
  readonly now?: () => Date
  /** `ignore` for a log without its head file, such as a copy: lost rows at the end then go unnoticed. */
  readonly head?: 'check' | 'ignore'
  /** Where packed segments may be, besides the log's own folder. */
  readonly folders?: readonly string[]
  /** Instead of the manifest's file: one that is not written yet. */
  readonly manifest?: Buffer
  /** Segments that are in none of them are listed, not broken. */
  readonly allowMissing?: boolean
  /** Begin here; rows before it are not looked at. */
  readonly from?: VerifyFrom | undefined
  /** Tree, checkpoints, cosignatures, anchors: checked after the chain, in this order. */
  readonly sections?: readonly SectionCheck[]
  /** Where the log ends, when nothing is wrong with it: verification can begin there the next time. */
  readonly onSound?: (at: Position) => void
  /** Bytes verified of bytes in all. */
  readonly onProgress?: (done: number, total: number) => void
  /** Bytes of rows per unit of work. */
  readonly unit?: number
}

export type RunUnits = (units: readonly Unit[], progress: (bytes: number) => void) => Promise<readonly UnitResult[]>

/** In this thread. */
export async function verifyLog(path: string, ring: KeyRing, options: VerifyOptions = {}): Promise<VerifyReport> {
  return verifyWith(path, ring, options, async (units, progress) => {
    const results: UnitResult[] = []
    for (const unit of units) {
      results.push(runUnit(unit, ring, progress))
      await setImmediate()
    }
    return results
  })
}

/** What verification in one thread and in many share. */
export async function verifyWith(
  path: string,
  ring: KeyRing,
  options: VerifyOptions,
  run: RunUnits,
): Promise<VerifyReport> {
  const head: HeadState | undefined = options.head === 'ignore' ? undefined : await loadHead(path, ring)
  const layout = await openLayout(path, { ring, folders: options.folders, manifest: options.manifest })
  try {
    const size = await settledSize(layout.live)
    let done = 0
    const progress = (bytes: number) => {
      done += bytes
      options.onProgress?.(done, plan.total)
    }
    const { start, fault } = locate(layout, options.from)
    const headAt = head?.kind === 'found' ? head.position.length - layout.base.length + layout.liveFrom : undefined
    const plan = planUnits(layout, size, headAt, start, options.unit)
    const joined = joinUnits({
      layout,
      units: plan.units,
      results: await run(plan.units, progress),
      faults: plan.faults,
      head,
      size,
      from: options.from,
      start,
      allowMissing: options.allowMissing === true,
    })
    const report = await reportOf(fault === undefined ? joined : withFault(joined, fault), layout, head, options)
    // What was not read is nothing to begin behind.
    if (report.ok && joined.unread === 0) {
      options.onSound?.({
        count: BigInt(joined.rows),
        length: layout.base.length + size - layout.liveFrom,
        hmac: joined.lastHmac,
        tsNs: joined.lastTsNs ?? -1n,
      })
    }
    return report
  } finally {
    closeLayout(layout)
  }
}

function withFault(joined: Joined, detail: string): Joined {
  const index = joined.rows
  return {
    ...joined,
    breaks: [{ index, entry_id: '', kind: 'checkpoint_mismatch', detail, line: 1 }, ...joined.breaks],
  }
}

async function reportOf(
  joined: Joined,
  layout: Layout,
  head: HeadState | undefined,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const sections: Record<string, VerifyReport['sections'][keyof VerifyReport['sections']]> = {
    chain: chainSection(joined, options.from),
    head: headSection(joined, head),
    segments: segmentSection(joined, layout),
  }
  for (const { name, check } of options.sections ?? []) sections[name] = await check()
  const broken = Object.values(sections).some(s => s?.status === 'broken')
  const from = options.from
  return {
    ok: !broken && joined.breaks.length === 0,
    total_entries: joined.rows,
    breaks: joined.breaks,
    more_breaks: joined.moreBreaks,
    last_known_good_index: joined.goodRows - 1,
    last_known_good_hmac: joined.goodHmac,
    head: head === undefined ? 'ignored' : head.kind === 'absent' ? 'absent' : 'checked',
    from:
      from === undefined
        ? null
        : { index: Number(from.position.count), hmac: from.position.hmac, fixed_by: from.fixedBy },
    sections,
    signet_version: options.version ?? '',
    verified_at: (options.now?.() ?? new Date()).toISOString(),
  }
}

/** A gate may be in the middle of a write: half a line at the end is torn only if it stays half. */
async function settledSize(fd: number): Promise<number> {
  const last = Buffer.alloc(1)
  let size = fstatSync(fd).size
  for (let tries = 0; tries < 20 && size > 0; tries++) {
    readSync(fd, last, 0, 1, size - 1)
    if (last[0] === 0x0a) break
    await setTimeout(10)
    const now = fstatSync(fd).size
    if (now === size) break
    size = now
  }
  return size
}

async function loadHead(path: string, ring: KeyRing): Promise<HeadState> {
  try {
    return parseHead(await readFile(`${path}.head`, { flag: NO_WAIT }), ring)
  } catch (error) {
    if (errno(error) === 'ENOENT') return { kind: 'absent' }
    throw new AuditError('log_unreadable', `${path}.head cannot be read (${errno(error)})`, { cause: error })
  }
}
