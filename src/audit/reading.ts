/**
 * What the control plane asks about rows, answered from the index and the log. Guarantees: one question reads at most
 * `MOST_READ` rows, whatever it asks for, and says how far it has looked; rows are given as they are stored, byte for
 * byte. Runs in a thread of its own (`reading-thread.ts`). Does not: open sealed owners, or verify anything.
 */
import { type Filter, factsOf, matches, metaText } from './facts.ts'
import { SLOT_MS } from './index-db.ts'
import type { LogIndex } from './index-query.ts'
import type { StoredRow } from './stored.ts'

/** A page of them is read in well under a second. */
export const MOST_READ = 40_000

export interface RowsAsked {
  readonly filter: Filter
  /** Text that a row has somewhere, as it is stored; letter case does not count. */
  readonly text?: string | undefined
  /** Only rows before this index, newest first. */
  readonly before?: number | undefined
  /** Only rows after this index. */
  readonly after?: number | undefined
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly limit: number
}

export interface RowsFound {
  /** Newest first. */
  readonly rows: readonly { readonly index: number; readonly line: string }[]
  /** Lines in the log. */
  readonly size: number
  /** Where to go on; `null`: there are no older ones. */
  readonly next: number | null
}

export function findRows(log: LogIndex, q: RowsAsked): RowsFound {
  const { filter, limit, sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER, after = -1 } = q
  const text = q.text?.toLowerCase()
  const rows: { index: number; line: string }[] = []
  let read = 0
  let last = q.before ?? Number.MAX_SAFE_INTEGER
  for (const { index, line, row } of log.newestFirst(filter, last, sinceMs, untilMs)) {
    if (index <= after) break
    if (rows.length >= limit || ++read > MOST_READ) return { rows, size: log.size, next: last }
    last = index
    const facts = factsOf(row)
    if (facts.tsMs < sinceMs || facts.tsMs > untilMs || !matches(facts, filter)) continue
    if (text === undefined || line.toLowerCase().includes(text)) rows.push({ index, line })
  }
  return { rows, size: log.size, next: null }
}

export interface OverviewAsked {
  readonly fromMs: number
  readonly toMs: number
  readonly nowMs: number
  /** Of this many milliseconds each; a multiple of a slot, or less than one. */
  readonly bucketMs: number
}

export interface Overview {
  readonly fromMs: number
  readonly bucketMs: number
  /** Per bucket. */
  readonly decisions: readonly DecisionCounts[]
  /** Per bucket: exchanges that asked, and answers that came to their end. */
  readonly requests: readonly number[]
  readonly completed: readonly number[]
  /** What did not simply pass, the most first. */
  readonly checks: readonly ({ readonly check: string } & DecisionCounts)[]
  readonly sample: Sample
}

/** Read from the newest rows of the period, at most `MOST_READ`: beyond them it is a sample, and says since when. */
export interface Sample {
  readonly sinceMs: number
  readonly whole: boolean
  /** From admission to the end of the answer, in milliseconds; without exchanges that waited for a human. */
  readonly latency: readonly { readonly n: number; readonly p50: number | null; readonly p95: number | null }[]
  readonly tokens: readonly { readonly input: number; readonly output: number }[]
  /** The most first, at most ten. */
  readonly owners: readonly OwnerUse[]
}

export interface OwnerUse {
  readonly owner: string
  /** In and out. */
  readonly tokens: number
  readonly exchanges: number
  /** Tokens out since the hour and the day (UTC) began: what a budget counts. */
  readonly outThisHour: number
  readonly outToday: number
}

export interface DecisionCounts {
  allow: number
  redact: number
  escalate: number
  block: number
}

