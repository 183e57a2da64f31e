/**
 * Opens the transparency log of an audit log, before a gate takes its first request.
 *
 * Guarantees: start-up time does not grow with the log: the tree is taken up from the tiles at its right edge, and what a crash
 * may have left of tiles that were not settled is made again from the rows. The tree must have the root that was signed last, the
 * audit log must have at least as many rows, and the last row that was signed must be the one in the log; else nothing starts, and
 * nothing is ever signed again over it. Rows that came after are taken into the log from the audit log.
 *
 * Does not: compare every row with its entry (`check.ts` does). What grows the log afterwards takes the tree up from the same
 * tiles by itself, in its own thread.
 */
import type { RowLog } from '../../core/row.ts'
import type { DurableRow } from '../writer.ts'
import { fromUtf8, same } from './bytes.ts'
import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import { LogFolder } from './folder.ts'
import { type FolderFiles, NodeFolderFiles } from './folder-files.ts'
import { FolderIntegrator, type Integrator } from './integrator.ts'
import { IntegratorThread } from './integrator-thread.ts'
import { leafOfLine } from './leaf.ts'
import type { NoteSigner } from './note.ts'
import { Publisher, type Restored } from './publisher.ts'
import { LogReader } from './reader.ts'
import { forked, restoreEdge, restoreTree } from './restore.ts'
import type { RowSource } from './rows.ts'
import { inFullTiles, lastFullTiles, parseTilePath } from './tile.ts'
import { GrowingTree, type TreeHead } from './tree.ts'
import type { Witnesses } from './witnesses.ts'

export interface OpenLogOptions {
  /** Its folder; made when there is none. */
  readonly path: string
  readonly signer: NoteSigner
  /** The audit log's rows. */
  readonly source: RowSource
  /** How many of them are durable. */
  readonly rows: number
  /** Between checkpoints, in milliseconds. */
  readonly intervalMs: number
  readonly witnesses?: Witnesses | undefined
  /** Why nothing may be signed or shown from the start on. */
  readonly halted?: LogInvalid | undefined
  /** For the operator's log: that publishing stopped and why, and that it went on. */
  readonly onState?: ((ok: boolean, reason: string) => void) | undefined
  readonly nowMs?: () => number
  readonly later?: (ms: number, f: () => void) => () => void
  /** For tests; the log is then grown in this thread. */
  readonly files?: FolderFiles
  /** For tests: another than a thread. */
  readonly integrator?: (kept: TreeHead) => Integrator | Promise<Integrator>
}

export interface TransparencyLog extends RowLog {
  readonly origin: string
  /** There were rows, and no log of them: the first start with a log, or one after its folder was lost. */
  readonly begunLate: boolean
  /** Rows that became durable, in order. */
  push(rows: readonly DurableRow[]): void
  /** What is served under this path: `checkpoint`, or a tile. `undefined` for anything else. */
  read(path: string): Promise<Uint8Array | undefined>
  /** Nothing is signed or shown from now on; who waits is told why. */
  halt(why: LogInvalid): void
  close(): Promise<void>
}

export async function openTransparencyLog(o: OpenLogOptions): Promise<TransparencyLog> {
  const files = o.files ?? new NodeFolderFiles(o.path)
  const folder = new LogFolder(files)
  const { key } = o.signer
  await folder.open()
  const { tree, ...restored } = await restore(folder, o)
  // Only differences matter: the time of day may be set back.
  const nowMs = o.nowMs ?? (() => performance.now())
  const grown = async (kept: TreeHead) =>
    o.files === undefined ? new IntegratorThread(o.path, kept) : FolderIntegrator.open(folder, tree, { nowMs })
  const publisher = new Publisher(
    {
      integrator: await (o.integrator ?? grown)({ size: tree.size, root: tree.root() }),
      source: o.source,
      signer: o.signer,
      origin: key.name,
      intervalMs: o.intervalMs,
      nowMs,
      later: o.later ?? timer,
      witnesses: o.witnesses,
      onState: o.onState,
      halted: o.halted,
    },
    restored,
    o.rows,
  )
  return {
    origin: key.name,
    begunLate: restored.signed === undefined && o.rows > 0,
    get status() {
      return publisher.status
    },
    push: rows => publisher.push(rows),
    reached: (index, level) => publisher.reached(index, level),
    read: async path => (path === 'checkpoint' || parseTilePath(path) !== undefined ? files.read(path) : undefined),
    halt: why => publisher.halt(why),
    close: () => publisher.close(),
  }
}

