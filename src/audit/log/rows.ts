/** Rows that are durable, from the files that hold them: for what the log has not taken as they came. */
import { fstatSync, readSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { closeLayout, type Layout, openLayout } from '../layout.ts'
import { linesFrom, linesOf, type Place, split } from '../lines.ts'
import { LogInvalid } from './errors.ts'

export interface RowSource {
  /** Stored lines without their newlines, of rows `[from, to)`. The caller knows that they are durable. */
  rows(from: number, to: number): AsyncIterable<Uint8Array>
}

const CHUNK = 256 * 1024

/**
 * The live file and the segments before it. Does not read a file from its start to find a row near its end: rows are counted
 * from the place last known, forwards or backwards; in a segment its index says where they are. A megabyte is read at a time,
 * and others get their turn in between.
 */
export class FileRows implements RowSource {
  readonly #path: string
  readonly #folders: readonly string[]
  #known: Place

  private constructor(path: string, folders: readonly string[], known: Place) {
    this.#path = path
    this.#folders = folders
    this.#known = known
  }

  /** The log has `rows` rows now, and nothing else in it. `folders`: where packed segments may be, besides its own. */
  static async atEnd(path: string, rows: number, folders: readonly string[] = []): Promise<FileRows> {
    const layout = await openLayout(path, { folders })
    try {
      const pos = layout.base.length + fstatSync(layout.live).size - layout.liveFrom
      return new FileRows(path, folders, { row: BigInt(rows), pos })
    } finally {
      closeLayout(layout)
    }
  }

  async *rows(from: number, to: number): AsyncGenerator<Uint8Array, void, undefined> {
    if (from >= to) return
    const layout = await openLayout(this.#path, { folders: this.#folders })
    try {
      const place = this.#placeBefore(layout, BigInt(from))
      const chunks = place === undefined ? linesOf(layout, BigInt(from)) : linesFrom(layout, place)
      let row = from
      let pos = place?.pos ?? 0
      for (const chunk of chunks) {
        if (chunk.kind === 'gap') throw new LogInvalid('log_behind', `${chunk.file} is needed, and ${chunk.why}`)
        let at = Number(chunk.row)
        for (const line of split(chunk.bytes)) {
          if (at >= to) break
          pos += line.length + 1
          if (at++ < from) continue
          yield line
          row = at
        }
        if (row >= to) break
        await nextTurn()
      }
      if (row < to) throw short(this.#path, row)
      if (place !== undefined && BigInt(to) > this.#known.row) this.#known = { row: BigInt(to), pos }
    } finally {
      closeLayout(layout)
    }
  }

  /** `undefined` where the segments' own numbers lead there faster. */
  #placeBefore(layout: Layout, row: bigint): Place | undefined {
    const { base } = layout
    if (row >= this.#known.row) return this.#known
    if (row < base.count || this.#known.pos <= base.length) return undefined
    if (row === base.count) return { row, pos: base.length }
    return (this.#known = placeBack(layout, this.#path, this.#known, row))
  }
}

/** Counts newlines backwards in the live file: the one that ends the row before the wanted one is looked for. */
function placeBack(layout: Layout, path: string, from: Place, row: bigint): Place {
  const shift = layout.liveFrom - layout.base.length
  let left = from.row - row + 1n
  for (let to = from.pos + shift; to > layout.liveFrom; ) {
    const size = Math.min(CHUNK, to - layout.liveFrom)
    const chunk = Buffer.alloc(size)
    if (readSync(layout.live, chunk, 0, size, to - size) < size) throw short(path, Number(row))
    to -= size
    for (let at = chunk.lastIndexOf(0x0a); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(0x0a, at - 1)) {
      if (--left === 0n) return { row, pos: to + at + 1 - shift }
    }
  }
  throw short(path, Number(row))
}

function short(path: string, row: number): LogInvalid {
  return new LogInvalid('log_behind', `${path} ends before row ${row}; restore the audit log`)
}