/** Rows about the log and the console, and about answers that ended: no decision about what somebody asked for. */
const NO_DECISION: ReadonlySet<string> = new Set([
  'pipeline.complete',
  'pipeline.audit',
  'pipeline.record',
  'pipeline.control',
])
const MOST_BUCKETS = 400
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export function overview(log: LogIndex, asked: OverviewAsked): Overview {
  const { fromMs, toMs, bucketMs } = asked
  const n = Math.min(MOST_BUCKETS, Math.max(1, Math.ceil((toMs - fromMs) / bucketMs)))
  const at = (ms: number): number => Math.min(n - 1, Math.max(0, Math.floor((ms - fromMs) / bucketMs)))
  const decisions = Array.from({ length: n }, none)
  const requests = new Array<number>(n).fill(0)
  const completed = new Array<number>(n).fill(0)
  const checks = new Map<string, DecisionCounts>()
  const count = (bucket: number, decision: string, check: string, filed: string, by: number): void => {
    if (filed === 'pipeline.complete' && decision === 'allow') completed[bucket] = (completed[bucket] ?? 0) + by
    if (filed === 'pipeline.preflight' || (filed === 'pipeline.admission' && decision !== 'redact'))
      requests[bucket] = (requests[bucket] ?? 0) + by
    const into = decisions[bucket]
    if (NO_DECISION.has(filed) || into === undefined || !isDecision(decision)) return
    into[decision] += by
    if (decision === 'allow') return
    const known = checks.get(check) ?? none()
    known[decision] += by
    checks.set(check, known)
  }
  if (bucketMs < SLOT_MS) {
    for (let slot = Math.floor(fromMs / SLOT_MS); slot * SLOT_MS < toMs; slot++)
      for (const row of log.slot(slot)) {
        const { tsMs, decision, check, filed } = factsOf(row)
        if (tsMs >= fromMs && tsMs < toMs) count(at(tsMs), decision, check, filed, 1)
      }
  } else {
    const [first, end] = [Math.floor(fromMs / SLOT_MS), Math.ceil(toMs / SLOT_MS)]
    for (const c of log.perSlot(first, end)) count(at(c.slot * SLOT_MS), c.decision, c.check, c.filed, c.n)
  }
  return {
    fromMs,
    bucketMs,
    decisions,
    requests,
    completed,
    checks: [...checks].map(([check, of]) => ({ check, ...of })).sort((a, b) => total(b) - total(a)),
    sample: sampled(log, asked, n, at),
  }
}

function sampled(log: LogIndex, { fromMs, toMs, nowMs }: OverviewAsked, n: number, at: (ms: number) => number): Sample {
  const hour = Math.floor(nowMs / HOUR_MS) * HOUR_MS
  const day = Math.floor(nowMs / DAY_MS) * DAY_MS
  const ended = new Map<string, number>()
  const held = new Set<string>()
  const latency: number[][] = Array.from({ length: n }, () => [])
  const tokens = Array.from({ length: n }, () => ({ input: 0, output: 0 }))
  const owners = new Map<string, { tokens: number; exchanges: number; outThisHour: number; outToday: number }>()
  let read = 0
  let sinceMs = fromMs
  let whole = true
  for (const { row } of log.newestFirst(new Map(), Number.MAX_SAFE_INTEGER, fromMs, toMs)) {
    const f = factsOf(row)
    if (f.tsMs < fromMs || f.tsMs >= toMs) continue
    if (++read > MOST_READ) {
      sinceMs = f.tsMs
      whole = false
      break
    }
    if (f.decision === 'escalate') held.add(f.exchange)
    if (f.filed === 'pipeline.complete') {
      ended.set(f.exchange, f.tsMs)
      const [input, output] = [wholeNumber(row, 'input_tokens'), wholeNumber(row, 'output_tokens')]
      const into = tokens[at(f.tsMs)]
      if (into !== undefined) {
        into.input += input
        into.output += output
      }
      const owner = owners.get(f.owner) ?? { tokens: 0, exchanges: 0, outThisHour: 0, outToday: 0 }
      owner.tokens += input + output
      owner.exchanges++
      if (f.tsMs >= hour) owner.outThisHour += output
      if (f.tsMs >= day) owner.outToday += output
      owners.set(f.owner, owner)
    } else if (f.filed === 'pipeline.admission' && metaText(row, '_check_name') === 'pipeline.admission') {
      const end = ended.get(f.exchange)
      if (end !== undefined && !held.has(f.exchange)) latency[at(end)]?.push(end - f.tsMs)
    }
  }
  return {
    sinceMs,
    whole,
    latency: latency.map(ms => {
      ms.sort((a, b) => a - b)
      return { n: ms.length, p50: rank(ms, 0.5), p95: rank(ms, 0.95) }
    }),
    tokens,
    owners: [...owners]
      .map(([owner, used]) => ({ owner, ...used }))
      .sort((a, b) => b.tokens - a.tokens || b.exchanges - a.exchanges)
      .slice(0, 10),
  }
}

/** Nearest rank. */
function rank(sorted: readonly number[], part: number): number | null {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null
}

function wholeNumber(row: StoredRow, name: string): number {
  const value = row.metadata.get(name)
  return typeof value === 'bigint' || typeof value === 'number' ? Number(value) : 0
}

function none(): DecisionCounts {
  return { allow: 0, redact: 0, escalate: 0, block: 0 }
}

function total(c: DecisionCounts): number {
  return c.redact + c.escalate + c.block
}

function isDecision(text: string): text is keyof DecisionCounts {
  return text === 'allow' || text === 'redact' || text === 'escalate' || text === 'block'
}
