/** Latencies and what may be demanded of them: `p95=10ms,p99=20ms`. */

/** Linear interpolation between the closest ranks. `sorted` ascending. */
export function percentile(sorted: readonly number[], percent: number): number {
  if (sorted.length === 0) return Number.NaN
  const rank = ((sorted.length - 1) * percent) / 100
  const low = sorted[Math.floor(rank)] ?? 0
  const high = sorted[Math.ceil(rank)] ?? low
  return low + (high - low) * (rank - Math.floor(rank))
}

export interface Demand {
  readonly text: string
  readonly percent: number
  readonly limitMs: number
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, ms: 1, us: 0.001, '\u00b5s': 0.001, '\u03bcs': 0.001 }

/** Throws a TypeError that says what was expected. */
export function readDemands(text: string): readonly Demand[] {
  return text.split(',').map(part => {
    const trimmed = part.trim()
    const match = /^p([0-9]{1,2})=([0-9]+(?:\.[0-9]+)?)(ms|us|\u00b5s|\u03bcs|s)$/.exec(trimmed)
    const percent = Number(match?.[1])
    if (match === null || percent < 1)
      throw new TypeError('expected demands such as p95=10ms,p99=20ms, with p1 to p99 and ms, s or us')
    return { text: trimmed, percent, limitMs: Number(match[2]) * (UNITS[match[3] ?? 'ms'] ?? 1) }
  })
}
