/**
 * A folder of keys: for every purpose one that signs, those before it, and perhaps one that will sign later.
 *
 * The files of a purpose are numbered, `receipts.1.json`, `receipts.2.json`, …; rotation adds the next number and changes
 * nothing else, so it is one atomic step, and of two processes that rotate at once one is told that it came second. A
 * first key has no beginning: what it signs holds even if the clock is set back right after it was made.
 *
 * Guarantees: as `files.ts`; periods are as `schedule.ts` says; a folder that has lost a file with later ones beside it is
 * refused. Does not notice that the last one is lost. Does not: tell running gates (`watch.ts` does).
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { KeyError } from './error.ts'
import { codeOf, createOnly, octal, readPrivate, replacePrivate } from './files.ts'
import { encodeKeyFile, type KeyForm, type KeyPurpose, PURPOSES, parseKeyFile, type StoredKey } from './key-file.ts'
import { Key, KeyRing, SERVER_KEY_BYTES } from './ring.ts'
import { Schedule } from './schedule.ts'
import { SigningKey } from './signing.ts'
import { ScheduledSigners } from './signing-keys.ts'

export { createPrivate, readPrivate, readSecretFile } from './files.ts'
export { type KeyPurpose, PURPOSES } from './key-file.ts'

/** What the keys of each purpose are. */
export const FORMS: Readonly<Record<KeyPurpose, KeyForm>> = {
  chain: 'mac',
  receipts: 'signing',
  capabilities: 'signing',
  notes: 'signing',
  sealing: 'mac',
  webhooks: 'mac',
}

/** A public key is known for so long before it signs: verifiers may keep a key set for ten minutes, proxies for five. */
export const PUBLISHED_FIRST_MS = 15 * 60_000
/** A MAC key needs no publishing, only a gate that has noticed it. */
export const NOTICED_FIRST_MS = 60_000

