/**
 * MAC keys: one signs at a time, all verify.
 *
 * Guarantees: a secret is never in `toString`, `inspect`, JSON or an error. Ids are unique within a ring, so a row's
 * key id names one key for ever. A key signs only within its period, and `accepts` says whether a moment lies within
 * what a key may have signed; keys added with `legacy` verify whatever they are found on. Does not: wipe memory.
 */
import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { KeyError } from './error.ts'
import { type Period, Schedule } from './schedule.ts'

export { KeyError, type KeyErrorCode } from './error.ts'

/** What a library caller may use; the server asks for `SERVER_KEY_BYTES`. */
export const MIN_KEY_BYTES = 16
export const SERVER_KEY_BYTES = 32

const KEY_ID = /^[A-Za-z0-9_.:-]{1,128}$/
const BLOCK = 64
/** Longest message that takes the two-hash path; a longer one pays for a streaming HMAC instead of a bigger buffer. */
const ROOM = 64 * 1024

export class Key {
  readonly id: string
  /** Bytes of secret. */
  readonly size: number
  readonly #secret: KeyObject
  /** HMAC (RFC 2104) by two one-shot hashes: half the cost of a `createHmac` object for messages of a row's size. */
  readonly #inner: Buffer
  readonly #outer: Buffer

  constructor(id: string, secret: Uint8Array) {
    if (!KEY_ID.test(id)) {
      throw new KeyError('key_id_invalid', 'a key id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -')
    }
    if (secret.length < MIN_KEY_BYTES) {
      throw new KeyError(
        'key_too_short',
        `key ${id} has ${secret.length} bytes; use at least ${MIN_KEY_BYTES}, better ${SERVER_KEY_BYTES}: openssl rand -hex 32`,
      )
    }
    this.id = id
    this.size = secret.length
    this.#secret = createSecretKey(secret)
    this.#inner = Buffer.alloc(BLOCK + ROOM)
    this.#outer = Buffer.alloc(BLOCK + 32)
    const block = secret.length > BLOCK ? hash('sha256', secret, 'buffer') : secret
    for (let i = 0; i < BLOCK; i++) {
      const byte = block[i] ?? 0
      this.#inner[i] = byte ^ 0x36
      this.#outer[i] = byte ^ 0x5c
    }
  }

