/**
 * What a worker and the primary say to each other, as lists that begin with a word. Parsed once on arrival; what does not
 * fit is `undefined`, and the connection it came over is then ended.
 */
import type { Row } from '../core/row.ts'
import { type MeasuredSeries, readMeasured } from '../telemetry/check-durations.ts'
import { COUNTED, type CountedOutcome } from '../telemetry/counters.ts'

/** Calls of the ports that the primary answers. */
export const CALLS = [
  'rate-limit.take',
  'budget.reserve',
  'budget.settle',
  'session.touch',
  'reference.remember',
  'reference.find',
  'escalation.create',
  'escalation.get',
  'escalation.answer',
  'escalation.replace',
  'issued.put',
  'issued.of',
  'issued.knows',
  'redemption.redeem',
  'redemption.find',
  'redemption.settle',
  'log.reached',
  'log.status',
  'reachable',
  'sign',
] as const
export type Call = (typeof CALLS)[number]
export type CallArguments = readonly (string | number)[]

export type ToPrimary =
  /** Rows are numbered from 0 by each worker. */
  | { readonly kind: 'row'; readonly n: number; readonly row: Row }
  /** Make this row durable, and so every one before it. */
  | { readonly kind: 'durable'; readonly n: number }
  | { readonly kind: 'call'; readonly id: number; readonly call: Call; readonly given: CallArguments }
  /** An exchange has ended; what is under way in this worker now. */
  | { readonly kind: 'ended'; readonly outcome: CountedOutcome; readonly active: number; readonly heldBytes: number }
  /** How long its checks took since it last said so. */
  | { readonly kind: 'times'; readonly measured: readonly MeasuredSeries[] }
  /** It listens. */
  | { readonly kind: 'listening'; readonly facts: Readonly<Record<string, unknown>> }
  /** It cannot start. One line. */
  | { readonly kind: 'failed'; readonly reason: string }

export interface PlacedFacts {
  readonly index: bigint
  readonly tsNs: bigint
  readonly hmac: string
  readonly commit: string
  readonly canonical: string
  /** Its bytes are UTF-8. */
  readonly leaf: string
}

/** What workers ask for signatures of. */
export const SIGNED = ['receipts', 'capabilities'] as const
export type SignedPurpose = (typeof SIGNED)[number]

/** A public key; times in seconds since 1970. */
export interface RemoteKey {
  readonly x: string
  readonly nbf?: number
  readonly exp?: number
}

export interface Health {
  readonly ok: boolean
  readonly reason: string
  readonly size: bigint
  readonly hmac: string | undefined
}

export type ToWorker =
  | { readonly kind: 'placed'; readonly n: number; readonly facts: PlacedFacts }
  /** This worker's rows up to and with `n` are durable. */
  | { readonly kind: 'durable'; readonly n: number; readonly size: bigint; readonly hmac: string }
  | { readonly kind: 'lost'; readonly n: number; readonly reason: string }
  | { readonly kind: 'health'; readonly health: Health }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly reason: string }
  /** Public keys and who signs when, after a rotation too. */
  | {
      readonly kind: 'keys'
      readonly purpose: SignedPurpose
      readonly available: boolean
      readonly published: readonly RemoteKey[]
    }
  /** Another process has changed an escalation. */
  | { readonly kind: 'noticed'; readonly id: string }
  /** Everything a worker is told before it listens. */
  | { readonly kind: 'begin'; readonly facts: Readonly<Record<string, unknown>> }
  /** Let running exchanges end, and leave. */
  | { readonly kind: 'leave' }

