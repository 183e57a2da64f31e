/** `signet audit segments`: what a log is made of, where it lies, what is old enough to be moved, and moving it. */
import { fstatSync, statSync } from 'node:fs'
import { AuditError, errno } from '../../audit/files.ts'
import { closeLayout, type Layout, openLayout, type Piece } from '../../audit/layout.ts'
import { moveSegment } from '../../audit/segments/move.ts'
import { SegmentFault } from '../../audit/segments/packed.ts'
import { findKeyRing } from '../chain-keys.ts'
import { type Context, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { durationSeconds } from '../report.ts'
import { timeOf } from '../row-text.ts'

interface Options extends LogOptions {
  readonly olderThan?: string
  readonly moveTo?: string
  readonly json?: true
}

interface Listed {
  readonly segment: number
  readonly first_row: number
  readonly rows: number
  readonly from: string
  readonly to: string
  readonly bytes: number
  /** `null`: not packed yet, or not here. */
  readonly packed_bytes: number | null
  readonly state: 'packed' | 'rolled' | 'missing'
  readonly file: string
  readonly movable: boolean
}

export async function segments(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  const olderThan = options.olderThan === undefined ? undefined : durationSeconds(options.olderThan)
  if (options.olderThan !== undefined && olderThan === undefined) {
    throw new CommandError('--older-than: expected a duration such as 30d, 12w or P90D')
  }
  if (options.moveTo !== undefined && olderThan === undefined) {
    throw new CommandError('--move-to: needs --older-than, which says what may be moved')
  }
  const beforeNs =
    olderThan === undefined
      ? undefined
      : BigInt(context.now()) * 1_000_000n - BigInt(Math.round(olderThan)) * 1_000_000_000n
  const layout = await opened(path, folders, findKeyRing(options, context))
  try {
    const old = (piece: Piece) => beforeNs !== undefined && piece.entry.to.tsNs < beforeNs
    const listed = layout.pieces.map(piece => list(piece, old(piece)))
    const moved = options.moveTo === undefined ? [] : move(layout, old, located(context, options.moveTo), context)
    print(layout, listed, shown, options, context, beforeNs)
    for (const each of moved) terminal.note(each)
    const wrong = layout.manifest.faults.length > 0 || listed.some(l => l.state === 'missing')
    context.exit(wrong ? FAILED : DONE)
  } finally {
    closeLayout(layout)
  }
}

async function opened(path: string, folders: readonly string[], ring: ReturnType<typeof findKeyRing>): Promise<Layout> {
  try {
    return await openLayout(path, { ring, folders })
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}

function list(piece: Piece, old: boolean): Listed {
  const { entry } = piece
  return {
    segment: entry.number,
    first_row: Number(entry.from.count),
    rows: Number(entry.to.count - entry.from.count),
    from: timeOf(entry.firstTsNs),
    to: timeOf(entry.to.tsNs),
    bytes: entry.to.length - entry.from.length,
    packed_bytes: piece.kind === 'packed' ? (statSync(piece.path, { throwIfNoEntry: false })?.size ?? null) : null,
    state: piece.kind,
    file: piece.kind === 'packed' ? piece.path : piece.name,
    movable: old && piece.kind === 'packed',
  }
}

function move(layout: Layout, old: (piece: Piece) => boolean, folder: string, context: Context): readonly string[] {
  const said: string[] = []
  for (const piece of layout.pieces) {
    if (piece.kind !== 'packed' || !old(piece) || piece.entry.packed === undefined) continue
    try {
      said.push(`moved ${piece.name} to ${moveSegment(piece.path, folder, piece.entry.packed)}`)
    } catch (error) {
      for (const each of said) context.terminal.note(each)
      const why = error instanceof SegmentFault ? error.message : errno(error)
      throw new CommandError(`${piece.path}: not moved to ${folder} (${why})`)
    }
  }
  return said
}

function print(
  layout: Layout,
  listed: readonly Listed[],
  shown: string,
  options: Options,
  { terminal }: Context,
  beforeNs: bigint | undefined,
): void {
  const live = fstatSync(layout.live).size - layout.liveFrom
  const movable = listed.filter(l => l.movable)
  const movableBytes = movable.reduce((sum, l) => sum + (l.packed_bytes ?? 0), 0)
  if (options.json === true) {
    terminal.json({
      log: shown,
      segments: listed,
      live_file: { first_row: Number(layout.base.count), bytes: live },
      older_than: beforeNs === undefined ? null : timeOf(beforeNs),
      movable: { segments: movable.length, bytes: movableBytes },
      manifest_faults: layout.manifest.faults,
      unlisted: layout.unlisted,
    })
    return
  }
  terminal.table(
    [
      ['segment', 'first row', 'rows', 'from', 'to', 'bytes', 'packed', 'state', 'file'],
      ...listed.map(l => [
        String(l.segment),
        String(l.first_row),
        String(l.rows),
        l.from,
        l.to,
        String(l.bytes),
        l.packed_bytes === null ? '-' : String(l.packed_bytes),
        l.state === 'missing' ? { text: l.state, colour: 'red' as const } : l.movable ? 'packed, old' : l.state,
        l.file,
      ]),
      ['live', String(layout.base.count), '-', '-', '-', String(live), '-', 'live', shown],
    ],
    [0, 1, 2, 5, 6],
  )
  for (const { line, detail } of layout.manifest.faults) {
    terminal.note({ text: 'damaged: ', colour: 'red' }, `line ${line} of the manifest ${detail}`)
  }
  for (const name of layout.unlisted)
    terminal.note(`${name} is named like a segment, and the manifest does not know it`)
  if (beforeNs !== undefined) {
    terminal.note(
      `${movable.length} of ${listed.length} segments end before ${timeOf(beforeNs)}: ${movableBytes} bytes can be moved with --move-to`,
    )
  }
}
