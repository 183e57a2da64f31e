/**
 * A row as it is stored: the Python implementation's twelve fields, so that either verifier accepts the other's chain.
 *
 * Guarantees: encoding never throws, whatever the metadata holds; a line is never longer than `MAX_LINE`; the writer's
 * own metadata keys cannot be set by a caller. Values that have no canonical form are replaced and `_sanitised` says
 * so; text that is too long is cut and `_truncated` says so. Does not: hide anything (`seal.ts` does).
 */
import type { Row } from '../core/row.ts'
import { MAX_KEY, Members } from './members.ts'

/** Longest stored line, newline included. */
export const MAX_LINE = 16 * 1024
/** `"hmac":"…",` and the newline. */
const LINE_EXTRA = 74 + 1

/** Longest of each field, UTF-16 units. A reason is a sentence, an owner a name. */
const MAX_REASON = 1024
const MAX_NAME = MAX_KEY
const MAX_OWNER = 1024
const MAX_APPROVERS = 16
const MAX_META_KEYS = 128
const MAX_LIST = 256
/** Caps tried in turn on metadata strings when a row is too long. */
const TEXT_CAPS = [16_384, 2048, 512, 128, 32] as const

/** Keys that only the writer sets. */
const OWN_KEYS: ReadonlySet<string> = new Set(['_anchor', '_salt', '_signing_key_id', '_sanitised', '_truncated'])
/** Kept to the last when even short strings are too many. */
const GATE_KEYS: ReadonlySet<string> = new Set(['_stage', '_check_name', '_exchange_id', '_policy_digest'])

/** Rows are not anchored one by one; the log's checkpoints are. The Python verifier expects the member. */
const ANCHOR = '{"backend":"noop","success":true}'

/** What the chain adds. */
export interface Stamp {
  readonly tsNs: bigint
  readonly prevHmac: string
  readonly keyId: string
  /** Base64 of 32 random bytes: it hides the row behind its public commitment. */
  readonly salt: string
}

/** The canonical row is `before + after`; the stored line is `before + "hmac":"…", + after + newline`. */
export interface EncodedRow {
  readonly before: string
  readonly after: string
  /** What the public leaf repeats of the row, as JSON and as stored. */
  readonly entryId: string
  readonly exchange: string
}

export function encodeRow(row: Row, stamp: Stamp): EncodedRow {
  for (const cap of TEXT_CAPS) {
    const encoded = encode(row, stamp, cap, false)
    if (fits(encoded)) return encoded
  }
  return encode(row, stamp, 32, true)
}

function fits(e: EncodedRow): boolean {
  const units = e.before.length + e.after.length + LINE_EXTRA
  // UTF-8 needs at most three bytes per UTF-16 unit.
  if (units * 3 <= MAX_LINE) return true
  return units <= MAX_LINE && Buffer.byteLength(e.before) + Buffer.byteLength(e.after) + LINE_EXTRA <= MAX_LINE
}

function encode(row: Row, stamp: Stamp, cap: number, bare: boolean): EncodedRow {
  const notes = { sanitised: false, truncated: bare }
  const most = bare ? 128 : MAX_OWNER
  const nameMost = bare ? 128 : MAX_NAME
  const owner = row.owner
  const approvers = encodeApprovers(owner.approvalChain, bare ? 4 : MAX_APPROVERS, most, notes)
  const checkName = encodeText(row.checkName, nameMost, notes)
  const entryId = encodeText(row.entryId, nameMost, notes)
  const before =
    `{"approval_chain":[${approvers}],"check_name":${checkName},` +
    `"decision":"${row.decision}","entry_id":${entryId},`
  const ownerId = encodeText(owner.id, most, notes)
  const reason = encodeText(row.reason, bare ? 128 : MAX_REASON, notes)
  const fingerprint = encodeText(row.fingerprint, nameMost, notes)
  const { json: metadata, exchange } = encodeMetadata(row.metadata, stamp, cap, bare, notes)
  const after =
    `"metadata":${metadata},"owner_id":${ownerId},"owner_type":"${owner.type}",` +
    `"prev_hmac":"${stamp.prevHmac}","reason":${reason},` +
    `"request_fingerprint":${fingerprint},"ts_ns":${stamp.tsNs}}`
  return { before, after, entryId, exchange }
}

function encodeApprovers(chain: unknown, most: number, longest: number, notes: Notes): string {
  let json = ''
  for (const person of list(chain, most, notes)) {
    json += `${json === '' ? '' : ','}${encodeText(person, longest, notes)}`
  }
  return json
}

