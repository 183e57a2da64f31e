/**
 * `signet audit export`: rows into a file, as JSON lines (the stored rows, byte for byte) or as CSV for spreadsheets.
 * Guarantees that no cell of the CSV is a formula: what would begin one has an apostrophe before it (OWASP, CSV injection).
 */
import { closeSync, constants, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { canonical } from '../../audit/canonical.ts'
import { factsOf, matches } from '../../audit/facts.ts'
import { errno } from '../../audit/files.ts'
import type { FilterField } from '../../audit/filter-fields.ts'
import { unsealRow } from '../../audit/seal-row.ts'
import type { StoredRow } from '../../audit/stored.ts'
import { type Context, fileError, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { filterOf, withReader } from '../log-reader.ts'
import { durationSeconds } from '../report.ts'
import { timeOf } from '../row-text.ts'
import { findSealing, type SealingOptions } from '../sealing-option.ts'

interface Options extends LogOptions, SealingOptions {
  readonly format: 'jsonl' | 'csv'
  readonly out: string
  readonly since?: string
  readonly filter?: ReadonlyMap<FilterField, string>
}

const COLUMNS = [
  'row',
  'time',
  'ts_ns',
  'entry_id',
  'exchange',
  'decision',
  'check',
  'filed_under',
  'stage',
  'owner_type',
  'owner_id',
  'approval_chain',
  'reason',
  'request_fingerprint',
  'metadata',
  'prev_hmac',
  'hmac',
]

const FLUSH = 256 * 1024

export async function exportRows(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { path, folders } = logOf(given, options, context)
  const seconds = options.since === undefined ? undefined : durationSeconds(options.since)
  if (options.since !== undefined && seconds === undefined) {
    throw new CommandError('--since: expected a duration such as 30m, 24h, 7d, 2w or P1DT12H')
  }
  const sinceNs =
    seconds === undefined ? 0n : BigInt(context.now()) * 1_000_000n - BigInt(Math.round(seconds)) * 1_000_000_000n
  const sealing = findSealing(options, path, context)
  const filter = filterOf(options.filter, sealing)
  const out = located(context, options.out)
  const fd = create(out, options.out)
  let done = false
  try {
    await withReader(path, { folders, index: false }, context, reader => {
      const wanted = (row: StoredRow) => row.tsNs >= sinceNs && (filter === undefined || matches(factsOf(row), filter))
      let rows = 0
      let held = options.format === 'csv' ? `${COLUMNS.join(',')}\r\n` : ''
      reader.each((row, text, index) => {
        if (!wanted(row)) return
        rows++
        held += options.format === 'csv' ? csvLine(unsealRow(row, sealing), index) : `${text}\n`
        if (held.length > FLUSH) {
          write(fd, held, out)
          held = ''
        }
      })
      write(fd, held, out)
      fsyncSync(fd)
      terminal.note(`${rows} rows in ${options.out}`)
      context.exit(reader.damaged === 0 ? DONE : FAILED)
    })
    done = true
  } finally {
    closeSync(fd)
    if (!done) unlinkSync(out)
  }
}

function create(path: string, shown: string): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  } catch (error) {
    if (errno(error) === 'EEXIST') throw new CommandError(`${shown}: exists already; choose another name`)
    throw fileError(shown, error)
  }
}

function write(fd: number, text: string, path: string): void {
  const bytes = Buffer.from(text)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
  } catch (error) {
    throw fileError(path, error)
  }
}

function csvLine(row: StoredRow, index: bigint): string {
  const facts = factsOf(row)
  const cells = [
    String(index),
    timeOf(row.tsNs),
    String(row.tsNs),
    row.entryId,
    facts.exchange,
    row.decision,
    facts.check,
    row.checkName,
    facts.stage,
    row.ownerType,
    row.ownerId,
    row.approvalChain.join(' '),
    row.reason,
    row.fingerprint,
    canonical(row.metadata),
    row.prevHmac,
    row.hmac,
  ]
  return `${cells.map(csvCell).join(',')}\r\n`
}

/** RFC 4180, and no formula: spreadsheets run what begins with = + - @, also behind blanks or in their full-width forms. */
export function csvCell(text: string): string {
  const safe =
    /^[\s\u0000-\u001f\u00a0\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]/u.test(text) || /^[\t\r\n]/.test(text)
      ? `'${text}`
      : text
  return /[",\r\n;]|^'|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
