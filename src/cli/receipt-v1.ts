/**
 * `signet=v1` receipts on the command line. Such a receipt signs an audit row and nothing else, so checking one takes the
 * row; what the row says about the request, the answer and the exchange is then proven too.
 */

import { hash } from 'node:crypto'
import { canonical, type Json } from '../audit/canonical.ts'
import { metaText } from '../audit/facts.ts'
import { AuditError } from '../audit/files.ts'
import { JsonFault, parseJson } from '../audit/json.ts'
import { findRow } from '../audit/read.ts'
import { readStored, type StoredRow } from '../audit/stored.ts'
import {
  findKey,
  type KeySource,
  parseSignetV1,
  ReceiptInvalid,
  type SignetV1,
  type SignetV1Key,
  verifySignetV1,
} from '../receipt/index.ts'
import { CommandError } from './failure.ts'
import { rowJson } from './row-text.ts'

/** The algorithm is fixed by which of the two is given; a header cannot choose it. */
export type KeyForV1 =
  | { readonly alg: 'ed25519'; readonly keys: KeySource }
  | { readonly alg: 'hmac-sha256'; readonly kid: string; readonly secret: Uint8Array }

export interface DemandsV1 {
  readonly key: KeyForV1
  readonly requestBytes?: Uint8Array
  /** Every body byte before the receipt. */
  readonly responseBytes?: Uint8Array
  readonly exchange?: string
  readonly requireFinal?: boolean
  readonly allowShadow?: boolean
}

export interface VerifiedV1 {
  readonly row: StoredRow
  readonly kid: string
  readonly alg: SignetV1Key['alg']
  readonly shadow: boolean
  readonly final: boolean
  readonly covers: { readonly request: boolean; readonly response: boolean }
}

/** Is this the older form? Whatever else is wrong with it. */
export function isV1(receipt: string): boolean {
  return /^\s*signet\s*=/.test(receipt)
}

/** `readRow` gets the receipt's entry id. Resolves with what is proven; rejects with `ReceiptInvalid`. */
export async function verifyV1(
  header: string,
  readRow: (entryId: string) => Promise<StoredRow | undefined>,
  demands: DemandsV1,
): Promise<VerifiedV1> {
  const receipt = parseSignetV1(header)
  if (receipt === undefined)
    throw new ReceiptInvalid('receipt_malformed', 'expected `signet=v1; alg=...; entry=...; key=...; sig=...`')
  // Before any key is looked up: a receipt must not choose what it is checked with.
  if (receipt.alg !== demands.key.alg)
    throw new ReceiptInvalid(
      'receipt_alg_not_allowed',
      `expected the algorithm ${demands.key.alg}, which the given key is for; ${ED25519_OR_HMAC}`,
    )
  const row = await readRow(receipt.entry)
  if (row === undefined) throw new ReceiptInvalid('row_missing', 'the row that this receipt signs is not in that file')
  const result = await verifySignetV1(header, Buffer.from(rowJson(row, false)), await keyFor(demands.key, receipt))
  if (!result.ok) throw invalid(result.code)
  return settle(row, receipt, demands)
}

const ED25519_OR_HMAC = '--jwks is for ed25519, --hmac-secret-file for hmac-sha256'

async function keyFor(key: KeyForV1, receipt: SignetV1): Promise<SignetV1Key> {
  if (key.alg === 'hmac-sha256') return key
  const { x } = await findKey(key.keys, receipt.key)
  return { alg: 'ed25519', kid: receipt.key, jwk: { x } }
}

function settle(row: StoredRow, receipt: SignetV1, demands: DemandsV1): VerifiedV1 {
  const shadow = row.metadata.get('shadow') === true
  if (shadow && demands.allowShadow !== true)
    throw new ReceiptInvalid(
      'shadow_refused',
      'the decision was recorded and not enforced (shadow); --allow-shadow accepts it',
    )
  if (demands.exchange !== undefined && metaText(row, '_exchange_id') !== demands.exchange)
    throw new ReceiptInvalid('exchange_wrong', 'the row is about another exchange than the expected one')
  const response = metaText(row, '_response_sha256')
  if (response === undefined && (demands.requireFinal === true || demands.responseBytes !== undefined))
    throw new ReceiptInvalid('not_final', 'expected a row that covers the response; this one does not')
  if (demands.requestBytes !== undefined && `sha256:${hash('sha256', demands.requestBytes, 'hex')}` !== row.fingerprint)
    throw new ReceiptInvalid('request_mismatch', 'these are not the request bytes that the row covers')
  if (demands.responseBytes !== undefined && hash('sha256', demands.responseBytes, 'hex') !== response)
    throw new ReceiptInvalid('response_mismatch', 'these are not the response bytes that the row covers')
  return {
    row,
    kid: receipt.key,
    alg: demands.key.alg,
    shadow,
    final: response !== undefined,
    covers: { request: demands.requestBytes !== undefined, response: demands.responseBytes !== undefined },
  }
}

function invalid(code: 'malformed' | 'alg_wrong' | 'key_wrong' | 'entry_wrong' | 'signature_invalid'): ReceiptInvalid {
  switch (code) {
    case 'malformed':
      return new ReceiptInvalid('receipt_malformed', 'expected a signet=v1 receipt')
    case 'alg_wrong':
      return new ReceiptInvalid('receipt_alg_not_allowed', 'the receipt names another algorithm than the key is for')
    case 'key_wrong':
      return new ReceiptInvalid('key_unknown', 'the receipt names another key id than the given key has')
    case 'entry_wrong':
      return new ReceiptInvalid('row_missing', 'the given row is not the one that this receipt signs')
    case 'signature_invalid':
      return new ReceiptInvalid(
        'receipt_signature_invalid',
        'the signature is not that of this key over this row: the receipt or the row was changed',
      )
  }
}

/** The row called `entryId` in a file that is one row, in any layout, with its `hmac` or without, or a whole log. */
export async function rowFrom(shown: string, path: string, small: Uint8Array | undefined, entryId: string) {
  const alone = small === undefined ? undefined : oneRow(small)
  if (alone !== undefined) return alone
  try {
    return await findRow(path, entryId)
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(`${shown}: ${error.message}`)
    throw error
  }
}

function oneRow(bytes: Uint8Array): StoredRow | undefined {
  let json: Json
  try {
    json = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim())
  } catch (error) {
    // Not UTF-8, not JSON, or more than one row: read as a log.
    if (error instanceof TypeError || error instanceof JsonFault) return undefined
    throw error
  }
  if (!(json instanceof Map)) return undefined
  // The signed form has no `hmac`; the reader of rows wants one.
  const whole = new Map<string, Json>(json)
  if (!whole.has('hmac')) whole.set('hmac', '')
  const read = readStored(Buffer.from(canonical(whole)))
  return read.ok ? read.row : undefined
}
