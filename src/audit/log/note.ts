/**
 * Signed notes (https://c2sp.org/signed-note): text that keys have signed, and the keys' own written form.
 *
 * Guarantees: a note is opened only when at least one given key has signed it and no given key's signature is wrong;
 * signatures of other keys are carried along unread. What may be written two ways (base64, line ends) is refused in all
 * but one. Does not: know what the text says.
 */
import { concat, fromBase64, owned, sha256, toBase64, toUtf8 } from './bytes.ts'
import { LogInvalid } from './errors.ts'

/** Signature types of the key id. */
export const ED25519 = 0x01
export const COSIGNATURE_ED25519 = 0x04
export type KeyType = typeof ED25519 | typeof COSIGNATURE_ED25519

export interface NoteKey {
  readonly name: string
  /** First four bytes of SHA-256(name || 0x0A || type || public key), big-endian. */
  readonly id: number
  readonly type: KeyType
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

export interface NoteSignature {
  readonly name: string
  readonly id: number
  /** What follows the key id. */
  readonly bytes: Uint8Array
  /** The line without its newline. */
  readonly line: string
}

export interface Note {
  /** What is signed: ends in a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export interface NoteSigner {
  readonly key: NoteKey
  /** 64 bytes of Ed25519 signature. */
  sign(data: Uint8Array): Promise<Uint8Array>
}

/** One key's opinion of its signature. */
export interface NoteVerifier {
  readonly name: string
  readonly id: number
  verify(text: string, signature: Uint8Array): Promise<boolean>
}

const MAX_NOTE = 1_000_000
const MAX_SIGNATURES = 100
const SIGNATURE_LINE = /^\u2014 (\S+) (\S+)$/u
const KEY_NAME = /^[^\s+\u0085]+$/u
const PUBLIC_KEY_BYTES = 32

export async function noteKey(name: string, type: KeyType, publicKey: Uint8Array): Promise<NoteKey> {
  if (!isKeyName(name)) {
    throw new LogInvalid('key_invalid', 'expected a key name without spaces and without "+"')
  }
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    throw new LogInvalid('key_invalid', `expected an Ed25519 public key of 32 bytes, got ${publicKey.length}`)
  }
  return { name, id: await keyId(name, type, publicKey), type, publicKey }
}

/** The written form of a key: `name+hex id+base64(type || public key)`. */
export function formatKey(key: NoteKey): string {
  return `${key.name}+${hexId(key.id)}+${toBase64(concat(Uint8Array.of(key.type), key.publicKey))}`
}

/** Rejects with `key_invalid`, also when the id is not that of the key. */
export async function parseKey(text: string): Promise<NoteKey> {
  // Base64 may contain "+": only the first two part the fields.
  const found = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/u.exec(text)
  const bytes = found === null ? undefined : fromBase64(found[3] ?? '')
  if (found === null || bytes === undefined || bytes.length === 0) {
    throw new LogInvalid('key_invalid', 'expected a verifier key: <name>+<8 hex digits>+<base64>')
  }
  const type = bytes[0]
  if (type !== ED25519 && type !== COSIGNATURE_ED25519) {
    throw new LogInvalid(
      'key_invalid',
      `expected an Ed25519 key (type 1, or 4 for a witness), got type ${type}; this verifier knows no other`,
    )
  }
  const key = await noteKey(found[1] ?? '', type, bytes.slice(1))
  if (hexId(key.id) !== found[2]) {
    throw new LogInvalid('key_invalid', `the verifier key of ${key.name} is damaged: its id is not that of the key`)
  }
  return key
}

/** The note of `text`, signed by each signer in turn. */
export async function signNote(text: string, signers: readonly NoteSigner[]): Promise<string> {
  checkText(text)
  const data = toUtf8(text)
  let note = `${text}\n`
  for (const { key, sign } of signers) note += `${signatureLine(key, await sign(data))}\n`
  return note
}

