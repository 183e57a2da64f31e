/**
 * Takes entries into the tree and keeps its tiles and checkpoints in the log's folder ("integration" in tile-based logs).
 *
 * Guarantees: entries come in order, each once; `settle()` resolves when every tile of the tree it names outlives a power cut;
 * entries may be taken meanwhile. After a failure the same tiles are written again by the next `settle()`. At most
 * `MAX_UNWRITTEN` full tiles, and one batch more, are kept in memory: beyond that, taking waits for the disk and fails with it.
 *
 * Does not: sign, or know what was signed.
 */
import type { LogFolder } from './folder.ts'
import { entriesOf, type Tile } from './tile.ts'
import type { GrowingTree, TileBytes } from './tree.ts'

/** Some five megabytes, less than their rows are. */
const MAX_UNWRITTEN = 128

export interface TreeHead {
  readonly size: number
  readonly root: Uint8Array
}

/** Each rejects with what the disk says, or with `LogInvalid`. */
export interface Integrator {
  /**
   * Entries from `first` on, as in a bundle. Resolves with the size of the tree; where that is not the end of these, `first` was
   * not the next, and none was taken. When it rejects, none was taken either. The bytes are the integrator's from then on.
   */
  take(first: number, bundle: Uint8Array<ArrayBuffer>): Promise<number>
  /** The tiles of the tree as it is now. */
  settle(): Promise<TreeHead>
  /** A signed checkpoint, over what was settled; lasts when it resolves. */
  keep(note: Uint8Array): Promise<void>
  /** What is served from now on. */
  show(note: Uint8Array): Promise<void>
  /** Removes the partial tiles that full ones have made unnecessary. What cannot be removed now is in nobody's way, and is tried again. */
  tidy(): Promise<void>
  close(): Promise<void>
}

export class FolderIntegrator implements Integrator {
  readonly #folder: LogFolder
  readonly #tree: GrowingTree
  #unwritten: readonly TileBytes[] = []
  /** Whose partial tiles are still to be removed. */
  #filled: Tile[] = []
  #last: Promise<unknown> = Promise.resolve()

  constructor(folder: LogFolder, tree: GrowingTree) {
    this.#folder = folder
    this.#tree = tree
  }

  async take(first: number, bundle: Uint8Array): Promise<number> {
    const tree = this.#tree
    if (this.#unwritten.length + tree.untaken >= MAX_UNWRITTEN) await this.#inTurn(() => this.#write([]))
    if (first !== tree.size) return tree.size
    for (const entry of entriesOf(bundle)) tree.append(entry)
    return tree.size
  }

  settle(): Promise<TreeHead> {
    return this.#inTurn(async () => {
      const head = { size: this.#tree.size, root: this.#tree.root() }
      await this.#write(this.#tree.edge())
      await this.#folder.settle()
      return head
    })
  }

  keep(note: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#folder.writeSigned(note))
  }

  show(note: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#folder.publish(note))
  }

  tidy(): Promise<void> {
    return this.#inTurn(async () => {
      for (let tile = this.#filled[0]; tile !== undefined; tile = this.#filled[0]) {
        try {
          await this.#folder.removePartials(tile)
        } catch {
          return
        }
        this.#filled.shift()
      }
    })
  }

  close(): Promise<void> {
    return this.#inTurn(async () => undefined)
  }

  /** Full tiles are kept until all are written: after a failure the same bytes are written again. */
  async #write(edge: readonly TileBytes[]): Promise<void> {
    const full = [...this.#unwritten, ...this.#tree.takeFull()]
    this.#unwritten = full
    await this.#folder.writeTiles([...full, ...edge])
    this.#unwritten = []
    for (const { tile } of full) this.#filled.push(tile)
  }

  /** The folder is one writer's at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }
}