async function restore(folder: LogFolder, o: OpenLogOptions): Promise<Restored & { readonly tree: GrowingTree }> {
  const signed = await readNote(folder, 'signed', o.signer)
  const shown = await readNote(folder, 'checkpoint', o.signer)
  const last = (signed?.checkpoint.size ?? -1) >= (shown?.checkpoint.size ?? -1) ? signed : shown
  if (last === undefined) {
    return { tree: new GrowingTree(), size: 0, signed: undefined, shown: 0, unsettled: false }
  }
  const { size, root } = last.checkpoint
  if (o.rows < size) {
    throw new LogInvalid(
      'log_behind',
      `the audit log has ${o.rows} rows, but ${folder.path} has a checkpoint signed over ${size}; restore the missing rows: a gate does not run behind what it signed`,
    )
  }
  const tree = await restoreTree(folder, { size, root }, (from, to) => leaves(o.source, from, to))
  if (shown !== undefined && shown.note !== last.note) {
    const reader = new LogReader({ read: path => folder.read(path) }, size)
    const then = shown.checkpoint.size === size ? root : await reader.rootAt(shown.checkpoint.size)
    if (!same(then, shown.checkpoint.root)) {
      throw forked(folder, shown.checkpoint.size, 'the checkpoint that was shown is of another tree')
    }
    await restoreEdge(folder, shown.checkpoint.size, size)
  }
  if (size > 0) await checkLastRow(folder, tree, o)
  for (const full of lastFullTiles(size)) await folder.removeOldPartials(full)
  // One that was shown without witnesses, or with others, is none that they have cosigned.
  const counts = shown !== undefined && (o.witnesses === undefined || (await o.witnesses.accepts(shown.note)))
  const unsettled = (await folder.settled()) < inFullTiles(size)
  return { tree, size, signed: last.note, shown: counts ? shown.checkpoint.size : 0, unsettled }
}

async function* leaves(source: RowSource, from: number, to: number): AsyncGenerator<Uint8Array> {
  for await (const line of source.rows(from, to)) yield leafOfLine(line)
}

/** The last row under the checkpoint: an audit log of enough rows may still be another one. */
async function checkLastRow(folder: LogFolder, tree: GrowingTree, o: OpenLogOptions): Promise<void> {
  const { size } = tree
  const reader = new LogReader({ read: path => folder.read(path) }, size)
  const entry = tree.lastEntry ?? (await reader.entry(size - 1))
  for await (const line of o.source.rows(size - 1, size)) {
    const leaf = leafOfLine(line)
    if (same(leaf, entry)) return
  }
  throw new LogInvalid(
    'log_forked',
    `row ${size - 1} of the audit log is not the one in ${folder.path}; restore the audit log that belongs to it, or begin a new transparency log in another folder under another origin`,
  )
}

async function readNote(
  folder: LogFolder,
  name: 'signed' | 'checkpoint',
  { key }: NoteSigner,
): Promise<{ readonly checkpoint: OpenedCheckpoint; readonly note: string } | undefined> {
  const bytes = await folder.read(name)
  if (bytes === undefined) return undefined
  try {
    const note = fromUtf8(bytes)
    return { checkpoint: await openCheckpoint(note, [key]), note }
  } catch (error) {
    const why = error instanceof LogInvalid ? error.message : 'it is not UTF-8'
    throw new LogInvalid(
      'log_forked',
      `${folder.path}/${name} is not a checkpoint of ${key.name} signed with this key (${why}); configure the origin and the key that the log began with, or begin a new log in another folder`,
    )
  }
}

function timer(ms: number, f: () => void): () => void {
  const handle = setTimeout(f, ms)
  handle.unref()
  return () => clearTimeout(handle)
}
