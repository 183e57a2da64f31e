/**
 * `<log>.head`: a MAC over how long the log was after the last commit, so that a log that lost its end is found out.
 *
 * Two slots of 512 bytes, written in turn, each `signet-head-v1 <rows> <bytes> <ts_ns> <hmac or -> <key id> <mac>`. A
 * slot is written only after the log itself was synced, and before anyone is told that the row is durable.
 *
 * Guarantees: the log is never shorter than a valid head says, unless bytes were taken away; after a killed process the
 * head names the last acknowledged row. It is synced about once a second, so after a power cut it may lag by that much:
 * rows beyond it are then checked by the chain alone. Does not detect: log and head put back together to an older pair
 * (that is what checkpoints and witnesses are for), or anything by someone who holds the key.
 */
import type { Key, KeyRing } from '../keys/ring.ts'
import { EMPTY, type Position } from './chain.ts'
import type { LogFile } from './files.ts'

const SLOT = 512
const DOMAIN = 'signet-audit-head-v1\0'
const RECORD =
  /^(signet-head-v1 (0|[1-9]\d{0,18}) (0|[1-9]\d{0,15}) (-1|0|[1-9]\d{0,19}) (-|[0-9a-f]{64}) ([A-Za-z0-9_.:-]{1,128})) ([0-9a-f]{64}) *\n$/

export type HeadState =
  | { readonly kind: 'absent' }
  /** `damaged`: the other slot holds something that is not a record of this ring. */
  | { readonly kind: 'found'; readonly position: Position; readonly slot: 0 | 1; readonly damaged: boolean }
  | { readonly kind: 'invalid'; readonly detail: string }

export function readHead(file: LogFile, ring: KeyRing): HeadState {
  const bytes = Buffer.alloc(SLOT * 2 + 1)
  const size = file.read(bytes, 0)
  return parseHead(bytes.subarray(0, size), ring)
}

export function parseHead(bytes: Buffer, ring: KeyRing): HeadState {
  if (bytes.length === 0) return { kind: 'absent' }
  if (bytes.length > SLOT * 2) return { kind: 'invalid', detail: 'it is longer than two records' }
  const first = parseRecord(bytes.subarray(0, SLOT), ring)
  const second = parseRecord(bytes.subarray(SLOT), ring)
  const damaged = first === 'bad' || second === 'bad'
  const one = typeof first === 'string' ? undefined : first
  const two = typeof second === 'string' ? undefined : second
  if (one !== undefined && (two === undefined || one.count >= two.count)) {
    return { kind: 'found', position: one, slot: 0, damaged }
  }
  if (two !== undefined) return { kind: 'found', position: two, slot: 1, damaged }
  return { kind: 'invalid', detail: 'neither record has a valid MAC of this key ring' }
}

/** One record of 512 bytes. `domain` keeps records of one use from passing as those of another. */
export function parseRecord(bytes: Buffer, ring: KeyRing, domain = DOMAIN): Position | 'blank' | 'bad' {
  if (bytes.every(b => b === 0)) return 'blank'
  const [, text, count, length, tsNs, hmac, keyId, mac] = RECORD.exec(bytes.toString('latin1')) ?? []
  if (text === undefined || count === undefined || length === undefined || tsNs === undefined) return 'bad'
  if (hmac === undefined || keyId === undefined || mac === undefined || bytes.length !== SLOT) return 'bad'
  if (ring.get(keyId)?.verify(Buffer.from(domain + text), mac) !== true) return 'bad'
  if (count === '0') return EMPTY
  return { count: BigInt(count), length: Number(length), tsNs: BigInt(tsNs), hmac: hmac === '-' ? '' : hmac }
}

export function encodeHead(position: Position, key: Key, domain = DOMAIN): Buffer {
  const text = `signet-head-v1 ${position.count} ${position.length} ${position.tsNs} ${position.hmac === '' ? '-' : position.hmac} ${key.id}`
  const record = `${text} ${key.mac(Buffer.from(domain + text))}`
  return Buffer.from(`${record.padEnd(SLOT - 1)}\n`, 'latin1')
}

/** The writing side: alternates the slots, so that a torn write leaves the record before it. */
export class HeadFile {
  readonly #file: LogFile
  readonly #ring: KeyRing
  #slot: 0 | 1

  constructor(file: LogFile, ring: KeyRing, lastSlot: 0 | 1) {
    this.#file = file
    this.#ring = ring
    this.#slot = lastSlot
  }

  async write(position: Position): Promise<void> {
    const record = encodeHead(position, this.#ring.vouching(position.tsNs))
    this.#slot = this.#slot === 0 ? 1 : 0
    await writeAll(this.#file, record, this.#slot * SLOT)
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  stillNamed(): Promise<boolean> {
    return this.#file.stillNamed()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Continues after short writes; a write of nothing is an error, or it would go on for ever. */
export async function writeAll(file: LogFile, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const written = file.write(done === 0 ? bytes : bytes.subarray(done), position + done)
    const n = typeof written === 'number' ? written : await written
    if (n <= 0) throw Object.assign(new Error('write(2) wrote nothing'), { code: 'EIO' })
    done += n
  }
}