export function readToPrimary(message: unknown): ToPrimary | undefined {
  if (!Array.isArray(message)) return undefined
  const [kind, a, b, c]: readonly unknown[] = message
  switch (kind) {
    case 'row':
      return isCount(a) && isRow(b) ? { kind, n: a, row: b } : undefined
    case 'durable':
      return isCount(a) ? { kind, n: a } : undefined
    case 'call': {
      const call = CALLS.find(known => known === b)
      const given = Array.isArray(c) && c.every(isScalar) ? c : undefined
      return isCount(a) && call !== undefined && given !== undefined ? { kind, id: a, call, given } : undefined
    }
    case 'ended': {
      const outcome = COUNTED.find(known => known === a)
      return outcome !== undefined && isCount(b) && isCount(c) ? { kind, outcome, active: b, heldBytes: c } : undefined
    }
    case 'times': {
      const measured = readMeasured(a)
      return measured === undefined ? undefined : { kind, measured }
    }
    case 'listening':
      return isFacts(a) ? { kind, facts: a } : undefined
    case 'failed':
      return typeof a === 'string' ? { kind, reason: a } : undefined
    default:
      return undefined
  }
}

export function readToWorker(message: unknown): ToWorker | undefined {
  if (!Array.isArray(message)) return undefined
  const [kind, a, b, c, d]: readonly unknown[] = message
  switch (kind) {
    case 'placed':
      return isCount(a) && Array.isArray(b) ? placed(a, b) : undefined
    case 'durable':
      return isCount(a) && isWhole(b) && typeof c === 'string' ? { kind, n: a, size: BigInt(b), hmac: c } : undefined
    case 'lost':
      return isCount(a) && typeof b === 'string' ? { kind, n: a, reason: b } : undefined
    case 'health':
      if (typeof a !== 'boolean' || typeof b !== 'string' || !isWhole(c)) return undefined
      return { kind, health: { ok: a, reason: b, size: BigInt(c), hmac: typeof d === 'string' ? d : undefined } }
    case 'answer':
      return isCount(a) ? { kind, id: a, value: b } : undefined
    case 'refusal':
      return isCount(a) && typeof b === 'string' ? { kind, id: a, reason: b } : undefined
    case 'keys': {
      const purpose = SIGNED.find(known => known === a)
      if (purpose === undefined || typeof b !== 'boolean' || !Array.isArray(c) || !c.every(isKey)) return undefined
      return { kind, purpose, available: b, published: c }
    }
    case 'noticed':
      return typeof a === 'string' ? { kind, id: a } : undefined
    case 'begin':
      return isFacts(a) ? { kind, facts: a } : undefined
    case 'leave':
      return { kind }
    default:
      return undefined
  }
}

function placed(n: number, given: readonly unknown[]): ToWorker | undefined {
  const [index, tsNs, hmac, commit, canonical, leaf] = given
  if (!isWhole(index) || !isWhole(tsNs) || typeof hmac !== 'string' || typeof commit !== 'string') return undefined
  if (typeof canonical !== 'string' || typeof leaf !== 'string') return undefined
  return { kind: 'placed', n, facts: { index: BigInt(index), tsNs: BigInt(tsNs), hmac, commit, canonical, leaf } }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** A bigint on its way. */
function isWhole(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,20}$/.test(value)
}

function isScalar(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

function isFacts(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isKey(value: unknown): value is RemoteKey {
  if (!isFacts(value)) return false
  const { x, nbf, exp } = value
  return typeof x === 'string' && [nbf, exp].every(t => t === undefined || typeof t === 'number')
}

const OWNER_TYPES: ReadonlySet<unknown> = new Set(['human', 'agent', 'policy', 'unresolved'])
const DECISIONS: ReadonlySet<unknown> = new Set(['allow', 'block', 'redact', 'escalate'])

/** What the canonical form does not look after itself: encoding mends every value of metadata, but not these. */
function isRow(value: unknown): value is Row {
  if (!isFacts(value)) return false
  const { entryId, owner, checkName, decision, reason, fingerprint, metadata } = value
  if (!isFacts(owner) || !isFacts(metadata) || !Array.isArray(owner['approvalChain'])) return false
  return (
    [entryId, checkName, reason, fingerprint, owner['id'], owner['authenticatedBy']].every(
      t => typeof t === 'string',
    ) &&
    OWNER_TYPES.has(owner['type']) &&
    DECISIONS.has(decision)
  )
}
