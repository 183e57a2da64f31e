/** What happened in a period, and in the period of the same length before it. */
import { createHash } from 'node:crypto'
import { factsOf } from '../audit/facts.ts'
import type { StoredRow } from '../audit/stored.ts'

const UNITS_S: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 }
const LONGEST_S = 36_500 * 86_400

/** `30m`, `24h`, `7d`, `2w`, `P1W`, `P1DT12H`: seconds, at most a hundred years. `undefined`: no duration. */
export function durationSeconds(text: string): number | undefined {
  const short = /^([0-9]{1,15})([mhdw])$/.exec(text)
  if (short !== null) return bounded(Number(short[1]) * (UNITS_S[short[2] ?? ''] ?? 0))
  const weeks = /^P([0-9]{1,15})W$/.exec(text)
  if (weeks !== null) return bounded(Number(weeks[1]) * 604_800)
  const iso = /^P(?!$)(?:([0-9]{1,15})D)?(?:T(?!$)(?:([0-9]{1,15})H)?(?:([0-9]{1,15})M)?(?:([0-9]{1,15})S)?)?$/.exec(
    text,
  )
  if (iso === null) return undefined
  const [, days = '0', hours = '0', minutes = '0', seconds = '0'] = iso
  return bounded(Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds))
}

function bounded(seconds: number): number | undefined {
  return seconds > 0 ? Math.min(seconds, LONGEST_S) : undefined
}

export interface Tally {
  rows: number
  readonly decisions: Map<string, number>
  /** Checks that did not allow. */
  readonly firing: Map<string, number>
  readonly blockedOwners: Map<string, number>
}

export interface Period {
  readonly fromNs: bigint
  readonly toNs: bigint
  readonly now: Tally
  readonly before: Tally
}

export function openPeriod(nowMs: number, seconds: number): Period {
  const toNs = BigInt(nowMs) * 1_000_000n
  return { toNs, fromNs: toNs - BigInt(Math.round(seconds)) * 1_000_000_000n, now: tally(), before: tally() }
}

function tally(): Tally {
  return { rows: 0, decisions: new Map(), firing: new Map(), blockedOwners: new Map() }
}

export function addRow(period: Period, row: StoredRow): void {
  const length = period.toNs - period.fromNs
  const into =
    row.tsNs > period.toNs
      ? undefined
      : row.tsNs >= period.fromNs
        ? period.now
        : row.tsNs >= period.fromNs - length
          ? period.before
          : undefined
  if (into !== undefined) addFacts(into, factsOf(row), 1)
}

/** `n` rows of one kind. */
export function addFacts(
  into: Tally,
  facts: { readonly decision: string; readonly check: string; readonly owner: string },
  n: number,
): void {
  into.rows += n
  add(into.decisions, facts.decision, n)
  if (facts.decision !== 'allow') add(into.firing, facts.check, n)
  if (facts.decision === 'block') add(into.blockedOwners, facts.owner, n)
}

function add(counts: Map<string, number>, name: string, n: number): void {
  counts.set(name, (counts.get(name) ?? 0) + n)
}

/** The ten most frequent, ties by name. */
export function top(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, 10)
}

/** A stable name that says nothing about the owner to whoever does not know the salt. */
export function ownerSlug(salt: string, owner: string): string {
  return `owner_${createHash('sha256').update(`${salt}:${owner}`).digest('hex').slice(0, 16)}`
}

/** Per cent against the period before; `undefined` when there was nothing to compare with. */
export function change(now: number, before: number): number | undefined {
  return before === 0 ? undefined : Math.round(((now - before) / before) * 1000) / 10
}
