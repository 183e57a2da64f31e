/**
 * The index of a log: `<log>.index`, an SQLite file that says where rows are and how many there are of each kind, so that
 * questions about ten million rows take milliseconds. It is made from the log and can be deleted at any time.
 *
 * Guarantees: what it says was read from the rows up to a position that the log still has (the HMAC there is compared at each
 * update; another log, or one that was put back, makes it anew). It holds no owner in clear that the log holds sealed: sealed
 * rows are indexed under the id of their key, so an erasure leaves nothing to forget. Does not: prove anything; verification
 * never looks at it. It stores owners, checks and times of unsealed rows: it is as private as the log.
 */

import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, fstatSync, openSync, rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { RowFacts } from './facts.ts'
import { readFacts } from './fast-facts.ts'
import { AuditError, errno } from './files.ts'
import { closeLayout, type Layout, openLayout } from './layout.ts'
import { linesFrom, split } from './lines.ts'
import { locate } from './position.ts'

/** Rows per block: what a question reads beyond what it needs. */
export const BLOCK_ROWS = 1024
/** Rows are added up per quarter of an hour; a period's own ends are counted row by row. */
export const SLOT_MS = 900_000
const VERSION = '2'
/** Blocks per transaction: small enough that another process waits for moments. */
const BATCH_ROWS = 64 * BLOCK_ROWS

const SCHEMA = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dims (id INTEGER PRIMARY KEY, decision TEXT NOT NULL, chk TEXT NOT NULL, filed TEXT NOT NULL, owner TEXT NOT NULL,
  owner_type TEXT NOT NULL, stage TEXT NOT NULL, UNIQUE (decision, chk, filed, owner, owner_type, stage));
