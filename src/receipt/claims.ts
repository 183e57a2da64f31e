/** What a receipt says. Names follow RFC 7519 where it has one. */
import type { Stage, Verdict } from '../core/verdict.ts'
import { isObject, toUtf8 } from '../jws/bytes.ts'
import { ReceiptInvalid } from './errors.ts'

/** `typ` of the protected header (RFC 8725 section 3.11): a capability or any other token of the same key is refused by it. */
export const RECEIPT_TYP = 'signet-receipt+jwt'
/** The comment line that carries a stream's final receipt: `: signet-receipt <compact JWS>`. */
export const STREAM_RECEIPT_COMMENT = 'signet-receipt'

/** The pipeline's stages, the gate's own two, and `complete` for the row that authorises the release of a whole answer. */
export type ReceiptStage = Stage | 'preflight' | 'upstream' | 'complete'

/** The leaf of the public log that commits to the row. `ts_ns` is decimal text: nanoseconds exceed 2^53 (RFC 7493 section 2.2). */
export interface PublicLeaf {
  readonly v: 1
  readonly entry_id: string
  readonly exchange: string
  readonly ts_ns: string
  readonly decision: Verdict['kind']
  /** SHA-256(salt || canonical row), lower-case hex. */
  readonly commit: string
}

export interface ReceiptClaims {
  readonly iss: string
  /** Seconds since the epoch. */
  readonly iat: number
  /** The audit row's entry id. */
  readonly jti: string
  readonly exchange: string
  readonly stage: ReceiptStage
  readonly decision: Verdict['kind']
  /** True when the answer is over: `res` then covers every body byte sent before the receipt. */
  readonly final: boolean
  /** `sha256:<hex>` of the request bytes. */
  readonly req: string
  /** `sha256:<hex>` of the response bytes; present exactly when `final`. */
  readonly res?: string
  readonly leaf: PublicLeaf
  /** The decision was recorded and not enforced. */
  readonly shadow?: true
  /** `type:id`; only when the gate is not strict. */
  readonly owner?: string
  /** The deciding check; only when the gate is not strict. */
  readonly check?: string
}

const STAGES: ReadonlySet<unknown> = new Set<ReceiptStage>([
  'admission',
  'inspection',
  'commitment',
  'record',
  'preflight',
  'upstream',
  'complete',
])
const DECISIONS: ReadonlySet<unknown> = new Set<Verdict['kind']>(['allow', 'block', 'redact', 'escalate'])
const DIGEST = /^sha256:[0-9a-f]{64}$/
const COMMIT = /^[0-9a-f]{64}$/
const NANOSECONDS = /^(?:0|[1-9][0-9]{0,19})$/

/**
 * Read the claims of a token whose signature has been checked. Claims not known here are dropped (RFC 7519 section 4).
 * The row's facts appear twice (claims and leaf) and must agree.
 */
export function readClaims(value: unknown): ReceiptClaims {
  if (!isObject(value)) throw malformed('a JSON object')
  const leaf = readLeaf(value['leaf'])
  const final = value['final']
  if (typeof final !== 'boolean') throw malformed('`final` to be true or false')
  const res = value['res']
  if ((res !== undefined) !== final) throw malformed('`res` exactly when `final` is true')
  const shadow = value['shadow']
  if (shadow !== undefined && shadow !== true) throw malformed('`shadow` to be true or absent')
  const owner = optionalText(value, 'owner')
  const check = optionalText(value, 'check')
  const iat = value['iat']
  if (typeof iat !== 'number' || !Number.isSafeInteger(iat) || iat < 0) throw malformed('`iat` in whole seconds')
  const claims: ReceiptClaims = {
    iss: text(value, 'iss'),
    iat,
    jti: text(value, 'jti'),
    exchange: text(value, 'exchange'),
    stage: oneOf(value, 'stage', isStage),
    decision: oneOf(value, 'decision', isDecision),
    final,
    req: digest(value, 'req'),
    ...(final ? { res: digest(value, 'res') } : {}),
    leaf,
    ...(shadow === undefined ? {} : { shadow }),
    ...(owner === undefined ? {} : { owner }),
    ...(check === undefined ? {} : { check }),
  }
  if (leaf.entry_id !== claims.jti || leaf.exchange !== claims.exchange || leaf.decision !== claims.decision)
    throw new ReceiptInvalid(
      'claims_inconsistent',
      'expected the leaf to repeat jti, exchange and decision of the receipt',
    )
  return claims
}

/** RFC 8785 form of the leaf: members sorted, no spaces. Its bytes are the entry of the transparency log. */
export function leafText(leaf: PublicLeaf): string {
  return (
    `{"commit":${JSON.stringify(leaf.commit)},"decision":${JSON.stringify(leaf.decision)},` +
    `"entry_id":${JSON.stringify(leaf.entry_id)},"exchange":${JSON.stringify(leaf.exchange)},` +
    `"ts_ns":${JSON.stringify(leaf.ts_ns)},"v":${leaf.v}}`
  )
}

export function leafBytes(leaf: PublicLeaf): Uint8Array {
  return toUtf8(leafText(leaf))
}

function readLeaf(value: unknown): PublicLeaf {
  if (!isObject(value)) throw malformed('`leaf` to be an object')
  if (value['v'] !== 1) throw malformed('`leaf.v` to be 1')
  const tsNs = text(value, 'ts_ns')
  if (!NANOSECONDS.test(tsNs)) throw malformed('`leaf.ts_ns` in decimal digits')
  const commit = text(value, 'commit')
  if (!COMMIT.test(commit)) throw malformed('`leaf.commit` as 64 lower-case hex digits')
  return {
    v: 1,
    entry_id: text(value, 'entry_id'),
    exchange: text(value, 'exchange'),
    ts_ns: tsNs,
    decision: oneOf(value, 'decision', isDecision),
    commit,
  }
}

function text(from: Readonly<Record<string, unknown>>, name: string): string {
  const value = from[name]
  if (typeof value !== 'string' || value === '') throw malformed(`\`${name}\` to be a non-empty string`)
  return value
}

function optionalText(from: Readonly<Record<string, unknown>>, name: string): string | undefined {
  return from[name] === undefined ? undefined : text(from, name)
}

function digest(from: Readonly<Record<string, unknown>>, name: string): string {
  const value = text(from, name)
  if (!DIGEST.test(value)) throw malformed(`\`${name}\` as sha256:<64 lower-case hex digits>`)
  return value
}

function oneOf<T>(from: Readonly<Record<string, unknown>>, name: string, is: (value: unknown) => value is T): T {
  const value = from[name]
  if (!is(value)) throw malformed(`a known \`${name}\``)
  return value
}

function isStage(value: unknown): value is ReceiptStage {
  return STAGES.has(value)
}

function isDecision(value: unknown): value is Verdict['kind'] {
  return DECISIONS.has(value)
}

function malformed(expected: string): ReceiptInvalid {
  return new ReceiptInvalid('claims_malformed', `the receipt's claims are not those of a receipt: expected ${expected}`)
}
