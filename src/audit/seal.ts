/**
 * Sealed personal fields: `owner_id` and the approvers, each encrypted under a key of that person alone, so that
 * destroying the key erases the person from the log while chain, proofs and verification stay whole.
 *
 * Guarantees: a sealed value reveals neither the person nor, once their key is gone, a way to test a guess; the key is
 * on disk before the row that needs it. Does not: seal reasons or metadata, hide that two rows concern the same key,
 * or reach copies of the key folder (backups). The first row of a new person costs a synchronous file sync.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createPrivate, readPrivate } from '../keys/files.ts'
import type { Key } from '../keys/ring.ts'

export interface OwnerSealer {
  /** `person` is `type:id`; `entryId` and `field` bind the text to its place. Throws when the key cannot be kept. */
  seal(person: string, text: string, entryId: string, field: string): string
}

interface PersonKey {
  readonly id: string
  readonly key: Buffer
}

const CACHE = 10_000
const NONCE = 12
const TAG = 16

/**
 * A folder with two small files per person: `owners/<HMAC of the person>` names the key, `keys/<key id>` holds it.
 * The key id is random, so it says nothing about the person once both files are gone.
 */
export class SealingFolder implements OwnerSealer {
  readonly #owners: string
  readonly #keys: string
  readonly #index: Key
  readonly #random: (bytes: number) => Uint8Array
  readonly #cache = new Map<string, PersonKey>()

  constructor(path: string, index: Key, random: (bytes: number) => Uint8Array = randomBytes) {
    this.#owners = join(path, 'owners')
    this.#keys = join(path, 'keys')
    this.#index = index
    this.#random = random
    mkdirSync(this.#owners, { recursive: true, mode: 0o700 })
    mkdirSync(this.#keys, { recursive: true, mode: 0o700 })
  }

  seal(person: string, text: string, entryId: string, field: string): string {
    const { id, key } = this.#keyOf(person)
    const nonce = this.#random(NONCE)
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.setAAD(aad(id, entryId, field))
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `sealed:v1:${id}:${sealed.toString('base64')}`
  }

  /** `undefined` when the person was erased, or the value is not one of ours for this place. */
  open(sealed: string, entryId: string, field: string): string | undefined {
    const [, id, body] = /^sealed:v1:([0-9a-f]{32}):([A-Za-z0-9+/]+={0,2})$/.exec(sealed) ?? []
    if (id === undefined || body === undefined) return undefined
    const key = this.#load(id)
    const bytes = Buffer.from(body, 'base64')
    if (key === undefined || bytes.length < NONCE + TAG) return undefined
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE), { authTagLength: TAG })
    decipher.setAAD(aad(id, entryId, field))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG))
    try {
      return decipher.update(bytes.subarray(NONCE, bytes.length - TAG), undefined, 'utf8') + decipher.final('utf8')
    } catch {
      return undefined
    }
  }

  /** Destroys the person's key: what was sealed under it is gone for good. False when there was none. */
  erase(person: string): boolean {
    const name = this.#nameOf(person)
    this.#cache.delete(name)
    const path = join(this.#owners, name)
    const id = readPrivate(path)?.trim()
    if (id === undefined) return false
    // The key first: a crash in between leaves a name without a key, which the next seal replaces.
    if (readPrivate(join(this.#keys, id)) !== undefined) unlinkSync(join(this.#keys, id))
    unlinkSync(path)
    return true
  }

  #keyOf(person: string): PersonKey {
    const name = this.#nameOf(person)
    const known = this.#cache.get(name)
    if (known !== undefined) return known
    const path = join(this.#owners, name)
    let id = readPrivate(path)?.trim()
    let key = id === undefined ? undefined : this.#load(id)
    if (id === undefined || key === undefined) {
      if (id !== undefined) unlinkSync(path)
      const fresh = Buffer.from(this.#random(16)).toString('hex')
      createPrivate(join(this.#keys, fresh), () => `${Buffer.from(this.#random(32)).toString('hex')}\n`)
      id = createPrivate(path, () => `${fresh}\n`).trim()
      key = this.#load(id)
      if (key === undefined) throw new Error('the sealing key of an owner vanished while it was made')
    }
    // Oldest out: the files remain, so this costs one read later.
    if (this.#cache.size >= CACHE) this.#cache.delete(this.#cache.keys().next().value ?? '')
    const made = { id, key }
    this.#cache.set(name, made)
    return made
  }

  #load(id: string): Buffer | undefined {
    if (!/^[0-9a-f]{32}$/.test(id)) return undefined
    const hex = readPrivate(join(this.#keys, id))?.trim()
    return hex !== undefined && /^[0-9a-f]{64}$/.test(hex) ? Buffer.from(hex, 'hex') : undefined
  }

  #nameOf(person: string): string {
    return this.#index.mac(Buffer.from(`signet-sealing-owner-v1\0${person}`))
  }
}

function aad(id: string, entryId: string, field: string): Buffer {
  return Buffer.from(`signet-sealed-field-v1\0${id}\0${entryId}\0${field}`)
}