CREATE TABLE blocks (block INTEGER PRIMARY KEY, pos INTEGER NOT NULL, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL);
CREATE TABLE present (dim INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (dim, block)) WITHOUT ROWID;
CREATE TABLE cells (slot INTEGER NOT NULL, dim INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (slot, dim)) WITHOUT ROWID;
CREATE TABLE totals (dim INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE ids (h INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (h, block)) WITHOUT ROWID;
CREATE TABLE damaged (row INTEGER PRIMARY KEY, kind TEXT NOT NULL, detail TEXT NOT NULL);
`

/** How far the index goes. */
export interface Indexed {
  readonly rows: bigint
  readonly pos: number
  readonly hmac: string
}

export const NOTHING: Indexed = { rows: 0n, pos: 0, hmac: '' }

export function indexPath(logPath: string): string {
  return `${logPath}.index`
}

export function hasIndex(logPath: string): boolean {
  return existsSync(indexPath(logPath))
}

/** Throws `AuditError` when there can be none here. Several processes may open it at once. */
export function openIndex(logPath: string): DatabaseSync {
  const path = indexPath(logPath)
  try {
    return openAt(path) ?? again(path)
  } catch (error) {
    throw new AuditError('log_unreadable', `${path} cannot be used (${errno(error)}); delete it, or go without it`, {
      cause: error,
    })
  }
}

/** Something else of this name, or an index of another version: the log has everything to make it anew. */
function again(path: string): DatabaseSync {
  rmSync(path, { force: true })
  const db = openAt(path)
  if (db === undefined) throw Object.assign(new Error('not an index'), { code: 'not_an_index' })
  return db
}

/** `undefined` when the file is no index of this version. */
function openAt(path: string): DatabaseSync | undefined {
  // SQLite would create it readable by everybody.
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600))
  const db = new DatabaseSync(path)
  try {
    // A power cut may cost the index, which costs making it anew.
    db.exec('PRAGMA busy_timeout = 10000; PRAGMA synchronous = OFF; BEGIN IMMEDIATE')
    const empty = db.prepare('SELECT count(*) AS n FROM sqlite_master').get()?.['n'] === 0
    if (empty) {
      db.exec(SCHEMA)
      db.prepare('INSERT INTO meta VALUES (?, ?)').run('version', VERSION)
    }
    const version = db.prepare("SELECT value FROM meta WHERE key = 'version'").get()?.['value']
    db.exec('COMMIT')
    if (version === VERSION) return db
  } catch (error) {
    db.close()
    if (isForeign(error)) return undefined
    throw error
  }
  db.close()
  return undefined
}

/** SQLITE_NOTADB, SQLITE_CORRUPT, or no such table. */
function isForeign(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return code === 26 || code === 11 || code === 1
}

export function indexedTo(db: DatabaseSync): Indexed {
  const text = db.prepare("SELECT value FROM meta WHERE key = 'at'").get()?.['value']
  const [rows, pos, hmac] = typeof text === 'string' ? text.split(' ') : []
  if (rows === undefined || pos === undefined || hmac === undefined) return NOTHING
  return { rows: BigInt(rows), pos: Number(pos), hmac: hmac === '-' ? '' : hmac }
}

/** Brings the index up to the end of the log; makes it anew when it is of another log. Returns how many rows were read. */
export async function updateIndex(
  db: DatabaseSync,
  path: string,
  options: {
    readonly folders?: readonly string[]
    readonly onProgress?: (done: number, total: number) => void
    /** Stops between two batches. */
    readonly stop?: () => boolean
  } = {},
): Promise<bigint> {
  const layout = await openLayout(path, { folders: options.folders })
  try {
    return update(db, layout, options.onProgress ?? (() => undefined), options.stop ?? (() => false))
  } finally {
    closeLayout(layout)
  }
}

function update(
  db: DatabaseSync,
  layout: Layout,
  onProgress: (done: number, total: number) => void,
  stop: () => boolean,
): bigint {
  const total = endOf(layout)
  let read = 0n
  for (let first = true; ; first = false) {
    db.exec('BEGIN IMMEDIATE')
    try {
      if (first && !isOfLog(db, layout)) {
        db.exec(
          "DELETE FROM meta WHERE key = 'at'; DELETE FROM dims; DELETE FROM blocks; DELETE FROM present; DELETE FROM cells; DELETE FROM totals; DELETE FROM ids; DELETE FROM damaged",
        )
      }
      const at = indexedTo(db)
      const next = new Batch(db).add(layout, at)
      db.exec('COMMIT')
      read += next.rows - at.rows
      onProgress(next.pos, total)
      if (next.rows === at.rows || stop()) return read
    } catch (error) {
      // A full disk ends the transaction by itself; that there is none would hide why.
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
}

/** Does the log still have the row that the index ends with? */
function isOfLog(db: DatabaseSync, layout: Layout): boolean {
  const { rows, pos, hmac } = indexedTo(db)
  if (rows === 0n || hmac === '') return rows === 0n
  return locate(layout, { position: { count: rows, length: pos, hmac, tsNs: 0n }, fixedBy: 'row' }).fault === undefined
}

function endOf(layout: Layout): number {
  return layout.base.length + fstatSync(layout.live).size - layout.liveFrom
}

/** One transaction's worth of rows. */
class Batch {
  readonly #db: DatabaseSync
  readonly #dim: StatementSync
  readonly #newDim: StatementSync
  readonly #id: StatementSync
  readonly #damage: StatementSync
  readonly #dims = new Map<string, number>()
  readonly #cells = new Map<number, Map<number, number>>()
  /** Of the block under way. */
  #present = new Set<number>()
  #ids = new Set<number>()
  #minMs = Number.MAX_SAFE_INTEGER
  #maxMs = 0

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#dim = db.prepare(
      'SELECT id FROM dims WHERE decision = ? AND chk = ? AND filed = ? AND owner = ? AND owner_type = ? AND stage = ?',
    )
    this.#newDim = db.prepare(
      'INSERT INTO dims (decision, chk, filed, owner, owner_type, stage) VALUES (?, ?, ?, ?, ?, ?)',
    )
    this.#id = db.prepare('INSERT OR IGNORE INTO ids VALUES (?, ?)')
    this.#damage = db.prepare('INSERT OR REPLACE INTO damaged VALUES (?, ?, ?)')
  }

  add(layout: Layout, from: Indexed): Indexed {
    let { rows, pos, hmac } = from
    let blockPos = pos
    for (const chunk of linesFrom(layout, { row: rows, pos })) {
      if (chunk.kind === 'gap') {
        throw new AuditError('segment_missing', `${chunk.file} is needed for the index once, and ${chunk.why}`)
      }
      for (const line of split(chunk.bytes)) {
        // A last line without its newline is being written, or torn.
        if (
          chunk.bytes.at(-1) !== 0x0a &&
          line.byteOffset + line.length === chunk.bytes.byteOffset + chunk.bytes.length
        )
          break
        const block = Number(rows) - (Number(rows) % BLOCK_ROWS)
        if (Number(rows) === block) blockPos = pos
        hmac = this.#row(line, Number(rows)) ?? hmac
        rows++
        pos += line.length + 1
        if (Number(rows) % BLOCK_ROWS === 0) this.#endBlock(block / BLOCK_ROWS, blockPos)
        if (rows - from.rows >= BATCH_ROWS) return this.#end({ rows, pos, hmac }, blockPos)
      }
    }
    return this.#end({ rows, pos, hmac }, blockPos)
  }

  /** Returns the row's hmac; `undefined` when the line is no row. */
  #row(line: Buffer, row: number): string | undefined {
    const read = readFacts(line)
    if (read.kind === 'fault') {
      this.#damage.run(row, read.fault.kind, read.fault.detail)
      return undefined
    }
    const { facts, hmac } = read
    const dim = this.#dimOf(facts)
    this.#present.add(dim)
    const slot = Math.floor(facts.tsMs / SLOT_MS)
    let cells = this.#cells.get(slot)
    if (cells === undefined) this.#cells.set(slot, (cells = new Map()))
    cells.set(dim, (cells.get(dim) ?? 0) + 1)
    this.#ids.add(idHash(facts.entryId))
    if (facts.exchange !== '') this.#ids.add(idHash(facts.exchange))
    if (facts.tsMs < this.#minMs) this.#minMs = facts.tsMs
    if (facts.tsMs > this.#maxMs) this.#maxMs = facts.tsMs
    return hmac
  }

  #dimOf(f: RowFacts): number {
    const key = `${f.decision}\0${f.check}\0${f.filed}\0${f.owner}\0${f.stage}`
    const known = this.#dims.get(key)
    if (known !== undefined) return known
    const values = [f.decision, f.check, f.filed, f.owner, f.ownerType, f.stage] as const
    const found = this.#dim.get(...values)?.['id']
    const id = typeof found === 'number' ? found : Number(this.#newDim.run(...values).lastInsertRowid)
    this.#dims.set(key, id)
    return id
  }

  #endBlock(block: number, pos: number): void {
    this.#db
      .prepare(
        `INSERT INTO blocks VALUES (?, ?, ?, ?)
         ON CONFLICT (block) DO UPDATE SET min_ms = min(min_ms, excluded.min_ms), max_ms = max(max_ms, excluded.max_ms)`,
      )
      .run(block, pos, this.#minMs, this.#maxMs)
    const present = this.#db.prepare('INSERT OR IGNORE INTO present VALUES (?, ?)')
    for (const dim of this.#present) present.run(dim, block)
    for (const h of this.#ids) this.#id.run(h, block)
    this.#present = new Set()
    this.#ids = new Set()
    this.#minMs = Number.MAX_SAFE_INTEGER
    this.#maxMs = 0
  }

  #end(to: Indexed, blockPos: number): Indexed {
    if (Number(to.rows) % BLOCK_ROWS !== 0) this.#endBlock(Math.floor(Number(to.rows) / BLOCK_ROWS), blockPos)
    const cell = this.#db.prepare(
      'INSERT INTO cells VALUES (?, ?, ?) ON CONFLICT (slot, dim) DO UPDATE SET n = n + excluded.n',
    )
    const totals = new Map<number, number>()
    for (const [slot, cells] of this.#cells) {
      for (const [dim, n] of cells) {
        cell.run(slot, dim, n)
        totals.set(dim, (totals.get(dim) ?? 0) + n)
      }
    }
    const total = this.#db.prepare(
      'INSERT INTO totals VALUES (?, ?) ON CONFLICT (dim) DO UPDATE SET n = n + excluded.n',
    )
    for (const [dim, n] of totals) total.run(dim, n)
    this.#db
      .prepare("INSERT OR REPLACE INTO meta VALUES ('at', ?)")
      .run(`${to.rows} ${to.pos} ${to.hmac === '' ? '-' : to.hmac}`)
    return to
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/

/** 52 bits of an id. Those of a UUIDv7 rise with time, so the table grows at its end; two ids of one value only cost a look. */
export function idHash(id: string): number {
  const text = id.toLowerCase()
  if (UUID.test(text)) return Number.parseInt(text.slice(0, 8) + text.slice(9, 13) + (text[14] ?? '0'), 16)
  return Number.parseInt(createHash('sha256').update(text).digest('hex').slice(0, 13), 16)
}
