/** A stored row as read back: the twelve fields of the format, exactly, each of its type. */
import { canonical, type Json } from './canonical.ts'
import { JsonFault, parseJson } from './json.ts'

export const OWNER_TYPES = ['human', 'agent', 'policy', 'unresolved'] as const
export const DECISIONS = ['allow', 'block', 'redact', 'escalate'] as const

export const FIELDS: readonly string[] = [
  'approval_chain',
  'check_name',
  'decision',
  'entry_id',
  'hmac',
  'metadata',
  'owner_id',
  'owner_type',
  'prev_hmac',
  'reason',
  'request_fingerprint',
  'ts_ns',
]

/** The format's bound: 10^19 ns, the year 2286. */
export const MAX_TS_NS = 10n ** 19n

export interface StoredRow {
  readonly entryId: string
  readonly tsNs: bigint
  readonly ownerType: string
  readonly ownerId: string
  readonly approvalChain: readonly string[]
  readonly checkName: string
  readonly decision: string
  readonly reason: string
  readonly fingerprint: string
  readonly metadata: ReadonlyMap<string, Json>
  readonly prevHmac: string
  readonly hmac: string
}

export type LineFaultKind = 'malformed_line' | 'duplicate_key' | 'unknown_field'

export interface LineFault {
  readonly kind: LineFaultKind
  readonly detail: string
}

export type ReadLine =
  | { readonly ok: true; readonly row: StoredRow; readonly isCanonical: boolean }
  | { readonly ok: false; readonly fault: LineFault }

const HEX = /^(?:[0-9a-f]{64})?$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** One line without its newline. Never throws, whatever the bytes. */
export function readStored(line: Uint8Array): ReadLine {
  let text: string
  try {
    text = utf8.decode(line)
  } catch {
    return fault('malformed_line', 'not valid UTF-8')
  }
  let json: Json
  try {
    json = parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error
    return fault(error.kind === 'duplicate_key' ? 'duplicate_key' : 'malformed_line', error.message)
  }
  if (!(json instanceof Map)) return fault('malformed_line', 'not a JSON object')
  const row = toRow(json)
  if ('kind' in row) return { ok: false, fault: row }
  return { ok: true, row, isCanonical: canonical(json) === text }
}

function toRow(json: ReadonlyMap<string, Json>): StoredRow | LineFault {
  for (const key of json.keys()) {
    if (!FIELDS.includes(key)) return { kind: 'unknown_field', detail: 'a field that rows do not have' }
  }
  const bad = (field: string, expected: string): LineFault => ({
    kind: 'malformed_line',
    detail: `${field} must be ${expected}`,
  })
  const strings: Record<string, string> = {}
  for (const field of FIELDS) {
    const value = json.get(field)
    if (value === undefined) return { kind: 'malformed_line', detail: `${field} is missing` }
    if (field === 'metadata' || field === 'approval_chain' || field === 'ts_ns') continue
    if (typeof value !== 'string') return bad(field, 'a string')
    strings[field] = value
  }
  const text = (field: string) => strings[field] ?? ''
  const tsNs = json.get('ts_ns')
  if (typeof tsNs !== 'bigint' || tsNs < 0n || tsNs > MAX_TS_NS) return bad('ts_ns', 'an integer from 0 to 10^19')
  const metadata = json.get('metadata')
  if (!(metadata instanceof Map)) return bad('metadata', 'an object')
  const chain = json.get('approval_chain')
  if (!Array.isArray(chain)) return bad('approval_chain', 'a list of strings')
  const approvalChain: string[] = []
  for (const link of chain) {
    if (typeof link !== 'string') return bad('approval_chain', 'a list of strings')
    approvalChain.push(link)
  }
  if (!OWNER_TYPES.some(t => t === text('owner_type'))) return bad('owner_type', OWNER_TYPES.join(', '))
  if (!DECISIONS.some(d => d === text('decision'))) return bad('decision', DECISIONS.join(', '))
  if (!HEX.test(text('hmac'))) return bad('hmac', '64 lower-case hexadecimal digits')
  if (!HEX.test(text('prev_hmac'))) return bad('prev_hmac', '64 lower-case hexadecimal digits, or empty')
  return {
    entryId: text('entry_id'),
    tsNs,
    ownerType: text('owner_type'),
    ownerId: text('owner_id'),
    approvalChain,
    checkName: text('check_name'),
    decision: text('decision'),
    reason: text('reason'),
    fingerprint: text('request_fingerprint'),
    metadata,
    prevHmac: text('prev_hmac'),
    hmac: text('hmac'),
  }
}

function fault(kind: LineFaultKind, detail: string): ReadLine {
  return { ok: false, fault: { kind, detail } }
}
