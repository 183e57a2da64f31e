/**
 * Takes entries into the tree and keeps its tiles and checkpoints in the log's folder ("integration" in tile-based logs).
 *
 * Guarantees: entries come in order, each once; `write()` resolves when every tile of the tree it names is in the folder; entries
 * may be taken meanwhile. After a failure the same tiles are written again by the next `write()`. At most `MAX_UNWRITTEN` full
 * tiles, and one batch more, are kept in memory: beyond that, taking waits for the disk and fails with it.
 *
 * Tiles are synced when they are older than `SETTLE_AFTER_MS`: by then the system has written most of them by itself, and rows,
 * which requests wait for, have the disk. Until then a power cut may take them; `restore.ts` makes them again. So no more than
 * `MOST_UNSETTLED` entries are left like that while the disk can be synced, and none by `close()`.
 *
 * Does not: sign, or know what was signed.
 */
import { LogInvalid } from './errors.ts'
import type { LogFolder } from './folder.ts'
import { bundlesOf, regrow } from './restore.ts'
import { inFullTiles, type Tile, tilePath } from './tile.ts'
import type { GrowingTree, TileBytes, TreeHead } from './tree.ts'

/** Some five megabytes, less than their rows are. */
const MAX_UNWRITTEN = 128
/** Full tiles that are not left for the next checkpoint: what was just hashed is still in the processor's cache. */
const WORTH_WRITING = 16
/** Linux writes what is older than 30 seconds (`vm.dirty_expire_centisecs`), every five. */
const SETTLE_AFTER_MS = 40_000
/** At a time: after a pause many are old at once, and rows go on needing the disk. */
const SETTLED_AT_ONCE = 8192
/** So long fewer wait for more. */
const SETTLE_FEW_MS = 15_000
/** To take up so many again takes a second, or some from their rows. */
const MOST_UNSETTLED = 131_072
/** What is not settled then is made again at the next start. */
const CLOSE_MS = 5000

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
  /**
   * Removes the partial tiles that full ones have made unnecessary; what cannot be removed now is in nobody's way, and is tried
   * again. Makes old tiles outlive a power cut, and rejects when they may not. Resolves with whether some are still to be.
   */
  tidy(): Promise<boolean>
  /** Never rejects: what was not made to last now is made again at the next start. */
  close(): Promise<void>
}

interface Options {
  readonly nowMs: () => number
  /** A sync of these tiles may have failed before. */
  readonly unsure?: boolean
  /** Called after every tenth of a millisecond of hashing, or so; never throws. */
  readonly pause?: () => void
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
  readonly #pause: (() => void) | undefined
  #unwritten: readonly TileBytes[] = []
  /** Of the edge as it was last written: of the same width they are the same. */
  #edge: ReadonlySet<string> = new Set()
  /** Whose partial tiles are still to be removed. */
  #filled: Tile[] = []
  /** Full tiles of so many entries outlive a power cut. */
  #settled: number
  /** As `write()` last left the folder. */
  #written: TreeHead
  /** What was written since, oldest first. */
  #unsettled: Written[] = []
  /** A sync has failed: what it lost, the next one would not miss. */
  #unsure = false
  #last: Promise<unknown> = Promise.resolve()

  private constructor(folder: LogFolder, tree: GrowingTree, settled: number, o: Options) {
    this.#folder = folder
    this.#tree = tree
    this.#settled = settled
    this.#nowMs = o.nowMs
    this.#pause = o.pause
    this.#unsure = o.unsure ?? false
    this.#written = { size: tree.size, root: tree.root() }
    this.#note(tree.size)
  }

  /** `tree`: all of it is in the folder. */
  static async open(folder: LogFolder, tree: GrowingTree, options: Options): Promise<FolderIntegrator> {
    const full = inFullTiles(tree.size)
    const settled = await folder.settled()
    // What comes next in this tree's place may be another than what was settled there.
    if (settled > full) {
      await folder.writeSettled(full)
      await folder.syncTiles(full, full)
    }
    return new FolderIntegrator(folder, tree, Math.min(settled, full), options)
  }

  async take(first: number, bundle: Uint8Array): Promise<number> {
    const tree = this.#tree
    if (this.#unwritten.length + tree.untaken >= MAX_UNWRITTEN) await this.#inTurn(() => this.#write([]))
    if (first !== tree.size) return tree.size
    tree.take(bundle, this.#pause)
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
      this.#written = head
      return head
    })
  }

  keep(note: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#folder.writeSigned(note))
  }

  show(note: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#folder.publish(note))
  }

  tidy(): Promise<boolean> {
    return this.#inTurn(async () => {
      await this.#removePartials()
      await this.#settleOld()
      return this.#unsettled.length > 0
    })
  }

  async #removePartials(): Promise<void> {
    for (let tile = this.#filled[0]; tile !== undefined; tile = this.#filled[0]) {
      try {
        await this.#folder.removePartials(tile)
      } catch {
        return
      }
      this.#filled.shift()
    }
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      const until = this.#nowMs() + CLOSE_MS
      const last = this.#unsettled.at(-1)
      if (last !== undefined && !this.#unsure) await this.#settle(last.size, () => this.#nowMs() > until)
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

  async #settleOld(): Promise<void> {
    const written = inFullTiles(this.#written.size)
    const due = Math.max(this.#old(), written - MOST_UNSETTLED)
    if (due <= this.#settled) return
    if (this.#unsure) await this.#writeAgain()
    await this.#settle(due)
  }

  /** How far they are to be settled because they are old. */
  #old(): number {
    const before = this.#nowMs() - SETTLE_AFTER_MS
    const old = this.#unsettled.findLast(({ atMs }) => atMs <= before)?.size ?? 0
    const most = this.#settled + SETTLED_AT_ONCE
    const first = this.#unsettled[0]?.atMs ?? before
    return old >= most || first <= before - SETTLE_FEW_MS ? Math.min(old, most) : 0
  }

  /** After a failed sync: from what can be read of them, if that is the tree. */
  async #writeAgain(): Promise<void> {
    const head = this.#written
    try {
      await regrow(this.#folder, this.#settled, head, bundlesOf(this.#folder, head.size))
    } catch (error) {
      if (!(error instanceof LogInvalid)) throw error
      throw new LogInvalid(
        'log_unreadable',
        `the disk has lost tiles of ${this.#folder.path} beyond entry ${this.#settled}; restart the gate, which makes them again from the audit log`,
        { cause: error },
      )
    }
  }

  async #settle(to: number, enough: () => boolean = () => false): Promise<void> {
    while (this.#settled < to && !enough()) {
      const next = Math.min(to, this.#settled + SETTLED_AT_ONCE)
      this.#unsure = true
      await this.#folder.syncTiles(this.#settled, next)
      this.#unsure = false
      await this.#folder.writeSettled(next)
      this.#settled = next
      this.#unsettled = this.#unsettled.filter(({ size }) => size > next)
    }
  }

  /** The folder is one writer's at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }
}
