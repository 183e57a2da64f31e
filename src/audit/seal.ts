/**
 * Sealed personal fields: each encrypted under a key of that person alone, so that destroying the key erases the person from
 * the log while chain, proofs and verification stay whole.
 *
 * Guarantees: a sealed value reveals neither the person nor, once their key is gone, a way to test a guess; the key is on
 * disk before the row that needs it, wrapped by the sealing key; a key that another process destroyed is not used again, the
 * person's next row gets a new one. `erase` overwrites, unlinks and syncs. Does not: hide that two rows concern the same key,
 * or reach what the disk keeps below the file system (worn blocks of an SSD, snapshots) and copies of the folder (backups):
 * there the wrapping still protects the key until the sealing key itself is gone. The first row of a new person costs a
 * synchronous file sync.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { createPrivate, readPrivate } from '../keys/files.ts'
import type { Key } from '../keys/ring.ts'

export interface OwnerSealer {
  /** `person` is `type:id`; `entryId` and `field` bind the text to its place. Throws when the key cannot be kept. */
  seal(person: string, text: string, entryId: string, field: string): string
}

export type Opened =
  | { readonly kind: 'open'; readonly text: string }
  /** The key is gone, and the value with it. */
  | { readonly kind: 'erased' }
  /** Not sealed for this place, or not by this sealing key. */
  | { readonly kind: 'invalid' }

interface PersonKey {
  readonly id: string
  readonly key: Buffer
}

const CACHE = 10_000
const NONCE = 12
const TAG = 16
const KEY = 32
const KEY_ID = /^[0-9a-f]{32}$/
const SEALED = /^sealed:v1:([0-9a-f]{32}):([A-Za-z0-9+/]+={0,2})$/

/** The id of the key that a sealed value needs; `undefined` for text that is not sealed. */
export function sealedKeyId(text: string): string | undefined {
  return SEALED.exec(text)?.[1]
}

/**
 * A folder with two small files per person: `owners/<HMAC of the person>` names the key, `keys/<key id>` holds it and the
 * person's name, encrypted under the sealing key. The key id is random, so it says nothing once both files are gone.
 */
export class SealingFolder implements OwnerSealer {
  readonly path: string
  readonly #owners: string
  readonly #keys: string
  readonly #index: Key
  readonly #wrap: Buffer
  readonly #random: (bytes: number) => Uint8Array
  readonly #cache = new Map<string, PersonKey>()

