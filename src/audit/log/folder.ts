/**
 * The folder of a log: tiles that are written once, and the two checkpoint files.
 *
 * Guarantees: a file under its name is complete (written aside, synced, renamed); a tile is never overwritten with other
 * bytes; after `settle()` every name written so far outlives a power cut. Does not: know what the tiles say.
 */
import { basename, dirname } from 'node:path/posix'
import { same } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { FolderFiles } from './folder-files.ts'
import { TILE_WIDTH, type Tile, tilePath } from './tile.ts'
import type { TileBytes } from './tree.ts'

/** The last checkpoint signed; written before anybody is shown it. */
const SIGNED = 'signed'
/** The one that is served. */
const PUBLISHED = 'checkpoint'
/** Files on their way. */
const ASIDE = 'aside'

export class LogFolder {
  readonly #files: FolderFiles
  /** Folders with names in them that a power cut could still take. */
  readonly #unsettled = new Set<string>()
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
    await this.settle()
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
      if (same(found, bytes)) {
        // It may have been renamed just before a crash: its name is made to last with the others.
        this.#unsettled.add(dirname(path))
        return
      }
      throw new LogInvalid(
        'tile_conflict',
        `${this.path}/${path} holds other entries than the audit log; the log was rolled back or replaced: restore the audit log that belongs to these tiles`,
      )
    }
    await this.#write(path, bytes)
  }

  /** Lasts when it resolves. */
  async writeSigned(note: Uint8Array): Promise<void> {
    await this.#write(SIGNED, note)
    await this.settle()
  }

  async publish(note: Uint8Array): Promise<void> {
    await this.#write(PUBLISHED, note)
  }

  /** Syncs every folder that got a name. */
  async settle(): Promise<void> {
    const folders = [...this.#unsettled]
    await Promise.all(folders.map(folder => this.#files.syncFolder(folder)))
    for (const folder of folders) this.#unsettled.delete(folder)
  }

  /** The partial tiles that a full tile has made unnecessary. */
  async removePartials({ level, index }: Tile): Promise<void> {
    const partials = `${tilePath({ level, index, width: TILE_WIDTH })}.p`
    const isThere = this.#known.has(partials) || this.#found.get(dirname(partials))?.has(basename(partials)) === true
    if (isThere) await this.#removeAll(partials)
  }

  /** Partial tiles left of the edge, which a crash kept from being removed. */
  async removeOldPartials(edge: Tile): Promise<void> {
    const full = tilePath({ ...edge, width: TILE_WIDTH })
    const folder = dirname(full)
    for (const name of await this.#files.list(folder)) {
      const partials = `${folder}/${name}`
      if (name.endsWith('.p') && partials < `${full}.p`) await this.#removeAll(partials)
    }
  }

  async #removeAll(folder: string): Promise<void> {
    for (const name of await this.#files.list(folder)) await this.#files.remove(`${folder}/${name}`)
    await this.#files.removeFolder(folder)
    this.#known.delete(folder)
    this.#found.delete(folder)
    this.#unsettled.delete(folder)
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const folder = dirname(path)
    await this.#folder(folder)
    const aside = `${ASIDE}/${this.#next++}`
    try {
      await this.#files.writeSynced(aside, bytes)
      await this.#files.rename(aside, path)
    } catch (error) {
      // Tried again for as long as the disk is full: what half a file takes is room that it needs.
      await this.#files.remove(aside).catch(() => undefined)
      throw error
    }
    this.#unsettled.add(folder)
  }

  /** With its parents; each new name is to be settled in the folder above it. */
  async #folder(path: string): Promise<void> {
    if (this.#known.has(path)) return
    if (path !== '.') await this.#folder(dirname(path))
    if (await this.#files.makeFolder(path)) this.#unsettled.add(dirname(path))
    else this.#found.set(path, new Set(await this.#files.list(path)))
    this.#known.add(path)
  }
}
