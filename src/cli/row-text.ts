/** Stored rows as people and machines read them. Numbers keep every digit: nanoseconds do not fit a JavaScript number. */
import { canonical, Float, type Json } from '../audit/canonical.ts'
import type { StoredRow } from '../audit/stored.ts'
import type { KeyRing } from '../keys/ring.ts'

/** The row's JSON, keys in order, without its `hmac` when that is what the HMAC is over. */
export function rowJson(row: StoredRow, withHmac = true): string {
  const fields: [string, Json][] = [
    ['approval_chain', row.approvalChain],
    ['check_name', row.checkName],
    ['decision', row.decision],
    ['entry_id', row.entryId],
    ...(withHmac ? ([['hmac', row.hmac]] as [string, Json][]) : []),
    ['metadata', row.metadata],
    ['owner_id', row.ownerId],
    ['owner_type', row.ownerType],
    ['prev_hmac', row.prevHmac],
    ['reason', row.reason],
    ['request_fingerprint', row.fingerprint],
    ['ts_ns', row.tsNs],
  ]
  return canonical(new Map(fields))
}

/** The value as `JSON.stringify` takes it; an integer that a JavaScript number does not hold is its digits as text. */
export function plainJson(value: Json): unknown {
  if (value instanceof Float) return value.value
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, of]) => [key, plainJson(of)]))
  if (Array.isArray(value)) return value.map(plainJson)
  return value
}

/** Compact JSON with line breaks and indentation; not a character of its values changes. */
export function indented(json: string): string {
  let text = ''
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at] ?? ''
    if (character === '"') {
      const from = at
      for (at++; json[at] !== '"' && at < json.length; at++) if (json[at] === '\\') at++
      text += json.slice(from, at + 1)
    } else if (character === '{' || character === '[') {
      const close = character === '{' ? '}' : ']'
      if (json[at + 1] === close) {
        text += character + close
        at++
      } else text += `${character}\n${'  '.repeat(++depth)}`
    } else if (character === '}' || character === ']') text += `\n${'  '.repeat(--depth)}${character}`
    else if (character === ',') text += `,\n${'  '.repeat(depth)}`
    else if (character === ':') text += ': '
    else text += character
  }
  return text
}

export type RowProof = 'holds' | 'does not hold' | 'unknown key'

/** Does the row's own HMAC hold? Says nothing about its place in the chain. */
export function rowProof(row: StoredRow, ring: KeyRing): RowProof {
  const id = row.metadata.get('_signing_key_id')
  const key = typeof id === 'string' ? ring.get(id) : undefined
  if (key === undefined) return 'unknown key'
  return key.verify(Buffer.from(rowJson(row, false)), row.hmac) ? 'holds' : 'does not hold'
}

/** ISO 8601, UTC, to the millisecond. */
export function timeOf(tsNs: bigint): string {
  return new Date(Number(tsNs / 1_000_000n)).toISOString()
}
