/**
 * Takes entries into the tree and keeps its tiles and checkpoints in the log's folder ("integration" in tile-based logs).
 *
 * Guarantees: entries come in order, each once; `write()` resolves when every tile of the tree it names is in the folder; entries
 * may be taken meanwhile. After a failure the same tiles are written again by the next `write()`. At most `MAX_UNWRITTEN` full
 * tiles, and one batch more, are kept in memory: beyond that, taking waits for the disk and fails with it.
 *
 * Tiles are synced when they are older than `SETTLE_AFTER_MS`: by then the system has written most of them by itself, and rows,
 * which requests wait for, have the disk. Until then a power cut may take them; `restore.ts` makes them again from the rows. So
 * no more than `MOST_UNSETTLED` entries are left like that, and none by `close()`.
 *
 * Does not: sign, or know what was signed.
 */
import type { LogFolder } from './folder.ts'
import { LogReader } from './reader.ts'
import { regrow } from './restore.ts'
import { inFullTiles, TILE_WIDTH, type Tile, tilePath } from './tile.ts'
import type { GrowingTree, TileBytes } from './tree.ts'

/** Some five megabytes, less than their rows are. */
const MAX_UNWRITTEN = 128
/** Full tiles that are not left for the next checkpoint: what was just hashed is still in the processor's cache. */
const WORTH_WRITING = 16
/** Linux writes what is older than 30 seconds (`vm.dirty_expire_centisecs`), every five. */
const SETTLE_AFTER_MS = 40_000
/** At a time: after a pause many are old at once, and rows go on needing the disk. */
const SETTLED_AT_ONCE = 8192
/** To take up so many from their rows takes a second or two. */
const MOST_UNSETTLED = 131_072

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
  write(): Promise<TreeHead>
  /** A signed checkpoint, over what was written; lasts when it resolves. */
  keep(note: Uint8Array): Promise<void>
  /** What is served from now on. */
  show(note: Uint8Array): Promise<void>
  /** Removes the partial tiles that full ones have made unnecessary. What cannot be removed now is in nobody's way, and is tried again. */
  tidy(): Promise<void>
  /** Never rejects: what was not made to last now is made again at the next start. */
  close(): Promise<void>
}

interface Written {
  /** A multiple of `TILE_WIDTH`. */
  readonly size: number
  readonly atMs: number
}

export class FolderIntegrator implements Integrator {
  readonly #folder: LogFolder
  readonly #tree: GrowingTree
  readonly #nowMs: () => number
  #unwritten: readonly TileBytes[] = []
  /** Of the edge as it was last written: of the same width they are the same. */
  #edge: ReadonlySet<string> = new Set()
  /** Whose partial tiles are still to be removed. */
  #filled: Tile[] = []
  /** Full tiles of so many entries outlive a power cut. */
  #settled: number
  /** What was written since, oldest first. */
  #unsettled: Written[] = []
  /** A sync has failed: what it lost, the next one would not miss. */
  #unsure = false
  #last: Promise<unknown> = Promise.resolve()

  private constructor(folder: LogFolder, tree: GrowingTree, settled: number, nowMs: () => number) {
    this.#folder = folder
    this.#tree = tree
    this.#settled = settled
    this.#nowMs = nowMs
    this.#note(tree.size)
  }

  /** `tree`: all of it is in the folder. */
  static async open(folder: LogFolder, tree: GrowingTree, nowMs: () => number): Promise<FolderIntegrator> {
    const full = inFullTiles(tree.size)
    const settled = await folder.settled()
    // What comes next in this tree's place may be another than what was settled there.
    if (settled > full) await folder.settle(full, full)
    return new FolderIntegrator(folder, tree, Math.min(settled, full), nowMs)
  }

  async take(first: number, bundle: Uint8Array): Promise<number> {
    const tree = this.#tree
    if (this.#unwritten.length + tree.untaken >= MAX_UNWRITTEN) await this.#inTurn(() => this.#write([]))
    if (first !== tree.size) return tree.size
    tree.take(bundle)
    // A failure is met again by whoever needs them written.
    if (tree.untaken >= WORTH_WRITING) this.#inTurn(() => this.#write([])).catch(() => undefined)
    return tree.size
  }

  write(): Promise<TreeHead> {
    return this.#inTurn(async () => {
      const head = { size: this.#tree.size, root: this.#tree.root() }
      const edge = this.#tree.edge()
      await this.#write(edge.filter(({ tile }) => !this.#edge.has(tilePath(tile))))
      this.#edge = new Set(edge.map(({ tile }) => tilePath(tile)))
      this.#note(head.size)
      await this.#settleOld(head)
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
    return this.#inTurn(async () => {
      const last = this.#unsettled.at(-1)
      if (last !== undefined && !this.#unsure) await this.#settle(last.size)
    }).catch(() => undefined)
  }

  /** Full tiles are kept until all are written: after a failure the same bytes are written again. */
  async #write(edge: readonly TileBytes[]): Promise<void> {
    const full = [...this.#unwritten, ...this.#tree.takeFull()]
    this.#unwritten = full
    await this.#folder.writeTiles([...full, ...edge])
    this.#unwritten = []
    for (const { tile } of full) this.#filled.push(tile)
    this.#tree.giveBack(full)
  }

  /** The tiles of so many entries are in the folder. */
  #note(entries: number): void {
    const size = inFullTiles(entries)
    if (size > (this.#unsettled.at(-1)?.size ?? this.#settled)) this.#unsettled.push({ size, atMs: this.#nowMs() })
  }

  async #settleOld(head: TreeHead): Promise<void> {
    const before = this.#nowMs() - SETTLE_AFTER_MS
    const old = this.#unsettled.findLast(({ atMs }) => atMs <= before)?.size ?? 0
    const due = Math.max(Math.min(old, this.#settled + SETTLED_AT_ONCE), inFullTiles(head.size) - MOST_UNSETTLED)
    if (due <= this.#settled) return
    if (this.#unsure) await regrow(this.#folder, this.#settled, head, this.#entriesOf(head))
    await this.#settle(due)
  }

  async #settle(to: number): Promise<void> {
    this.#unsure = true
    await this.#folder.settle(this.#settled, to)
    this.#unsure = false
    this.#settled = to
    this.#unsettled = this.#unsettled.filter(({ size }) => size > to)
  }

  /** As the folder has them; whoever uses them compares the root. */
  #entriesOf({ size }: TreeHead) {
    const reader = new LogReader({ read: path => this.#folder.read(path) }, size)
    return async function* (from: number): AsyncGenerator<Uint8Array> {
      for (let at = from; at < size; at += TILE_WIDTH) yield* await reader.entries(at / TILE_WIDTH)
    }
  }

  /** The folder is one writer's at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }
}