interface Notes {
  sanitised: boolean
  truncated: boolean
}

function encodeMetadata(
  metadata: unknown,
  stamp: Stamp,
  cap: number,
  bare: boolean,
  notes: Notes,
): { readonly json: string; readonly exchange: string } {
  const members = new Members()
  let exchange = '""'
  members.add('_anchor', ANCHOR)
  members.add('_salt', `"${stamp.salt}"`)
  members.add('_signing_key_id', `"${stamp.keyId}"`)
  const { keys, values } = entries(metadata, notes)
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? ''
    if (OWN_KEYS.has(key)) {
      notes.sanitised = true
      continue
    }
    if ((bare || members.size >= MAX_META_KEYS) && !GATE_KEYS.has(key)) {
      notes.truncated = true
      continue
    }
    // The gate's own keys name things: they are cut only when nothing else is left to cut.
    const value = values[i]
    const json = encodeValue(value, bare ? 128 : GATE_KEYS.has(key) ? Math.max(cap, 128) : cap, notes)
    if (key === '_exchange_id' && typeof value === 'string') exchange = json
    members.add(cut(mended(key, notes), MAX_NAME, notes), json)
  }
  if (notes.sanitised) members.add('_sanitised', 'true')
  if (notes.truncated) members.add('_truncated', 'true')
  return { json: members.object(), exchange }
}

function encodeValue(value: unknown, cap: number, notes: Notes): string {
  if (typeof value === 'string') return encodeText(value, cap, notes)
  if (Array.isArray(value)) {
    const items = list(value, MAX_LIST, notes)
    return `[${items.map(item => encodeText(item, cap, notes)).join(',')}]`
  }
  if (typeof value === 'object' && value !== null) {
    const members = new Members()
    const { keys, values } = entries(value, notes)
    for (let i = 0; i < keys.length; i++) {
      if (members.size >= MAX_META_KEYS) {
        notes.truncated = true
        break
      }
      members.add(cut(mended(keys[i] ?? '', notes), MAX_NAME, notes), encodeScalar(values[i], cap, notes))
    }
    return members.object()
  }
  return encodeScalar(value, cap, notes)
}

function encodeScalar(value: unknown, cap: number, notes: Notes): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  // -0 is written as Python writes the integer: 0.
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value + 0)
  return encodeText(value, cap, notes)
}

function encodeText(value: unknown, cap: number, notes: Notes): string {
  return JSON.stringify(cut(asText(value, notes), cap, notes))
}

/** Any value as well-formed text. Fractions and huge numbers become their decimal text; the rest says what it was. */
function asText(value: unknown, notes: Notes): string {
  switch (typeof value) {
    case 'string':
      if (value.isWellFormed()) return value
      notes.sanitised = true
      return value.toWellFormed()
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      notes.sanitised = true
      return value === null ? 'null' : `[unserialisable: ${typeof value}]`
  }
}

interface Entries {
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
}

const NO_ENTRIES: Entries = { keys: [], values: [] }
const UNREADABLE: Entries = { keys: ['_unreadable'], values: [true] }

/** Own enumerable members; a getter or proxy that throws costs the metadata, not the row. */
function entries(value: unknown, notes: Notes): Entries {
  if (typeof value !== 'object' || value === null) {
    notes.sanitised = true
    return NO_ENTRIES
  }
  try {
    return { keys: Object.keys(value), values: Object.values(value) }
  } catch {
    notes.sanitised = true
    return UNREADABLE
  }
}

function mended(key: string, notes: Notes): string {
  if (key.isWellFormed()) return key
  notes.sanitised = true
  return key.toWellFormed()
}

function list(value: unknown, max: number, notes: Notes): readonly unknown[] {
  if (!Array.isArray(value)) {
    notes.sanitised = true
    return []
  }
  if (value.length > max) notes.truncated = true
  try {
    return value.slice(0, max)
  } catch {
    notes.sanitised = true
    return []
  }
}

/** At most `max` units, never through a surrogate pair; the last one says that there was more. */
function cut(text: string, max: number, notes: Notes): string {
  if (text.length <= max) return text
  notes.truncated = true
  const unit = text.charCodeAt(max - 2)
  return `${text.slice(0, unit >= 0xd800 && unit < 0xdc00 ? max - 2 : max - 1)}…`
}