  static fromHex(id: string, hex: string, minBytes: number = MIN_KEY_BYTES): Key {
    const digits = /^0x/i.test(hex) ? hex.slice(2) : hex
    if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
      throw new KeyError(
        'key_not_hex',
        `the secret of key ${KEY_ID.test(id) ? id : '(invalid id)'} is not an even number of hexadecimal digits: openssl rand -hex 32`,
      )
    }
    const secret = Buffer.from(digits, 'hex')
    if (secret.length < minBytes) {
      throw new KeyError(
        'key_too_short',
        `key ${KEY_ID.test(id) ? id : '(invalid id)'} has ${secret.length} bytes; at least ${minBytes} are needed: openssl rand -hex 32`,
      )
    }
    return new Key(id, secret)
  }

  /** HMAC-SHA256, lower-case hex. */
  mac(data: Uint8Array): string {
    if (data.length > ROOM) return createHmac('sha256', this.#secret).update(data).digest('hex')
    this.#inner.set(data, BLOCK)
    return this.#finish(data.length)
  }

  /** The same over `source[from, cut)` followed by `source[resume, to)`: a stored row without its `hmac` field. */
  macWithout(source: Buffer, from: number, cut: number, resume: number, to: number): string {
    const first = cut - from
    const length = first + to - resume
    if (length > ROOM) {
      return createHmac('sha256', this.#secret)
        .update(source.subarray(from, cut))
        .update(source.subarray(resume, to))
        .digest('hex')
    }
    source.copy(this.#inner, BLOCK, from, cut)
    source.copy(this.#inner, BLOCK + first, resume, to)
    return this.#finish(length)
  }

  #finish(length: number): string {
    this.#outer.write(hash('sha256', this.#inner.subarray(0, BLOCK + length), 'hex'), BLOCK, 'hex')
    return hash('sha256', this.#outer, 'hex')
  }

  /** Constant-time: for MACs that an attacker may send online. */
  verify(data: Uint8Array, macHex: string): boolean {
    if (!/^[0-9a-f]{64}$/.test(macHex)) return false
    return timingSafeEqual(Buffer.from(this.mac(data), 'hex'), Buffer.from(macHex, 'hex'))
  }

  /** For handing the key to a worker thread: opaque, prints nothing. */
  keyObject(): KeyObject {
    return this.#secret
  }

  toString(): string {
    return `Key(${this.id})`
  }
  toJSON(): { readonly id: string } {
    return { id: this.id }
  }
}

/** A key that may sign, and when. */
export interface DatedKey extends Period {
  readonly key: Key
}

interface SharedKey extends Period {
  readonly id: string
  readonly secret: KeyObject
}

/** What a worker thread needs to rebuild a ring. */
export interface SharedRing {
  readonly signing: readonly SharedKey[]
  readonly legacy: readonly { readonly id: string; readonly secret: KeyObject }[]
}

const ALWAYS: Period = { notBefore: undefined, notAfter: undefined }

export class KeyRing {
  #signing: readonly DatedKey[]
  #schedule: Schedule<DatedKey>
  #legacy: readonly Key[]
  #keys: ReadonlyMap<string, Entry>
  /** The key that `at` gave last, and until when (ns) it need not look again. */
  #last: { readonly key: Key; readonly fromNs: bigint; readonly untilNs: bigint } | undefined

  /** One key without an end signs; the others only verify. */
  constructor(active: Key, legacy: readonly Key[] = []) {
    this.#signing = [{ key: active, ...ALWAYS }]
    this.#schedule = new Schedule(this.#signing)
    this.#legacy = legacy
    this.#keys = index(this.#signing, legacy, this.#schedule)
  }

  static dated(signing: readonly DatedKey[], legacy: readonly Key[] = []): KeyRing {
    const [first] = signing
    if (first === undefined) throw new KeyError('key_unknown', 'a key ring needs a key that signs')
    const ring = new KeyRing(first.key)
    ring.replace(signing, legacy)
    return ring
  }

  static fromHex(
    active: { readonly id: string; readonly hex: string },
    legacy: readonly { readonly id: string; readonly hex: string }[] = [],
    minBytes: number = MIN_KEY_BYTES,
  ): KeyRing {
    return new KeyRing(
      Key.fromHex(active.id, active.hex, minBytes),
      legacy.map(k => Key.fromHex(k.id, k.hex)),
    )
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()]
  }

  get(id: string): Key | undefined {
    return this.#keys.get(id)?.key
  }

  /** The key that signs what is dated `tsNs` (nanoseconds since 1970). Throws `KeyError` when none may. */
  at(tsNs: bigint): Key {
    const last = this.#last
    if (last !== undefined && tsNs >= last.fromNs && tsNs < last.untilNs) return last.key
    const ms = Number(tsNs / 1_000_000n)
    const dated = this.#schedule.at(ms)
    if (dated === undefined) throw new KeyError('key_not_valid', this.#whyNone(ms))
    const change = this.#schedule.changesAfter(ms)
    this.#last = { key: dated.key, fromNs: tsNs, untilNs: nsOf(change) }
    return dated.key
  }

  /** What vouches for something that has no time of its own: the key that signed last, or the first there is. */
  get active(): Key {
    return this.#last?.key ?? this.vouching(-BOUNDLESS_NS)
  }

  /** Has a key of this id a beginning or an end? Most have none, and `accepts` need not be asked. */
  isBounded(id: string): boolean {
    const entry = this.#keys.get(id)
    return entry !== undefined && (entry.fromNs !== -BOUNDLESS_NS || entry.untilNs !== BOUNDLESS_NS)
  }

  /** May something be signed at `tsNs`? */
  canSign(tsNs: bigint): boolean {
    const last = this.#last
    if (last !== undefined && tsNs >= last.fromNs && tsNs < last.untilNs) return true
    return this.#schedule.at(Number(tsNs / 1_000_000n)) !== undefined
  }

  /** The key that vouches for a state as of `tsNs`, ended or not; of a time before all keys, the first. */
  vouching(tsNs: bigint): Key {
    const dated = this.#schedule.begunBy(Number(tsNs / 1_000_000n)) ?? this.#schedule.first
    if (dated === undefined) throw new KeyError('key_not_valid', 'the key ring has no key that was ever valid')
    return dated.key
  }

  /** Was this key allowed to sign at `tsNs`? Keys given without a period are. */
  accepts(id: string, tsNs: bigint): boolean {
    const entry = this.#keys.get(id)
    return entry !== undefined && tsNs >= entry.fromNs && tsNs < entry.untilNs
  }

  addLegacy(key: Key): void {
    this.replace(this.#signing, [...this.#legacy, key])
  }

  /** Takes effect whole or, when an id would be there twice, not at all. */
  replace(signing: readonly DatedKey[], legacy: readonly Key[] = this.#legacy): void {
    const schedule = new Schedule(signing)
    const keys = index(signing, legacy, schedule)
    this.#signing = signing
    this.#legacy = legacy
    this.#keys = keys
    this.#schedule = schedule
    this.#last = undefined
  }

  #whyNone(ms: number): string {
    const ended = this.#schedule.begunBy(ms)
    if (ended === undefined)
      return 'no chain key is valid yet; fix: signet keys rotate --purpose chain --activate-at now'
    return `the chain key ${ended.key.id} ended at ${isoOf(ended.notAfter)}; fix: signet keys rotate --purpose chain --activate-at now`
  }

  share(): SharedRing {
    return {
      signing: this.#signing.map(({ key, notBefore, notAfter }) => ({
        id: key.id,
        secret: key.keyObject(),
        notBefore,
        notAfter,
      })),
      legacy: this.#legacy.map(key => ({ id: key.id, secret: key.keyObject() })),
    }
  }

  static fromShared(shared: SharedRing): KeyRing {
    const rebuild = (k: { readonly id: string; readonly secret: KeyObject }) => new Key(k.id, k.secret.export())
    return KeyRing.dated(
      shared.signing.map(k => ({ key: rebuild(k), notBefore: k.notBefore, notAfter: k.notAfter })),
      shared.legacy.map(rebuild),
    )
  }

  toString(): string {
    return `KeyRing(${this.ids.join(', ')})`
  }

  toJSON(): { readonly ids: readonly string[] } {
    return { ids: this.ids }
  }
}

