/**
 * The files that a log is made of, oldest first: packed segments wherever they were moved, rolled files not packed yet, and
 * the live file. Taken while a gate writes, it is the state of one moment.
 *
 * Guarantees: never throws for what is missing or damaged, it says so per file; only an unreadable live file or manifest
 * throws `AuditError`. Does not: look into the files (`verify.ts` does), or trust a manifest it was given no keys for.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { devNull } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { KeyRing } from '../keys/ring.ts'
import type { Position } from './chain.ts'
import { AuditError, errno, NO_WAIT, rolledName } from './files.ts'
import { endOf, type Manifest, parseManifest, type SegmentEntry } from './segments/manifest.ts'

export type Piece =
  /** Zstandard frames; `path` is where the file was found. */
  | { readonly kind: 'packed'; readonly name: string; readonly path: string; readonly entry: SegmentEntry }
  /** The first bytes of an open file. */
  | { readonly kind: 'rolled'; readonly name: string; readonly fd: number; readonly entry: SegmentEntry }
  | { readonly kind: 'missing'; readonly name: string; readonly entry: SegmentEntry }

export interface Layout {
  readonly path: string
  readonly pieces: readonly Piece[]
  readonly manifest: Manifest
  /** Where the live file begins in the log, and from which of its bytes on it is not a piece above. */
  readonly base: Position
  readonly liveFrom: number
  /** Open, as the rolled files are: what is read is what was there, whatever a gate does meanwhile. */
  readonly live: number
  /** Files named like segments of this log that the manifest does not know. */
  readonly unlisted: readonly string[]
}

export interface LayoutOptions {
  /** Without keys the manifest is believed: enough to read rows. */
  readonly ring?: KeyRing | undefined
  /** Where packed segments may be, besides the log's own folder. */
  readonly folders?: readonly string[] | undefined
  /** Instead of the manifest's file: one that is not written yet. */
  readonly manifest?: Buffer | undefined
}

const TRIES = 20
const MOST_TRIES = 1000

/** Close it with `closeLayout`. */
export async function openLayout(path: string, options: LayoutOptions = {}): Promise<Layout> {
  const folders = [...new Set([...(options.folders ?? []), dirname(path)])]
  let unfinished = 0
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const bytes = options.manifest ?? readManifest(path)
    const live = await openLive(path)
    const opened: number[] = [live]
    try {
      // A roll notes itself before it renames. Note and name both unchanged, the open file is the one that the note means.
      if (bytes.equals(options.manifest ?? readManifest(path))) {
        const manifest = parseManifest(bytes, options.ring)
        const found = arrange(path, manifest, folders, { live, opened, last: ++unfinished === TRIES })
        if (found !== undefined && stillNamed(path, live)) return { ...found, live }
      } else unfinished = 0
    } catch (error) {
      closeAll(opened)
      throw error
    }
    closeAll(opened)
    if (unfinished > 0) await setTimeout(10)
  }
  throw new AuditError('log_unreadable', `${path}.manifest changes all the time; a log rolls less often than that`)
}

export function closeLayout(layout: Layout): void {
  const own = layout.pieces.flatMap(p => (p.kind === 'rolled' && p.fd !== layout.live ? [p.fd] : []))
  closeAll([layout.live, ...own])
}

function closeAll(opened: readonly number[]): void {
  for (const fd of opened) closeSync(fd)
}

/** `undefined` when a roll or packing seems to be under way. */
function arrange(
  path: string,
  manifest: Manifest,
  folders: readonly string[],
  { live, opened, last }: { readonly live: number; readonly opened: number[]; readonly last: boolean },
): Omit<Layout, 'live'> | undefined {
  const pieces: Piece[] = []
  let base = endOf(manifest)
  let liveFrom = 0
  for (const entry of manifest.entries) {
    const rolled = rolledName(path, entry.number)
    const { packed } = entry
    const at = packed === undefined ? undefined : folders.map(f => join(f, packed.file)).find(isFileOrLink)
    const fd = at === undefined ? openPlain(rolled) : undefined
    if (fd !== undefined) opened.push(fd)
    if (at !== undefined) pieces.push({ kind: 'packed', name: basename(at), path: at, entry })
    else if (fd !== undefined) pieces.push({ kind: 'rolled', name: basename(rolled), fd, entry })
    else if (packed === undefined && entry === manifest.entries.at(-1)) {
      // Noted, not yet renamed: a moment's matter, or what a crash left. The rows are still in the live file.
      if (!last) return undefined
      pieces.push({ kind: 'rolled', name: basename(path), fd: live, entry })
      base = entry.to
      liveFrom = entry.to.length - entry.from.length
    } else if (packed === undefined && !last) return undefined
    else pieces.push({ kind: 'missing', name: packed?.file ?? basename(rolled), entry })
  }
  return { path, pieces, manifest, base, liveFrom, unlisted: unlisted(path, manifest, folders) }
}

function unlisted(path: string, manifest: Manifest, folders: readonly string[]): readonly string[] {
  const prefix = `${basename(path)}.`
  const known = new Set(manifest.entries.map(e => e.number))
  const found = new Set<string>()
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      const [, digits] = /^(\d{6})(?:\.zst)?$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : '') ?? []
      if (digits !== undefined && !known.has(Number(digits))) found.add(name)
    }
  }
  return [...found].sort()
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    // A folder that is not mounted holds nothing; the segments in it are named as missing.
    return []
  }
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Whoever moves a segment away may leave a link; what is behind it is checked all the same. */
function isFileOrLink(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function readManifest(path: string): Buffer {
  try {
    return readFileSync(`${path}.manifest`, { flag: NO_WAIT })
  } catch (error) {
    if (errno(error) === 'ENOENT') return Buffer.alloc(0)
    throw new AuditError('log_unreadable', `${path}.manifest cannot be read (${errno(error)})`, { cause: error })
  }
}

async function openLive(path: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    const fd = openPlain(path)
    if (fd !== undefined) return fd
    if (!isFile(`${path}.manifest`)) throw new AuditError('log_unreadable', `${path} cannot be opened (ENOENT)`)
    // Between the rename and the new file of a roll there is none, for a moment or since a crash: there are no rows beyond
    // the segments then, unless the head file knows more.
    if (tries === TRIES) return openSync(devNull, constants.O_RDONLY)
    await setTimeout(10)
  }
}

/** `undefined` when there is none. */
function openPlain(path: string): number | undefined {
  let fd: number
  try {
    fd = openSync(path, NO_WAIT)
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined
    throw new AuditError('log_unreadable', `${path} cannot be opened (${errno(error)})`, { cause: error })
  }
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw new AuditError('log_not_regular', `${path} is not a regular file; restore the log`)
}

function stillNamed(path: string, live: number): boolean {
  const [open, named] = [fstatSync(live), statSync(path, { throwIfNoEntry: false })]
  if (named === undefined) return open.isCharacterDevice()
  return named.ino === open.ino && named.dev === open.dev
}
