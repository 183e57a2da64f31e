/**
 * Where a log ends, found from its last files: the row that the head names is checked, and the rows after it are walked.
 *
 * Guarantees: never returns a position that it cannot vouch for; says in one line what is wrong instead. Reads no more than
 * the end of the live file, unless there is no head file.
 */
import type { KeyRing } from '../keys/ring.ts'
import { EMPTY, type Position } from './chain.ts'
import { AuditError, type LogFile } from './files.ts'
import { readHead } from './head.ts'
import { readStored } from './stored.ts'
import { Walk } from './walk.ts'

export interface End {
  readonly at: Position
  readonly slot: 0 | 1
  /** Bytes beyond `at` that are no rows. */
  readonly torn: Buffer | undefined
  /** There was no head file where there should be one, and the operator knows. */
  readonly accepted: boolean
}

export function findEnd(
  log: LogFile,
  headFile: LogFile,
  ring: KeyRing,
  path: string,
  base: Position,
  acceptMissingHead: boolean,
): End {
  const size = base.length + log.size()
  const head = readHead(headFile, ring)
  if (head.kind === 'invalid') {
    throw new AuditError(
      'head_mismatch',
      `${path}.head is not valid (${head.detail}); add the key that signed it to the key ring, or restore the file`,
    )
  }
  if (head.kind === 'absent') {
    if (size === 0) return { at: EMPTY, slot: 1, torn: undefined, accepted: false }
    const end = walkFrom(log, ring, path, base, base, size)
    const expected = end.salted || base.count > 0n
    if (expected && !acceptMissingHead) {
      throw new AuditError(
        'head_missing',
        `${path}.head is missing, so rows may have been cut off ${path}; restore it, or accept the loss: signet audit accept-missing-head ${path}`,
      )
    }
    return { at: end.at, slot: 1, torn: end.torn, accepted: expected }
  }
  // The head may lag by a second after a power cut, and a roll may have come since: the manifest knows more.
  const from = head.position.count < base.count ? base : head.position
  if (size < from.length) {
    throw new AuditError(
      'log_truncated',
      `${path} has ${size} bytes but its head file knows ${from.count} rows in ${from.length} bytes; restore the log`,
    )
  }
  if (from.count > base.count) checkHeadRow(log, ring, path, from, base)
  else if (from.hmac !== base.hmac) {
    throw new AuditError(
      'head_mismatch',
      `${path}.head names another row than ${path}.manifest; run signet audit verify ${path}, and restore both`,
    )
  }
  const end = walkFrom(log, ring, path, base, from, size)
  return { at: end.at, slot: head.slot, torn: end.torn, accepted: false }
}

/** The row that the head names: it ends where the head says, with the HMAC the head says, and that HMAC holds. */
function checkHeadRow(log: LogFile, ring: KeyRing, path: string, at: Position, base: Position): void {
  const length = at.length - base.length
  const tail = Buffer.alloc(Math.min(length, 1024 * 1024))
  log.read(tail, length - tail.length)
  const start = tail.length < 2 ? 0 : tail.lastIndexOf(0x0a, tail.length - 2) + 1
  const walk = new Walk(ring, { prevHmac: undefined, tsNs: undefined })
  const whole = start > 0 || tail.length === length
  if (whole && tail.at(-1) === 0x0a) walk.lines(tail.subarray(start), tail.length - start)
  const report = walk.report()
  refuse(report.breaks[0], path, Number(at.count) - 1)
  if (report.rows !== 1 || report.lastHmac !== at.hmac) {
    throw new AuditError(
      'head_mismatch',
      `${path} does not hold the row that its head file names; run signet audit verify ${path}, and restore the log`,
    )
  }
}

/**
 * Rows from a known position to the end of the live file; what is left over at the end and is no row is torn. Positions count
 * from the log's first byte, the file begins at `base`.
 */
