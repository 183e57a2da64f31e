/**
 * How long each check takes, by stage: a histogram of fixed buckets, the sum and the longest.
 *
 * Guarantees: a call costs a few additions in an array that was made at start, and memory is constant; what several
 * processes measured can be added up. Does not: know a percentile exactly; it is read off the bucket that it falls into.
 */
import { type CheckTimes, HOOK_STAGES, type HookStage } from '../core/timing.ts'
import type { Metric, Sample } from './exposition.ts'

/** Upper bounds in milliseconds: most checks take microseconds, some ask others and wait. */
export const BOUNDS_MS: readonly number[] = [
  0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]
const COUNT = 0
const SUM = 1
const MOST = 2
const FIRST = 3
/** One for what is longer than every bound. */
const LENGTH = FIRST + BOUNDS_MS.length + 1

export interface CheckDuration {
  readonly n: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly maxMs: number
}

/** What one process has measured since it last said so. */
export interface MeasuredSeries {
  readonly check: string
  readonly stage: HookStage
  /** Count, sum, longest, buckets. */
  readonly values: readonly number[]
}

interface Series {
  readonly check: string
  readonly stage: HookStage
  readonly values: Float64Array
}

export class CheckDurations implements CheckTimes {
  readonly nowMs: () => number
  readonly #series = new Map<string, Series>()
  readonly #onFirst: () => void
  #fresh = true

  /** `onFirst`: something was measured, for the first time since the start or since it was last taken. */
  constructor(nowMs: () => number, onFirst: () => void = () => undefined) {
    this.nowMs = nowMs
    this.#onFirst = onFirst
  }

  at(check: string, stage: HookStage): (ms: number) => void {
    const { values } = this.#of(check, stage)
    return ms => {
      values[COUNT] = (values[COUNT] ?? 0) + 1
      values[SUM] = (values[SUM] ?? 0) + ms
      if (ms > (values[MOST] ?? 0)) values[MOST] = ms
      let i = 0
      while (i < BOUNDS_MS.length && ms > (BOUNDS_MS[i] ?? 0)) i += 1
      values[FIRST + i] = (values[FIRST + i] ?? 0) + 1
      if (this.#fresh) {
        this.#fresh = false
        this.#onFirst()
      }
    }
  }

  /** `undefined`: this check has not been asked at this stage. */
  of(check: string, stage: HookStage): CheckDuration | undefined {
    const values = this.#series.get(keyOf(check, stage))?.values
    const n = values?.[COUNT] ?? 0
    if (values === undefined || n === 0) return undefined
    const maxMs = values[MOST] ?? 0
    return { n, p50Ms: quantile(values, 0.5), p95Ms: quantile(values, 0.95), maxMs }
  }

  /** What was measured since it was last taken; it is forgotten here. */
  take(): readonly MeasuredSeries[] {
    this.#fresh = true
    const taken: MeasuredSeries[] = []
    for (const { check, stage, values } of this.#series.values()) {
      if (values[COUNT] === 0) continue
      taken.push({ check, stage, values: [...values] })
      values.fill(0)
    }
    return taken
  }

  /** Adds what another process measured, of checks that are known here. */
  merge(measured: readonly MeasuredSeries[]): void {
    for (const { check, stage, values } of measured) {
      const own = this.#series.get(keyOf(check, stage))?.values
      if (own === undefined) continue
      for (let i = 0; i < LENGTH; i += 1) {
        const [a, b] = [own[i] ?? 0, values[i] ?? 0]
        own[i] = i === MOST ? Math.max(a, b) : a + b
      }
    }
  }

  metrics(): readonly Metric[] {
    return [
      {
        name: 'signet_check_duration_seconds',
        help: 'How long a check took to answer, waiting included; at inspection, for one piece of one channel.',
        type: 'histogram',
        read: () => [...this.#series.values()].filter(({ values }) => values[COUNT] !== 0).flatMap(samples),
      },
    ]
  }

  #of(check: string, stage: HookStage): Series {
    const key = keyOf(check, stage)
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const made: Series = { check, stage, values: new Float64Array(LENGTH) }
    this.#series.set(key, made)
    return made
  }
}

/** What came from another process, parsed; `undefined`: not that. */
export function readMeasured(value: unknown): readonly MeasuredSeries[] | undefined {
  if (!Array.isArray(value)) return undefined
  const read: MeasuredSeries[] = []
  for (const entry of value) {
    const { check, stage, values }: Readonly<Record<string, unknown>> =
      typeof entry === 'object' && entry !== null ? { ...entry } : {}
    const known = HOOK_STAGES.find(s => s === stage)
    if (typeof check !== 'string' || known === undefined || !isValues(values)) return undefined
    read.push({ check, stage: known, values })
  }
  return read
}

function isValues(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length === LENGTH && value.every(v => Number.isFinite(v) && v >= 0)
}

/** Within the bucket that it falls into, as if what is in it were spread evenly; never beyond the longest. */
function quantile(values: Float64Array, q: number): number {
  const most = values[MOST] ?? 0
  const wanted = q * (values[COUNT] ?? 0)
  let below = 0
  for (let i = 0; i < BOUNDS_MS.length; i += 1) {
    const here = values[FIRST + i] ?? 0
    if (here > 0 && below + here >= wanted) {
      const from = i === 0 ? 0 : (BOUNDS_MS[i - 1] ?? 0)
      const to = BOUNDS_MS[i] ?? 0
      return Math.min(most, from + ((to - from) * (wanted - below)) / here)
    }
    below += here
  }
  return most
}

function samples({ check, stage, values }: Series): readonly Sample[] {
  let below = 0
  const buckets = [...BOUNDS_MS, Number.POSITIVE_INFINITY].map((bound, i): Sample => {
    below += values[FIRST + i] ?? 0
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound / 1000)
    return { suffix: '_bucket', labels: { check, stage, le }, value: below }
  })
  return [
    ...buckets,
    { suffix: '_sum', labels: { check, stage }, value: (values[SUM] ?? 0) / 1000 },
    { suffix: '_count', labels: { check, stage }, value: values[COUNT] ?? 0 },
  ]
}

function keyOf(check: string, stage: HookStage): string {
  return `${stage} ${check}`
}
