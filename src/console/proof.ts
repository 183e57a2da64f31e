/**
 * That a row is in the transparency log, found out here: the leaf is made from the row's own bytes, its proof from the log's
 * tiles, and both are verified against the log's signed checkpoint. The server is believed in none of it but the log's
 * public key, which it says; whoever was told the key another way compares it.
 */
import { quote } from '../audit/canonical.ts'
import type { TileSource } from '../audit/log/index.ts'
import { LogInvalid, parseKey, parseProof, proveIndex, verifyProof } from '../audit/log/index.ts'
import { CUT_NAME, leafJson, MAX_NAME_BYTES } from '../audit/log/leaf-json.ts'
import { leafHash } from '../audit/log/merkle.ts'
import { readStored, type StoredRow } from '../audit/stored.ts'
import { toHex, toUtf8 } from '../jws/bytes.ts'

export interface RowProof {
  readonly index: number
  readonly size: number
  readonly root: string
  readonly leaf: string
  readonly leafHash: string
  readonly hashes: number
  /** The text of a `.tlog-proof` file. */
  readonly proof: string
}

export type Proved =
  | { readonly kind: 'proved'; readonly proof: RowProof }
  /** The log is behind: it will be there soon. */
  | { readonly kind: 'not_yet' }
  | { readonly kind: 'refuted'; readonly why: string }

/** Of this very origin. */
export const TILES: TileSource = {
  async read(path) {
    const res = await fetch(`/${path}`, { credentials: 'omit', redirect: 'error' })
    if (res.status === 404) return undefined
    if (!res.ok) throw new LogInvalid('tile_missing', `the log answered ${res.status} for ${path}`)
    return new Uint8Array(await res.arrayBuffer())
  },
}

export async function proveRow(line: string, index: number, key: string, source: TileSource = TILES): Promise<Proved> {
  try {
    const leaf = await leafOf(line)
    if (leaf === undefined) return { kind: 'refuted', why: 'the line is no row in its canonical form' }
    const logKey = await parseKey(key)
    const proven = await proveIndex(source, index, [logKey])
    const parsed = parseProof(proven.proof)
    // With the leaf that was made here, not with the entry that the log gave.
    const { checkpoint } = await verifyProof(parsed, toUtf8(leaf), { logKeys: [logKey] })
    return {
      kind: 'proved',
      proof: {
        index,
        size: checkpoint.size,
        root: toHex(checkpoint.root),
        leaf,
        leafHash: toHex(await leafHash(toUtf8(leaf))),
        hashes: parsed.hashes.length,
        proof: proven.proof,
      },
    }
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    return error.code === 'not_yet_logged' ? { kind: 'not_yet' } : { kind: 'refuted', why: error.message }
  }
}

/** The public leaf of a stored line; see `audit/log/leaf.ts`, which makes the same on the gate. */
export async function leafOf(line: string): Promise<string | undefined> {
  const read = readStored(toUtf8(line))
  if (!read.ok || !read.isCanonical) return undefined
  const { row } = read
  // In a canonical line no string before this member can hold its text: the quotes would be escaped.
  const member = `"hmac":"${row.hmac}",`
  const at = line.indexOf(member)
  if (at < 0) return undefined
  const salted = join(saltOf(row), toUtf8(line.slice(0, at) + line.slice(at + member.length)))
  const commit = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', salted)))
  const exchange = row.metadata.get('_exchange_id')
  return leafJson({
    entryId: name(row.entryId),
    exchange: typeof exchange === 'string' ? name(exchange) : '""',
    decision: row.decision,
    tsNs: row.tsNs,
    commit,
  })
}

function saltOf(row: StoredRow): Uint8Array {
  const salt = row.metadata.get('_salt')
  if (typeof salt === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(salt)) {
    const bytes = Uint8Array.from(atob(salt), c => c.charCodeAt(0))
    if (btoa(String.fromCharCode(...bytes)) === salt) return bytes
  }
  return Uint8Array.from(row.hmac.match(/../g) ?? [], pair => Number.parseInt(pair, 16))
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}

function name(of: string): string {
  const json = quote(of)
  return toUtf8(json).length <= MAX_NAME_BYTES ? json : quote(of.slice(0, CUT_NAME))
}
