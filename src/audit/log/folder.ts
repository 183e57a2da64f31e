/**
 * The folder of a log: tiles that are written once, the two checkpoint files, and how far its tiles outlive a power cut.
 *
 * Guarantees: a file under its name is complete, for as long as the machine runs: it is written aside and renamed. A checkpoint
 * that `writeSigned` has written outlives a power cut; so does every full tile below `settled()`. Tiles beyond need not: who
 * takes the log up again makes them anew (`restore.ts`). Entries are never overwritten with others, but by `overwriteTiles`, for the tree
 * that was signed.
 * Does not: know what the tiles say.
 */
import { basename, dirname } from 'node:path/posix'
import { fromUtf8, same, toUtf8 } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { FolderFiles } from './folder-files.ts'
import { entriesOf, fullTiles, TILE_WIDTH, type Tile, tilePath } from './tile.ts'
import type { TileBytes } from './tree.ts'

/** The last checkpoint signed; written before anybody is shown it. */
const SIGNED = 'signed'
/** The one that is served. */
const PUBLISHED = 'checkpoint'
/** Of how many entries the full tiles outlive a power cut, in decimal. */
const SETTLED = 'settled'
/** Files on their way. */
const ASIDE = 'aside'

export class LogFolder {
  readonly #files: FolderFiles
  readonly #known = new Set<string>()
  /** Of a folder that was there before this process, the names in it; what is written since needs no asking. */
  readonly #found = new Map<string, ReadonlySet<string>>()
  #next = 0

  constructor(files: FolderFiles) {
    this.#files = files
  }

  get path(): string {
    return this.#files.path
  }

  /** Makes the folder, and removes what a crash left on its way. */
  async open(): Promise<void> {
    await this.#folder(ASIDE)
    for (const name of await this.#files.list(ASIDE)) await this.#files.remove(`${ASIDE}/${name}`)
    await this.#files.syncName()
    await this.#files.syncFolder('.')
  }

  /** A tile or a checkpoint; `undefined` when there is none. */
  read(path: string): Promise<Uint8Array | undefined> {
    return this.#files.read(path)
  }

  /** One after the other. When it rejects, those before the failure are there. */
  async writeTiles(tiles: readonly TileBytes[]): Promise<void> {
    for (const tile of tiles) await this.#writeTile(tile)
  }

  async #writeTile({ tile, bytes }: TileBytes): Promise<void> {
    const path = tilePath(tile)
    await this.#folder(dirname(path))
    const isThere = this.#found.get(dirname(path))?.has(basename(path)) === true
    const found = isThere ? await this.#files.read(path) : undefined
    if (found !== undefined) {
      // What a power cut left of a file is not what another history left. What is the same is written again: its bytes may be on no
      // disk, and a sync that failed for them in another process would now seem to succeed.
      if (tile.level === 'entries' && !same(found, bytes) && isBundle(found, tile.width)) {
        throw new LogInvalid(
          'tile_conflict',
          `${this.path}/${path} holds other entries than the audit log; the log was rolled back or replaced: restore the audit log that belongs to these tiles`,
        )
      }
    }
    await this.#write(path, bytes)
  }

  /** Whatever stands there: of a tree that is known to be the one that was signed. */
  async overwriteTiles(tiles: readonly TileBytes[]): Promise<void> {
    for (const { tile, bytes } of tiles) {
      const path = tilePath(tile)
      await this.#folder(dirname(path))
      await this.#write(path, bytes)
    }
  }

  /** A multiple of `TILE_WIDTH`; 0 when nobody knows. */
  async settled(): Promise<number> {
    const bytes = await this.#files.read(SETTLED)
    const found = /^(0|[1-9][0-9]{0,15})\n$/.exec(bytes === undefined ? '' : asText(bytes))
    const size = Number(found?.[1] ?? 0)
    return Number.isSafeInteger(size) && size % TILE_WIDTH === 0 ? size : 0
  }

  /** The full tiles between two sizes outlive a power cut. After a failure they may not, though another try succeeds. */
  async syncTiles(from: number, to: number): Promise<void> {
    const folders = new Set<string>()
    for (const tile of fullTiles(from, to)) {
      const path = tilePath(tile)
      await this.#files.syncFile(path)
      for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder)
    }
    for (const folder of folders) await this.#files.syncFolder(folder)
    await this.#files.syncFolder('.')
  }

  async writeSettled(size: number): Promise<void> {
    await this.#writeSynced(SETTLED, toUtf8(`${size}\n`))
  }

  /** Lasts when it resolves. */
  async writeSigned(note: Uint8Array): Promise<void> {
    await this.#writeSynced(SIGNED, note)
    await this.#files.syncFolder('.')
  }

  async publish(note: Uint8Array): Promise<void> {
    await this.#writeSynced(PUBLISHED, note)
  }

  /** The partial tiles that a full tile has made unnecessary. */
  async removePartials({ level, index }: Tile): Promise<void> {
    const partials = `${tilePath({ level, index, width: TILE_WIDTH })}.p`
    const isThere = this.#known.has(partials) || this.#found.get(dirname(partials))?.has(basename(partials)) === true
    if (isThere) await this.#removeAll(partials)
  }

  /** Widths of the partial tiles that there are of a tile. */
  async partials(tile: Tile): Promise<readonly number[]> {
    const names = await this.#files.list(`${tilePath({ ...tile, width: TILE_WIDTH })}.p`)
    return names.map(Number).filter(width => Number.isInteger(width) && width > 0 && width < TILE_WIDTH)
  }

  removePartial(tile: Tile): Promise<void> {
    return this.#files.remove(tilePath(tile))
  }

  /** Partial tiles up to this full one, which a crash kept from being removed. */
  async removeOldPartials(full: Tile): Promise<void> {
    const last = `${tilePath(full)}.p`
    const folder = dirname(last)
    for (const name of await this.#files.list(folder)) {
      const partials = `${folder}/${name}`
      if (name.endsWith('.p') && partials <= last) await this.#removeAll(partials)
    }
  }

  async #removeAll(folder: string): Promise<void> {
    for (const name of await this.#files.list(folder)) await this.#files.remove(`${folder}/${name}`)
    await this.#files.removeFolder(folder)
    this.#known.delete(folder)
    this.#found.delete(folder)
  }

  #write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#renamed(path, aside => this.#files.write(aside, bytes))
  }

  #writeSynced(path: string, bytes: Uint8Array): Promise<void> {
    return this.#renamed(path, aside => this.#files.writeSynced(aside, bytes))
  }

  async #renamed(path: string, write: (aside: string) => Promise<void>): Promise<void> {
    const aside = `${ASIDE}/${this.#next++}`
    try {
      await write(aside)
      await this.#files.rename(aside, path)
    } catch (error) {
      // Tried again for as long as the disk is full: what half a file takes is room that it needs.
      await this.#files.remove(aside).catch(() => undefined)
      throw error
    }
  }

  /** With its parents. */
  async #folder(path: string): Promise<void> {
    if (this.#known.has(path)) return
    if (path !== '.') await this.#folder(dirname(path))
    if (!(await this.#files.makeFolder(path))) this.#found.set(path, new Set(await this.#files.list(path)))
    this.#known.add(path)
  }
}

/** Entries are text: where a power cut took a block in the middle of one, there are zeros. */
function isBundle(bytes: Uint8Array, width: number): boolean {
  try {
    const entries = entriesOf(bytes)
    return entries.length === width && !entries.some(entry => entry.includes(0))
  } catch {
    return false
  }
}

function asText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch {
    return ''
  }
}
