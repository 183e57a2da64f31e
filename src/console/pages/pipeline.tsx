/** The checks that decide: in which order, at which stages, in shadow or not, how long they take, and what they said in the last day. */
import { useState } from 'preact/hooks'
import { api, type Pipeline as Shown } from '../api.ts'
import { Arguments } from '../parts/arguments.tsx'
import { whole } from '../parts/charts.tsx'
import { Id, Problem, useLoaded } from '../parts/common.tsx'
import { TookShort, TookTable } from '../parts/took.tsx'
import { Untrusted } from '../parts/untrusted.tsx'
import { addressOf } from '../route.ts'

const STAGES = ['admission', 'inspection', 'commitment', 'record'] as const
const SEES: Readonly<Record<(typeof STAGES)[number], string>> = {
  admission: 'the request, before the model',
  inspection: 'each piece of the answer',
  commitment: 'each tool call, whole',
  record: 'the finished exchange',
}

export function Pipeline() {
  const { value, error, again } = useLoaded(background => api.pipeline(background), [], 10_000)
  const day = useLoaded(background => api.overview('24h', background), [], 30_000)
  return (
    <>
      <header class="page">
        <h1>Pipeline</h1>
        {value !== undefined && (
          <span class="quiet">
            <Untrusted text={value.source} /> → <Untrusted text={value.upstream} /> · policy{' '}
            <Id of={value.policy_digest} keep={12} />
          </span>
        )}
      </header>
      {error !== undefined && <Problem error={error} again={again} />}
      {value !== undefined && (
        <>
          {value.shadow && (
            <p class="note warn">
              <b>The whole pipeline is in shadow.</b> Verdicts are recorded and not enforced, but for checks that fail.
            </p>
          )}
          {!value.identity.verified && (
            <p class="note warn">
              <b>Callers are believed, not verified</b> (<Untrusted text={value.identity.name} />
              ): owners in rows are what callers said.
            </p>
          )}
          <table class="pipeline">
            <thead>
              <tr>
                <th scope="col">Check, in the order in which they are asked</th>
                {STAGES.map(stage => (
                  <th scope="col" key={stage} class="stage">
                    {stage}
                    <small>{SEES[stage]}</small>
                  </th>
                ))}
                <th scope="col" class="right">
                  Time limit
                </th>
                <th scope="col" class="right">
                  Held up, 24 h
                </th>
              </tr>
            </thead>
            <tbody>
              {value.checks.map(check => (
                <Check key={check.name} check={check} said={day.value?.checks.find(c => c.check === check.name)} />
              ))}
            </tbody>
          </table>
          <p class="quiet foot">
            Under each dot: half of the answers come within the first time, 95% within the second, since the gate
            started. At inspection an answer is about one piece of text. The limit bounds what a check may wait for;
            beyond it the answer is a block.
          </p>
        </>
      )}
    </>
  )
}

function Check({
  check,
  said,
}: {
  readonly check: Shown['checks'][number]
  readonly said: { readonly block: number; readonly escalate: number; readonly redact: number } | undefined
}) {
  const [open, setOpen] = useState(false)
  const n = said === undefined ? 0 : said.block + said.escalate + said.redact
  return (
    <>
      <tr>
        <th scope="row">
          <button type="button" class="link" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? '▾' : '▸'} <Untrusted text={check.name} />
          </button>
          {check.shadow && <span class="tag shadow">shadow</span>}
        </th>
        {STAGES.map(stage => (
          <td key={stage} class="stage">
            {check.stages.includes(stage) ? (
              <>
                <span class={`dot ${check.shadow ? 'hollow' : ''}`}>
                  <span class="hidden">{check.shadow ? 'acts here, in shadow' : 'acts here'}</span>
                </span>
                <TookShort took={check.times.find(t => t.stage === stage)} />
              </>
            ) : (
              <span class="hidden">no</span>
            )}
          </td>
        ))}
        <td class="num right">{check.time_limit_ms.toLocaleString('en')} ms</td>
        <td class="num right">
          {n === 0 ? (
            <span class="quiet">0</span>
          ) : (
            <a href={addressOf('audit', '', { q: `check:${check.name}` })}>{whole(n)}</a>
          )}
        </td>
      </tr>
      {open && (
        <tr class="options">
          <td colSpan={STAGES.length + 3}>
            <TookTable times={check.times} />
            <Arguments text={JSON.stringify(check.options)} />
          </td>
        </tr>
      )}
    </>
  )
}
