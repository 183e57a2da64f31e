/** Rows that are durable, from the file that holds them: for what the log has not taken as they came. */
import { type FileHandle, open } from 'node:fs/promises'
import { LogInvalid } from './errors.ts'

export interface RowSource {
  /** Stored lines without their newlines, of rows `[from, to)`. The caller knows that they are durable. */
  rows(from: number, to: number): AsyncIterable<Uint8Array>
}

/** A line's start: this many rows are before it, in this many bytes. */
interface Place {
  readonly row: number
  readonly offset: number
}

const CHUNK = 256 * 1024
const START: Place = { row: 0, offset: 0 }

/**
 * One file of lines. Does not read it from its start to find a row near its end: rows are counted from the place last
 * known, forwards or backwards.
 */
export class FileRows implements RowSource {
  readonly #path: string
  #known: Place

  /** `rows` rows end at `length` bytes. */
  constructor(path: string, rows: number, length: number) {
    this.#path = path
    this.#known = { row: rows, offset: length }
  }

  async *rows(from: number, to: number): AsyncGenerator<Uint8Array, void, undefined> {
    if (from >= to) return
    const file = await open(this.#path, 'r')
    try {
      let { row, offset } = await this.#placeBefore(file, from)
      let held: Buffer = Buffer.alloc(0)
      for (let at = offset; row < to; ) {
        const chunk = Buffer.alloc(CHUNK)
        const { bytesRead } = await file.read(chunk, 0, CHUNK, at)
        if (bytesRead === 0) throw short(this.#path, row)
        at += bytesRead
        const bytes = Buffer.concat([held, chunk.subarray(0, bytesRead)])
        let start = 0
        for (let end = bytes.indexOf(0x0a); end >= 0 && row < to; end = bytes.indexOf(0x0a, start)) {
          if (row >= from) yield bytes.subarray(start, end)
          row++
          offset += end + 1 - start
          start = end + 1
        }
        held = bytes.subarray(start)
      }
      this.#known = { row, offset }
    } finally {
      await file.close()
    }
  }

  async #placeBefore(file: FileHandle, row: number): Promise<Place> {
    if (row >= this.#known.row) return this.#known
    return row === 0 ? START : placeBack(file, this.#path, this.#known, row)
  }
}

/** Counts newlines backwards: the one that ends the row before the wanted one is looked for. */
async function placeBack(file: FileHandle, path: string, from: Place, row: number): Promise<Place> {
  let left = from.row - row + 1
  for (let to = from.offset; to > 0; ) {
    const size = Math.min(CHUNK, to)
    const chunk = Buffer.alloc(size)
    const { bytesRead } = await file.read(chunk, 0, size, to - size)
    if (bytesRead < size) throw short(path, row)
    to -= size
    for (let at = chunk.lastIndexOf(0x0a); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(0x0a, at - 1)) {
      if (--left === 0) return { row, offset: to + at + 1 }
    }
  }
  throw short(path, row)
}

function short(path: string, row: number): LogInvalid {
  return new LogInvalid('log_behind', `${path} ends before row ${row}; restore the audit log`)
}