/** A key, and the times (nanoseconds since 1970) between which its signatures count. */
interface Entry {
  readonly key: Key
  readonly fromNs: bigint
  readonly untilNs: bigint
}

/** Beyond every timestamp of a row. */
const BOUNDLESS_NS = 1n << 80n

function index(
  signing: readonly DatedKey[],
  legacy: readonly Key[],
  schedule: Schedule<DatedKey>,
): ReadonlyMap<string, Entry> {
  const keys = new Map<string, Entry>()
  const add = (entry: Entry): void => {
    const { id } = entry.key
    if (keys.has(id)) {
      throw new KeyError('key_duplicate', `key id ${id} is already in the ring; give every key an id of its own`)
    }
    keys.set(id, entry)
  }
  for (const dated of signing) {
    const until = schedule.acceptedUntil(dated)
    add({ key: dated.key, fromNs: nsOf(dated.notBefore ?? -Infinity), untilNs: nsOf(until) })
  }
  for (const key of legacy) add({ key, fromNs: -BOUNDLESS_NS, untilNs: BOUNDLESS_NS })
  return keys
}

function nsOf(ms: number): bigint {
  return Number.isFinite(ms) ? BigInt(ms) * 1_000_000n : ms < 0 ? -BOUNDLESS_NS : BOUNDLESS_NS
}

function isoOf(ms: number | undefined): string {
  return ms === undefined ? 'an unknown time' : new Date(ms).toISOString()
}