  constructor(path: string, sealingKey: Key, random: (bytes: number) => Uint8Array = randomBytes) {
    this.path = path
    this.#owners = join(path, 'owners')
    this.#keys = join(path, 'keys')
    this.#index = sealingKey
    this.#wrap = Buffer.from(sealingKey.mac(Buffer.from('signet-sealing-wrap-v1')), 'hex')
    this.#random = random
    mkdirSync(this.#owners, { recursive: true, mode: 0o700 })
    mkdirSync(this.#keys, { recursive: true, mode: 0o700 })
  }

  seal(person: string, text: string, entryId: string, field: string): string {
    const { id, key } = this.#keyOf(person)
    const sealed = encrypt(key, Buffer.from(text), `signet-sealed-field-v1\0${id}\0${entryId}\0${field}`, this.#random)
    return `sealed:v1:${id}:${sealed.toString('base64')}`
  }

  open(sealed: string, entryId: string, field: string): Opened {
    const [, id, body] = SEALED.exec(sealed) ?? []
    if (id === undefined || body === undefined) return { kind: 'invalid' }
    const found = this.#load(id)
    if (found === 'none') return { kind: 'erased' }
    if (found === 'foreign') return { kind: 'invalid' }
    const text = decrypt(found.key, Buffer.from(body, 'base64'), `signet-sealed-field-v1\0${id}\0${entryId}\0${field}`)
    return text === undefined ? { kind: 'invalid' } : { kind: 'open', text: text.toString('utf8') }
  }

  /** `type:id` of whoever has this key. */
  personOf(keyId: string): string | undefined {
    const found = this.#load(keyId)
    return typeof found === 'string' ? undefined : found.person
  }

  /** The key that the person's rows are sealed under since the last erasure. */
  keyIdOf(person: string): string | undefined {
    const id = readPrivate(join(this.#owners, this.#nameOf(person)))?.trim()
    return id !== undefined && KEY_ID.test(id) ? id : undefined
  }

  /** Destroys the person's key: what was sealed under it is gone. Returns its id; `undefined` when there was none. */
  erase(person: string): string | undefined {
    const name = this.#nameOf(person)
    this.#cache.delete(name)
    const id = this.keyIdOf(person)
    if (id === undefined) return undefined
    // The key first: a crash in between leaves a name without a key, which the next seal or erasure replaces.
    const key = join(this.#keys, id)
    if (readPrivate(key) !== undefined) destroy(key, this.#random)
    syncFolder(this.#keys)
    unlinkSync(join(this.#owners, name))
    syncFolder(this.#owners)
    return id
  }

  #keyOf(person: string): PersonKey {
    const name = this.#nameOf(person)
    const known = this.#cache.get(name)
    // A look at the name, not the file: microseconds, and it is what notices an erasure by another process.
    if (known !== undefined && isThere(join(this.#keys, known.id))) return known
    const path = join(this.#owners, name)
    let id = this.keyIdOf(person)
    let found = id === undefined ? 'none' : this.#load(id)
    if (found === 'foreign') throw new Error("the sealing key is not the one that the owners' keys were made with")
    if (id === undefined || found === 'none') {
      if (isThere(path)) unlinkSync(path)
      const fresh = Buffer.from(this.#random(16)).toString('hex')
      const secret = Buffer.concat([this.#random(KEY), Buffer.from(person)])
      const wrapped = encrypt(this.#wrap, secret, `signet-sealing-key-v1\0${fresh}`, this.#random)
      createPrivate(join(this.#keys, fresh), () => `wrapped:v1:${wrapped.toString('base64')}\n`)
      id = createPrivate(path, () => `${fresh}\n`).trim()
      found = this.#load(id)
    }
    if (typeof found === 'string') throw new Error('the sealing key of an owner vanished while it was made')
    // Oldest out: the files remain, so this costs one read later.
    if (this.#cache.size >= CACHE) this.#cache.delete(this.#cache.keys().next().value ?? '')
    const made = { id, key: found.key }
    this.#cache.set(name, made)
    return made
  }

  #load(id: string): { readonly key: Buffer; readonly person: string } | 'none' | 'foreign' {
    if (!KEY_ID.test(id)) return 'none'
    const text = readPrivate(join(this.#keys, id))
    if (text === undefined) return 'none'
    const body = /^wrapped:v1:([A-Za-z0-9+/]+={0,2})\n$/.exec(text)?.[1]
    if (body === undefined) return 'foreign'
    const secret = decrypt(this.#wrap, Buffer.from(body, 'base64'), `signet-sealing-key-v1\0${id}`)
    if (secret === undefined || secret.length < KEY) return 'foreign'
    return { key: secret.subarray(0, KEY), person: secret.toString('utf8', KEY) }
  }

  #nameOf(person: string): string {
    return this.#index.mac(Buffer.from(`signet-sealing-owner-v1\0${person}`))
  }
}

function encrypt(key: Buffer, text: Buffer, aad: string, random: (bytes: number) => Uint8Array): Buffer {
  const nonce = random(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(aad))
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: Buffer, sealed: Buffer, aad: string): Buffer | undefined {
  if (sealed.length < NONCE + TAG) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE), { authTagLength: TAG })
  decipher.setAAD(Buffer.from(aad))
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()])
  } catch {
    return undefined
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** Noise over the bytes, synced, before the name goes: on a file system that writes in place nothing of the key is left. */
function destroy(path: string, random: (bytes: number) => Uint8Array): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW)
  try {
    const noise = random(fstatSync(fd).size)
    for (let done = 0; done < noise.length; ) done += writeSync(fd, noise, done, noise.length - done, done)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  unlinkSync(path)
}

function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