export interface KeyFolderPorts {
  readonly random?: (bytes: number) => Uint8Array
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export class KeyFolder {
  readonly path: string
  readonly #random: (bytes: number) => Uint8Array
  readonly #now: () => number

  constructor(path: string, { random = randomBytes, now = Date.now }: KeyFolderPorts = {}) {
    this.path = path
    this.#random = random
    this.#now = now
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const mode = statSync(path).mode
    if ((mode & 0o022) !== 0) {
      throw new KeyError('key_unreadable', `others can write to ${path} (mode ${octal(mode)}); fix: chmod 700 ${path}`)
    }
  }

  /** In the order they were made. Looking makes none. */
  keys(purpose: KeyPurpose): readonly StoredKey[] {
    const found: StoredKey[] = []
    for (let n = 1; ; n++) {
      const text = readPrivate(this.#file(purpose, n))
      if (text === undefined) {
        this.#refuseGap(purpose, n)
        return found
      }
      const key = parseKeyFile(text, purpose, this.#file(purpose, n))
      if (key.form !== FORMS[purpose])
        throw new KeyError('key_unreadable', `key file ${this.#file(purpose, n)}: expected a ${FORMS[purpose]} key`)
      found.push(key)
    }
  }

  /** The same, and one is made if there was none. */
  ensure(purpose: KeyPurpose): readonly StoredKey[] {
    const found = this.keys(purpose)
    if (found.length > 0) return found
    // Whoever was first: its key is the one.
    createOnly(this.#file(purpose, 1), encodeKeyFile(purpose, this.#make(purpose, undefined)))
    return this.keys(purpose)
  }

  /** The MAC key that is valid now; made on first use. Throws `key_not_valid` when it has ended. */
  secret(purpose: KeyPurpose): Key {
    const { key } = this.#current(purpose)
    if (key instanceof Key) return key
    throw new TypeError(`the keys for ${purpose} are no MAC keys`)
  }

  /** The signing key that is valid now; made on first use. Throws `key_not_valid` when it has ended. */
  signing(purpose: KeyPurpose): SigningKey {
    const { key } = this.#current(purpose)
    if (key instanceof SigningKey) return key
    throw new TypeError(`the keys for ${purpose} are no signing keys`)
  }

  /** Every MAC key of a purpose as a ring; one is made if there was none. */
  ring(purpose: KeyPurpose, legacy: readonly Key[] = []): KeyRing {
    return KeyRing.dated(macKeys(this.ensure(purpose)), legacy)
  }

  /** Every signing key of a purpose; one is made if there was none. */
  signers(purpose: KeyPurpose, retentionMs?: number): ScheduledSigners {
    return new ScheduledSigners(signingKeys(this.ensure(purpose)), retentionMs)
  }

  /**
   * Makes the next key, which signs from `notBefore` (milliseconds since 1970) on, rounded up to a second. Refused while another one still waits
   * for its time, and before the time of the one there is.
   */
  rotate(purpose: KeyPurpose, notBefore: number): StoredKey {
    // Whole seconds, as in receipts and key sets.
    const begins = Math.ceil(notBefore / 1000) * 1000
    const known = this.ensure(purpose)
    const waiting = known.find(k => (k.notBefore ?? -Infinity) > this.#now() && !k.withdrawn && !neverValid(k))
    if (waiting !== undefined) {
      throw new KeyError(
        'key_duplicate',
        `the ${purpose} key ${waiting.id} already waits for ${timeOf(waiting.notBefore)}; let it begin, or end it first: signet keys retire --purpose ${purpose} --kid ${waiting.id}`,
      )
    }
    const last = known.at(-1)
    if (last?.notBefore !== undefined && begins <= last.notBefore && !neverValid(last)) {
      throw new KeyError('key_not_valid', `the next ${purpose} key must begin after ${timeOf(last.notBefore)}`)
    }
    const made = this.#make(purpose, begins)
    if (createOnly(this.#file(purpose, known.length + 1), encodeKeyFile(purpose, made))) return made
    throw new KeyError(
      'key_duplicate',
      `another process has just rotated the ${purpose} key; see: signet keys list --purpose ${purpose}`,
    )
  }

  /** Takes a key made elsewhere as the first one: PEM, or hex with the id it has had. Returns its id. */
  adopt(purpose: KeyPurpose, text: string, id: string | undefined): string {
    const period = { created: this.#now(), notBefore: undefined, notAfter: undefined, withdrawn: false }
    const stored: StoredKey =
      FORMS[purpose] === 'signing'
        ? signingForm(SigningKey.fromPem(text))
        : { form: 'mac', id: id ?? '', key: Key.fromHex(id ?? '', text, SERVER_KEY_BYTES), secretHex: text, ...period }
    if (!createOnly(this.#file(purpose, 1), encodeKeyFile(purpose, stored))) {
      throw new KeyError(
        'key_duplicate',
        `${this.path} has ${purpose} keys already; a key is imported before the first one is made`,
      )
    }
    return stored.id

    function signingForm(key: SigningKey): StoredKey {
      return { form: 'signing', id: key.kid, key, ...period }
    }
  }

  /** Ends a key's validity at `notAfter` (milliseconds since 1970). */
  retire(purpose: KeyPurpose, id: string, notAfter: number, withdrawn: boolean): StoredKey {
    const known = this.keys(purpose)
    const at = known.findIndex(k => k.id === id)
    const found = known[at]
    if (found === undefined) {
      throw new KeyError(
        'key_unknown',
        `no ${purpose} key has the id given; see: signet keys list --purpose ${purpose}`,
      )
    }
    if (found.notAfter !== undefined && found.notAfter < notAfter) {
      throw new KeyError(
        'key_not_valid',
        `the key ${id} ends at ${timeOf(found.notAfter)} already; an end is not moved back`,
      )
    }
    const retired: StoredKey = { ...found, notAfter, withdrawn: found.withdrawn || withdrawn }
    replacePrivate(this.#file(purpose, at + 1), encodeKeyFile(purpose, retired))
    return retired
  }

  /** Changes whenever a key file does: what a watcher compares. */
  fingerprint(): string {
    const parts: string[] = []
    for (const name of readdirSync(this.path).sort()) {
      if (!PURPOSES.some(p => name.startsWith(`${p}.`)) || !name.endsWith('.json')) continue
      try {
        const { ino, size, mtimeMs } = statSync(join(this.path, name))
        parts.push(`${name} ${ino} ${size} ${mtimeMs}`)
      } catch (error) {
        // Gone since the folder was read: the next look sees another list.
        if (codeOf(error) !== 'ENOENT') throw error
      }
    }
    return parts.join('\n')
  }

  /** Without one of its files an earlier key, ended long ago, would sign again, and the later ones be unknown. */
  #refuseGap(purpose: KeyPurpose, missing: number): void {
    for (const name of readdirSync(this.path)) {
      const [, of, number] = /^([a-z]+)\.([1-9][0-9]*)\.json$/.exec(name) ?? []
      if (of !== purpose || Number(number) <= missing) continue
      throw new KeyError(
        'key_unreadable',
        `key file ${this.#file(purpose, missing)} is missing, and ${name} is there; restore the missing file`,
      )
    }
  }

  #file(purpose: KeyPurpose, n: number): string {
    return join(this.path, `${purpose}.${n}.json`)
  }

  #make(purpose: KeyPurpose, notBefore: number | undefined): StoredKey {
    const period = { created: this.#now(), notBefore, notAfter: undefined, withdrawn: false }
    if (FORMS[purpose] === 'signing') {
      const key = SigningKey.generate()
      return { form: 'signing', id: key.kid, key, ...period }
    }
    const id = `${purpose}-${Buffer.from(this.#random(4)).toString('hex')}`
    const secretHex = Buffer.from(this.#random(SERVER_KEY_BYTES)).toString('hex')
    return { form: 'mac', id, key: Key.fromHex(id, secretHex, SERVER_KEY_BYTES), secretHex, ...period }
  }

  #current(purpose: KeyPurpose): StoredKey {
    const schedule = new Schedule(this.ensure(purpose))
    const now = this.#now()
    const current = schedule.at(now)
    if (current !== undefined) return current
    const ended = schedule.begunBy(now)
    throw new KeyError('key_not_valid', noKeyNow(purpose, ended?.id, ended?.notAfter))
  }
}

/** One line for a purpose without a valid key. */
export function noKeyNow(purpose: KeyPurpose, id: string | undefined, notAfter: number | undefined): string {
  const what =
    id === undefined ? `no ${purpose} key is valid yet` : `the ${purpose} key ${id} ended at ${timeOf(notAfter)}`
  return `${what}; fix: signet keys rotate --purpose ${purpose} --activate-at now`
}

export function macKeys(stored: readonly StoredKey[]) {
  return stored.flatMap(k => (k.form === 'mac' ? [{ key: k.key, notBefore: k.notBefore, notAfter: k.notAfter }] : []))
}

export function signingKeys(stored: readonly StoredKey[]) {
  return stored.flatMap(k =>
    k.form === 'signing'
      ? [{ signer: k.key, notBefore: k.notBefore, notAfter: k.notAfter, withdrawn: k.withdrawn }]
      : [],
  )
}

function neverValid(key: StoredKey): boolean {
  return key.notAfter !== undefined && key.notAfter <= (key.notBefore ?? -Infinity)
}

function timeOf(ms: number | undefined): string {
  return ms === undefined ? 'an unknown time' : new Date(ms).toISOString()
}
