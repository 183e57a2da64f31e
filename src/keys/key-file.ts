/**
 * One key as a file holds it: JSON with the secret, its id, what it is for and when it may sign. Read strictly: an
 * unknown member, a wrong type or a date that is none is an error, for a period that is misread protects nothing.
 */
import { KeyError } from './error.ts'
import { Key, SERVER_KEY_BYTES } from './ring.ts'
import type { Period } from './schedule.ts'
import { SigningKey } from './signing.ts'

/** One key per purpose: a key that leaks in one place forges nothing in another. */
export const PURPOSES = ['chain', 'receipts', 'capabilities', 'notes', 'sealing', 'webhooks'] as const
export type KeyPurpose = (typeof PURPOSES)[number]

/** MAC keys have an id and a secret, signing keys a public half that is published. */
export type KeyForm = 'mac' | 'signing'

interface StoredPeriod extends Period {
  /** Milliseconds since 1970. */
  readonly created: number
  /** Withdrawn: its public half is no longer published, so what it signed is no longer believed. */
  readonly withdrawn: boolean
}

export type StoredKey = StoredPeriod &
  (
    | { readonly form: 'mac'; readonly id: string; readonly key: Key; readonly secretHex: string }
    | { readonly form: 'signing'; readonly id: string; readonly key: SigningKey }
  )

export function encodeKeyFile(purpose: KeyPurpose, stored: StoredKey): string {
  const { form, id, created, notBefore, notAfter, withdrawn } = stored
  const document = {
    v: 1,
    purpose,
    form,
    id,
    created: new Date(created).toISOString(),
    ...(notBefore === undefined ? {} : { notBefore: new Date(notBefore).toISOString() }),
    ...(notAfter === undefined ? {} : { notAfter: new Date(notAfter).toISOString() }),
    ...(withdrawn ? { withdrawn: true } : {}),
    secret: stored.form === 'mac' ? stored.secretHex : stored.key.privatePem(),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

const MEMBERS: ReadonlySet<string> = new Set([
  'v',
  'purpose',
  'form',
  'id',
  'created',
  'notBefore',
  'notAfter',
  'withdrawn',
  'secret',
])

/** `path` is for errors only. */
export function parseKeyFile(text: string, purpose: KeyPurpose, path: string): StoredKey {
  const wrong = (what: string): KeyError => new KeyError('key_unreadable', `key file ${path}: ${what}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw wrong('expected JSON as signet writes it; restore the file')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('expected a JSON object')
  const members = new Map<string, unknown>(Object.entries(value))
  for (const name of members.keys())
    if (!MEMBERS.has(name)) throw wrong('holds a member that this version does not know; use the version that wrote it')
  if (members.get('v') !== 1) throw wrong('expected version 1; use the version of signet that wrote it')
  if (members.get('purpose') !== purpose) throw wrong(`expected a key for ${purpose}; restore the file`)
  const id = members.get('id')
  const secret = members.get('secret')
  if (typeof id !== 'string' || typeof secret !== 'string') throw wrong('expected "id" and "secret" as text')
  const period = {
    created: time('created') ?? fail('expected "created"'),
    notBefore: time('notBefore'),
    notAfter: time('notAfter'),
    withdrawn: flag(),
  }
  switch (members.get('form')) {
    case 'mac':
      return { form: 'mac', id, key: Key.fromHex(id, secret, SERVER_KEY_BYTES), secretHex: secret, ...period }
    case 'signing': {
      const key = SigningKey.fromPem(secret)
      if (key.kid !== id) throw wrong('its id is not that of its key; restore the file')
      return { form: 'signing', id, key, ...period }
    }
    default:
      throw wrong('expected "form" to be mac or signing')
  }

  function time(name: string): number | undefined {
    const given = members.get(name)
    if (given === undefined) return undefined
    const ms = typeof given === 'string' ? parseTime(given) : undefined
    if (ms === undefined) throw wrong(`expected "${name}" as a time such as 2026-05-01T12:00:00.000Z`)
    return ms
  }

  function flag(): boolean {
    const given = members.get('withdrawn') ?? false
    if (typeof given !== 'boolean') throw wrong('expected "withdrawn" to be true or false')
    return given
  }

  function fail(what: string): never {
    throw wrong(what)
  }
}

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z$/

/** RFC 3339 in UTC, to milliseconds since 1970; `undefined` for anything else. */
export function parseTime(text: string): number | undefined {
  if (!TIME.test(text)) return undefined
  const ms = Date.parse(text)
  // Date.parse takes 31 February for 3 March.
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 16) !== text.slice(0, 16) ? undefined : ms
}
