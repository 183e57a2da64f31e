/** What was measured, as the tables that people read. */

/** By target, by measure. */
export type Results = Record<string, Record<string, number>>

export interface SurfaceCost {
  /** Milliseconds at the median, on top of the same call made to upstream directly. */
  readonly addedMs: number
  readonly cpuUs: number
}

export function printTables(results: Results, bySurface: ReadonlyMap<string, SurfaceCost>): void {
  const names = ['direct', 'pass-through', 'floor', 'gate, no log', 'gate']
  const measures = [...new Set(Object.values(results).flatMap(r => Object.keys(r)))]
  const cell = (v: number | undefined) => (v === undefined ? '' : v >= 100 ? v.toFixed(0) : v.toFixed(3))
  const lines = [
    ['measure', ...names, 'gate/floor', 'gate/pass', 'gate/no log'],
    ...measures.map(m => {
      const of = (n: string) => results[n]?.[m]
      const ratio = (n: string) => {
        const a = of('gate')
        const b = of(n)
        return a === undefined || b === undefined ? '' : (a / b).toFixed(2)
      }
      return [m, ...names.map(n => cell(of(n))), ratio('floor'), ratio('pass-through'), ratio('gate, no log')]
    }),
  ]
  table(lines)
  const chat = bySurface.get('chat')
  process.stdout.write('\n')
  table([
    ['surface', 'added p50 ms', 'to chat', 'cpu us/req', 'to chat'],
    ...[...bySurface].map(([name, { addedMs, cpuUs }]) => [
      name,
      cell(addedMs),
      (addedMs / (chat?.addedMs ?? Number.NaN)).toFixed(2),
      cell(cpuUs),
      (cpuUs / (chat?.cpuUs ?? Number.NaN)).toFixed(2),
    ]),
  ])
}

function table(lines: readonly (readonly string[])[]): void {
  const width = lines[0]?.map((_, i) => Math.max(...lines.map(l => l[i]?.length ?? 0))) ?? []
  for (const l of lines)
    process.stdout.write(
      `${l.map((c, i) => (i === 0 ? c.padEnd(width[i] ?? 0) : c.padStart(width[i] ?? 0))).join('  ')}\n`,
    )
}