/** `— name base64(key id || signature)`, without a newline. */
export function signatureLine(key: Pick<NoteKey, 'name' | 'id'>, signature: Uint8Array): string {
  return `\u2014 ${key.name} ${toBase64(concat(idBytes(key.id), signature))}`
}

/** The parts of a note. Nothing is verified. */
export function parseNote(note: string): Note {
  if (note.length > MAX_NOTE) throw new LogInvalid('too_large', `expected a note of at most ${MAX_NOTE} characters`)
  // The text may hold blank lines of its own: the last one ends it.
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n')) {
    throw new LogInvalid('malformed', 'expected a signed note: text, a blank line, and signature lines')
  }
  const text = note.slice(0, end + 1)
  checkText(text)
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) {
    throw new LogInvalid('too_large', `expected a note with at most ${MAX_SIGNATURES} signatures`)
  }
  return { text, signatures: lines.map(parseSignature) }
}

/** One signature line, without its newline. */
export function parseSignature(line: string): NoteSignature {
  const [, name, base64 = ''] = SIGNATURE_LINE.exec(line) ?? []
  const blob = fromBase64(base64)
  if (name === undefined || !isKeyName(name) || blob === undefined || blob.length < 5) {
    throw new LogInvalid('malformed', 'expected a signature line: an em dash, the key name, base64')
  }
  return { name, id: new DataView(blob.buffer).getUint32(0), bytes: blob.slice(4), line }
}

export interface OpenedNote extends Note {
  /** By the given keys; at least one. Repeated signatures of one key count once. */
  readonly verified: readonly NoteSignature[]
}

/** Rejects with `signature_invalid` or `signature_missing`. */
export async function openNote(note: Note, verifiers: readonly NoteVerifier[]): Promise<OpenedNote> {
  const verified: NoteSignature[] = []
  for (const signature of note.signatures) {
    const verifier = verifiers.find(({ name, id }) => name === signature.name && id === signature.id)
    if (verifier === undefined) continue
    if (verified.some(({ name, id }) => name === signature.name && id === signature.id)) continue
    if (!(await verifier.verify(note.text, signature.bytes))) {
      throw new LogInvalid('signature_invalid', `the signature of ${signature.name} is not that of its key`)
    }
    verified.push(signature)
  }
  if (verified.length === 0) {
    throw new LogInvalid('signature_missing', `expected a signature of ${verifiers.map(v => v.name).join(' or ')}`)
  }
  return { ...note, verified }
}

/** For keys that sign the text itself. */
export function noteVerifier(key: NoteKey): NoteVerifier {
  if (key.type !== ED25519) {
    throw new LogInvalid('key_invalid', `expected the key of a log (type 1), got that of a witness: ${key.name}`)
  }
  return {
    name: key.name,
    id: key.id,
    verify: (text, signature) => verifyEd25519(key.publicKey, toUtf8(text), signature),
  }
}

export async function verifyEd25519(
  publicKey: Uint8Array,
  data: Uint8Array<ArrayBuffer>,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== 64) return false
  const key = await crypto.subtle.importKey('raw', owned(publicKey), 'Ed25519', false, ['verify'])
  return crypto.subtle.verify('Ed25519', key, owned(signature), data)
}

/** The key id of another type over the same public key. */
export async function keyId(name: string, type: KeyType, publicKey: Uint8Array): Promise<number> {
  const digest = await sha256(concat(toUtf8(`${name}\n`), Uint8Array.of(type), publicKey))
  return new DataView(digest.buffer).getUint32(0)
}

export function isKeyName(name: string): boolean {
  return KEY_NAME.test(name) && name.isWellFormed() && !hasControls(name)
}

function checkText(text: string): void {
  if (text.length < 2 || !text.endsWith('\n') || !text.isWellFormed() || hasControls(text)) {
    throw new LogInvalid('malformed', "expected a note's text to be lines of UTF-8 without control characters")
  }
}

function hasControls(text: string): boolean {
  return /[\u0000-\u0009\u000b-\u001f]/.test(text)
}

function idBytes(id: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, id)
  return bytes
}

function hexId(id: number): string {
  return id.toString(16).padStart(8, '0')
}
