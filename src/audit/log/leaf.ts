/**
 * The public leaf of a row: RFC 8785 form of `{v, entry_id, exchange, ts_ns, decision, commit}`. It names the row and
 * commits to it, and says nothing about whom or what it concerns.
 *
 * `commit` is SHA-256(salt || canonical row). A row that the Python implementation wrote has no salt; its own HMAC (32
 * bytes, as random as a salt to whoever lacks the chain's key) stands in for it. So every row has a leaf, and the index
 * in the log is the index of the row.
 *
 * Guarantees: the leaf made from a stored line is, byte for byte, the leaf that the row's receipt carries.
 */
import { hash } from 'node:crypto'
import { quote } from '../canonical.ts'
import { newFacts, scanLine } from '../line.ts'
import { readStored, type StoredRow } from '../stored.ts'
import { LogInvalid } from './errors.ts'
import { CUT_NAME, leafJson, MAX_NAME_BYTES } from './leaf-json.ts'

const SALT_BYTES = 32
/** Of `"hmac":"…",`, which the canonical row leaves out. */
const HMAC_MEMBER = 74

/** From a stored line without its newline. Throws `LogInvalid` for what is no row. */
export function leafOfLine(line: Uint8Array): Uint8Array {
  return Buffer.from(leafTextOfLine(line))
}

/** Its bytes as UTF-8 are the leaf. */
export function leafTextOfLine(line: Uint8Array): string {
  const read = readStored(line)
  if (!read.ok || !read.isCanonical) {
    const why = read.ok ? 'it is not in canonical form' : read.fault.detail
    throw new LogInvalid(
      'log_unreadable',
      `the audit log holds a line that is no row (${why}); run signet audit verify`,
    )
  }
  const { row } = read
  const exchange = row.metadata.get('_exchange_id')
  return leafJson({
    entryId: name(row.entryId),
    exchange: typeof exchange === 'string' ? name(exchange) : '""',
    decision: row.decision,
    tsNs: row.tsNs,
    commit: hash('sha256', Buffer.concat([saltOf(row), canonicalOf(line, row)]), 'hex'),
  })
}

/** `_salt` where it is what this gate writes, else the HMAC. */
function saltOf(row: StoredRow): Uint8Array {
  const salt = row.metadata.get('_salt')
  if (typeof salt === 'string') {
    const bytes = Buffer.from(salt, 'base64')
    if (bytes.length === SALT_BYTES && bytes.toString('base64') === salt) return bytes
  }
  return Buffer.from(row.hmac, 'hex')
}

/** The line without its `hmac` member. */
function canonicalOf(line: Uint8Array, row: StoredRow): Uint8Array {
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength)
  const facts = newFacts()
  if (scanLine(bytes, 0, bytes.length, facts)) {
    return Buffer.concat([bytes.subarray(0, facts.cut), bytes.subarray(facts.resume)])
  }
  // The exact reader took it and the fast one did not (a key with escapes, say). In a canonical line no string before
  // this member can hold its text: the quotes would be escaped.
  const at = bytes.indexOf(`"hmac":"${row.hmac}",`)
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + (row.hmac === '' ? 10 : HMAC_MEMBER))])
}

/** As JSON, short enough for two of them in an entry. */
function name(text: string): string {
  const json = quote(text)
  if (Buffer.byteLength(json) <= MAX_NAME_BYTES) return json
  return quote(text.slice(0, CUT_NAME))
}