function walkFrom(
  log: LogFile,
  ring: KeyRing,
  path: string,
  base: Position,
  from: Position,
  size: number,
): { readonly at: Position; readonly torn: Buffer | undefined; readonly salted: boolean } {
  const walk = new Walk(ring, { prevHmac: from.hmac, tsNs: from.count === 0n ? undefined : from.tsNs })
  let chunk = Buffer.alloc(1024 * 1024)
  let at = from.length
  let good = from
  const leftOver = (): Buffer => {
    const rest = Buffer.alloc(size - good.length)
    log.read(rest, good.length - base.length)
    return rest
  }
  while (at < size) {
    const n = log.read(chunk.subarray(0, Math.min(chunk.length, size - at)), at - base.length)
    const end = chunk.subarray(0, n).lastIndexOf(0x0a) + 1
    if (end === 0) {
      if (at + n >= size || n === 0) break
      chunk = Buffer.alloc(chunk.length * 2)
      continue
    }
    for (let line = 0; line < end; ) {
      const newline = chunk.indexOf(0x0a, line)
      walk.line(chunk, line, newline)
      const report = walk.report()
      const broken = report.breaks[0]
      if (broken !== undefined) {
        // A power cut leaves garbage where rows were not yet synced. Garbage followed by a row is something else.
        const rest = leftOver()
        if (broken.kind !== 'malformed_line' || holdsRow(rest, ring)) refuse(broken, path, Number(from.count))
        return { at: good, torn: rest, salted: report.salted }
      }
      good = {
        count: from.count + BigInt(report.rows),
        length: from.length + report.bytes,
        hmac: report.lastHmac ?? '',
        tsNs: report.lastTsNs ?? -1n,
      }
      line = newline + 1
    }
    at += end
  }
  const salted = walk.report().salted
  return { at: good, torn: good.length === size ? undefined : leftOver(), salted }
}

/** Any complete line that is a row of this ring. */
function holdsRow(bytes: Buffer, ring: KeyRing): boolean {
  for (let at = 0; ; ) {
    const newline = bytes.indexOf(0x0a, at)
    if (newline < 0) return false
    if (readStored(bytes.subarray(at, newline)).ok) {
      const walk = new Walk(ring, { prevHmac: undefined, tsNs: undefined })
      walk.line(bytes, at, newline)
      if (walk.report().breaks.length === 0) return true
    }
    at = newline + 1
  }
}

function refuse(
  broken: { readonly kind: string; readonly detail: string; readonly index: number } | undefined,
  path: string,
  rowsBefore: number,
): void {
  if (broken === undefined) return
  if (broken.kind === 'unknown_key') {
    throw new AuditError(
      'key_unknown',
      `${path}: row ${rowsBefore + broken.index}: ${broken.detail}; configure the right key, or add it as a legacy key`,
    )
  }
  throw new AuditError(
    'log_broken',
    `${path} is broken at row ${rowsBefore + broken.index} (${broken.kind}: ${broken.detail}); run signet audit verify ${path}, and restore the log or start a new one`,
  )
}

/** The durable bytes must still end with the row that was acknowledged last. */
export function checkTail(log: LogFile, at: Position, base: Position): void {
  const length = at.length - base.length
  if (length < 0 || log.size() < length) throw Object.assign(new Error('rows are missing'), { code: 'log_truncated' })
  // An empty file: the manifest names the row before it.
  if (length === 0) {
    if (at.hmac !== base.hmac) throw Object.assign(new Error('another file'), { code: 'log_broken' })
    return
  }
  const tail = Buffer.alloc(Math.min(length, 64 * 1024))
  log.read(tail, length - tail.length)
  const line = tail.subarray(tail.lastIndexOf(0x0a, tail.length - 2) + 1, tail.length - 1)
  const read = readStored(line)
  if (!read.ok || read.row.hmac !== at.hmac) throw Object.assign(new Error('another file'), { code: 'log_broken' })
}
