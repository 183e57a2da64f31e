/** How long a check takes, at one stage. */
import type { Pipeline } from '../api.ts'
import { whole } from './charts.tsx'

type Took = Pipeline['checks'][number]['times'][number]

/** In the unit that it is read in: checks take microseconds, or wait for seconds. */
export function duration(ms: number): string {
  const [value, unit] = ms < 1 ? [ms * 1000, 'µs'] : ms < 1000 ? [ms, 'ms'] : [ms / 1000, 's']
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`
}

export function TookShort({ took }: { readonly took: Took | undefined }) {
  return took === undefined ? null : (
    <small class="num took">
      {duration(took.p50_ms)}
      <span class="quiet"> · {duration(took.p95_ms)}</span>
    </small>
  )
}

export function TookTable({ times }: { readonly times: readonly Took[] }) {
  return times.length === 0 ? (
    <p class="quiet">It has not been asked since the gate started.</p>
  ) : (
    <table class="plain times">
      <thead>
        <tr>
          <th scope="col">Time to answer</th>
          {['asked', 'half within', '95% within', 'longest'].map(name => (
            <th scope="col" class="right" key={name}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {times.map(t => (
          <tr key={t.stage}>
            <th scope="row">{t.stage}</th>
            <td class="num right">{whole(t.n)}</td>
            <td class="num right">{duration(t.p50_ms)}</td>
            <td class="num right">{duration(t.p95_ms)}</td>
            <td class="num right">{duration(t.max_ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
