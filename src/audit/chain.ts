/**
 * The HMAC chain: each row's MAC covers the row and the MAC before it.
 *
 * Guarantees: rows are stamped in call order with rising timestamps; `rewind` puts the chain back to a position it had,
 * so that rows which never reached the disk leave no gap. A row is signed with the key whose time its timestamp is;
 * `append` throws `KeyError` when no key may sign, and the chain has then not moved. Does not: write anything.
 */
import { hash } from 'node:crypto'
import type { Placed, Row } from '../core/row.ts'
import type { KeyRing } from '../keys/ring.ts'
import { type LeafParts, leafJson } from './log/leaf-json.ts'
import { encodeRow, MAX_LINE } from './row.ts'

/** The state of a log after some row. */
export interface Position {
  /** Rows so far. */
  readonly count: bigint
  /** Bytes so far. */
  readonly length: number
  /** The last row's HMAC; empty for an empty log. */
  readonly hmac: string
  readonly tsNs: bigint
}

export const EMPTY: Position = { count: 0n, length: 0, hmac: '', tsNs: -1n }

export interface Stamped {
  readonly placed: Placed
  readonly line: Buffer
  readonly end: Position
}

const SALT_BYTES = 32

export class Chain {
  #head: Position
  readonly #ring: KeyRing
  readonly #nowNs: () => bigint
  readonly #random: (bytes: number) => Uint8Array
  /** Salt, then the canonical row: one buffer for the HMAC and the commitment. */
  readonly #scratch = Buffer.alloc(SALT_BYTES + MAX_LINE)

  constructor(ring: KeyRing, nowNs: () => bigint, random: (bytes: number) => Uint8Array, head: Position) {
    this.#ring = ring
    this.#nowNs = nowNs
    this.#random = random
    this.#head = head
  }

  get head(): Position {
    return this.#head
  }

  rewind(to: Position): void {
    this.#head = to
  }

  append(row: Row): Stamped {
    const from = this.#head
    const now = this.#nowNs()
    const tsNs = now > from.tsNs ? now : from.tsNs + 1n
    const key = this.#ring.at(tsNs)
    const scratch = this.#scratch
    scratch.set(this.#random(SALT_BYTES), 0)
    const salt = scratch.toString('base64', 0, SALT_BYTES)
    const { before, after, entryId, exchange } = encodeRow(row, { tsNs, prevHmac: from.hmac, keyId: key.id, salt })
    const cut = scratch.write(before, SALT_BYTES)
    const length = cut + scratch.write(after, SALT_BYTES + cut)
    const hmac = key.mac(scratch.subarray(SALT_BYTES, SALT_BYTES + length))
    const commit = hash('sha256', scratch.subarray(0, SALT_BYTES + length), 'hex')

    const line = Buffer.allocUnsafe(length + 75)
    scratch.copy(line, 0, SALT_BYTES, SALT_BYTES + cut)
    line.write(`"hmac":"${hmac}",`, cut, 'latin1')
    scratch.copy(line, cut + 74, SALT_BYTES + cut, SALT_BYTES + length)
    line[length + 74] = 0x0a

    const end = { count: from.count + 1n, length: from.length + line.length, hmac, tsNs }
    this.#head = end
    const leaf = { entryId, exchange, decision: row.decision, tsNs, commit }
    return { placed: new PlacedRow(leaf, from.count, hmac, before + after), line, end }
  }
}

/** The leaf is made when somebody asks for it: a receipt, the log. */
class PlacedRow implements Placed {
  readonly index: bigint
  readonly hmac: string
  readonly canonical: string
  readonly #leaf: LeafParts

  constructor(leaf: LeafParts, index: bigint, hmac: string, canonical: string) {
    this.#leaf = leaf
    this.index = index
    this.hmac = hmac
    this.canonical = canonical
  }

  get tsNs(): bigint {
    return this.#leaf.tsNs
  }

  get commit(): string {
    return this.#leaf.commit
  }

  get leaf(): string {
    return leafJson(this.#leaf)
  }
}
