/** What was decided in a period, as numbers and over time. */
import { useState } from 'preact/hooks'
import { api, type Counts, type Overview as Numbers, type Pipeline } from '../api.ts'
import { Bars, Lines, type Series, whole } from '../parts/charts.tsx'
import { Empty, Problem, useLoaded } from '../parts/common.tsx'
import { Untrusted } from '../parts/untrusted.tsx'
import { addressOf } from '../route.ts'

const PERIODS = ['1h', '24h', '7d', '30d'] as const
const KINDS = ['block', 'escalate', 'redact', 'allow'] as const

export function Overview({ waiting }: { readonly waiting: number | undefined }) {
  const [period, setPeriod] = useState<(typeof PERIODS)[number]>('24h')
  const { value, error, again } = useLoaded(background => api.overview(period, background), [period], 15_000)
  const pipeline = useLoaded(() => api.pipeline(false), [])
  return (
    <>
      <header class="page">
        <h1>Overview</h1>
        <div class="tabs" role="group" aria-label="Period">
          {PERIODS.map(p => (
            <button type="button" key={p} aria-pressed={p === period} onClick={() => setPeriod(p)}>
              {p}
            </button>
          ))}
        </div>
      </header>
      {error !== undefined && <Problem error={error} again={again} />}
      {value !== undefined && <Shown numbers={value} period={period} waiting={waiting} pipeline={pipeline.value} />}
    </>
  )
}

function Shown({
  numbers,
  period,
  waiting,
  pipeline,
}: {
  readonly numbers: Numbers
  readonly period: string
  readonly waiting: number | undefined
  readonly pipeline: Pipeline | undefined
}) {
  const { fromMs, bucketMs, decisions, sample } = numbers
  const sum = (kind: keyof Counts): number => decisions.reduce((n, d) => n + d[kind], 0)
  const requests = numbers.requests.reduce((n, r) => n + r, 0)
  const tokens = sample.tokens.reduce((n, t) => n + t.input + t.output, 0)
  const slow = sample.latency.map(l => l.p95).filter(v => v !== null)
  if (requests === 0 && KINDS.every(kind => sum(kind) === 0)) {
    return (
      <Empty title={`Nothing came by in the last ${period}`}>
        <p>Point a client at the gate, and what is decided shows up here within seconds:</p>
        <pre>OPENAI_BASE_URL=http://127.0.0.1:8443/v1</pre>
        <p>or at the address that the gate said when it started.</p>
      </Empty>
    )
  }
  const common = { fromMs, bucketMs }
  const series: readonly Series[] = [...KINDS]
    .reverse()
    .map(kind => ({ name: kind, tone: `tone-${kind}`, values: decisions.map(d => d[kind]) }))
  return (
    <>
      {pipeline?.shadow === true && (
        <p class="note warn">
          <b>Shadow.</b> Verdicts are recorded and not enforced: what says block here went through.
        </p>
      )}
      <dl class="tiles">
        <Tile
          name="Requests"
          value={whole(requests)}
          note={`${whole(numbers.completed.reduce((n, c) => n + c, 0))} answered to the end`}
        />
        <Tile name="Blocked" value={whole(sum('block'))} note="decisions, also several of one request" tone="block" />
        <Tile
          name="Held for a human"
          value={whole(sum('escalate'))}
          note={waiting === undefined ? '' : waiting === 0 ? 'none waits now' : `${waiting} waiting now`}
          tone="escalate"
          href={addressOf('approvals')}
        />
        <Tile name="Redacted" value={whole(sum('redact'))} note="cut from what was said" tone="redact" />
        <Tile
          name="Slowest p95"
          value={slow.length === 0 ? '–' : duration(Math.max(...slow))}
          note={`admission to end, ${each(bucketMs)}`}
        />
        <Tile name="Tokens" value={whole(tokens)} note="in and out" />
      </dl>
      <div class="board">
        <section class="card wide">
          <Bars title="Decisions" unit={each(bucketMs)} series={series} {...common} />
        </section>
        <section class="card">
          <ByCheck numbers={numbers} />
        </section>
        <section class="card">
          <Lines
            title="From admission to the end of the answer"
            unit={each(bucketMs)}
            format={duration}
            series={[
              { name: 'p95', tone: 'tone-escalate', values: sample.latency.map(l => l.p95) },
              { name: 'p50', tone: 'tone-accent', values: sample.latency.map(l => l.p50) },
            ]}
            {...common}
          />
        </section>
        <section class="card">
          <Bars
            title="Tokens"
            unit={each(bucketMs)}
            series={[
              { name: 'in', tone: 'tone-allow', values: sample.tokens.map(t => t.input) },
              { name: 'out', tone: 'tone-accent', values: sample.tokens.map(t => t.output) },
            ]}
            {...common}
          />
        </section>
        <section class="card">
          <Budgets numbers={numbers} pipeline={pipeline} period={period} />
        </section>
      </div>
      {!sample.whole && (
        <p class="quiet foot">
          Latency, tokens and owners are of the newest rows alone, since{' '}
          {new Date(sample.sinceMs).toLocaleString('en-GB')}.
        </p>
      )}
    </>
  )
}

function Tile(props: {
  readonly name: string
  readonly value: string
  readonly note: string
  readonly tone?: string
  readonly href?: string
}) {
  const { name, value, note, tone = '', href } = props
  return (
    <div class={`tile ${tone}`}>
      <dt>{name}</dt>
      <dd class="num">{value}</dd>
      <dd class="quiet">{href === undefined ? note : <a href={href}>{note}</a>}</dd>
    </div>
  )
}

function ByCheck({ numbers }: { readonly numbers: Numbers }) {
  const rows = numbers.checks.slice(0, 8)
  const most = Math.max(1, ...rows.map(c => c.block + c.escalate + c.redact))
  return (
    <>
      <h2>By check</h2>
      {rows.length === 0 && <p class="quiet">No check had anything to say: everything passed.</p>}
      <table class="ranks">
        {rows.length > 0 && <RankHead name="Check" numbers={['Decisions']} />}
        <tbody>
          {rows.map(c => (
            <tr key={c.check}>
              <th scope="row">
                <a href={addressOf('audit', '', { q: `check:${c.check}` })}>
                  <Untrusted text={c.check} />
                </a>
              </th>
              <td class="bar">
                <svg
                  width="100%"
                  height="12"
                  role="img"
                  aria-label={`${c.block} blocked, ${c.escalate} held, ${c.redact} redacted`}
                >
                  <rect class="tone-block" width={`${(c.block / most) * 100}%`} height="12" />
                  <rect
                    class="tone-escalate"
                    x={`${(c.block / most) * 100}%`}
                    width={`${(c.escalate / most) * 100}%`}
                    height="12"
                  />
                  <rect
                    class="tone-redact"
                    x={`${((c.block + c.escalate) / most) * 100}%`}
                    width={`${(c.redact / most) * 100}%`}
                    height="12"
                  />
                </svg>
              </td>
              <td class="num">{whole(c.block + c.escalate + c.redact)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

/** Tokens of each owner, against the budget that the pipeline names. */
function Budgets({
  numbers,
  pipeline,
  period,
}: {
  readonly numbers: Numbers
  readonly pipeline: Pipeline | undefined
  readonly period: string
}) {
  const options = pipeline?.checks.find(c => c.name === 'token_budget')?.options
  const cap = typeof options?.['cap'] === 'number' ? options['cap'] : undefined
  const window = typeof options?.['window'] === 'string' ? options['window'] : undefined
  const { owners, sinceMs } = numbers.sample
  const most = Math.max(1, ...owners.map(o => o.tokens))
  // A share is told where the rows that were read go back to where the budget's window began.
  const began =
    window === 'hour' || window === 'day' ? Math.floor(Date.now() / WINDOW_MS[window]) * WINDOW_MS[window] : undefined
  const shared = cap !== undefined && began !== undefined && sinceMs <= began
  return (
    <>
      <h2>Owners and budgets</h2>
      <p class="quiet">
        {cap === undefined
          ? 'No check sets a token budget.'
          : `Each owner may use ${whole(cap)} tokens of output per ${window ?? 'window'}.`}{' '}
        Tokens are of the last {period}, in and out.
      </p>
      {owners.length === 0 && <p class="quiet">No answer came to its end.</p>}
      <table class="ranks">
        {owners.length > 0 && <RankHead name="Owner" numbers={['Tokens', shared ? 'Budget used' : 'Answers']} />}
        <tbody>
          {owners.slice(0, 8).map(o => (
            <tr key={o.owner}>
              <th scope="row">
                <a href={addressOf('audit', '', { q: `owner:${o.owner}` })}>
                  <Untrusted text={o.owner} fold={60} />
                </a>
              </th>
              <td class="bar">
                <svg width="100%" height="12" aria-hidden="true">
                  <rect class="tone-accent" width={`${(o.tokens / most) * 100}%`} height="12" />
                </svg>
              </td>
              <td class="num">{whole(o.tokens)}</td>
              <td class="num quiet">
                {shared ? share(window === 'hour' ? o.outThisHour : o.outToday, cap) : whole(o.exchanges)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

/** Of a table of names, a bar each, and numbers. */
function RankHead({ name, numbers }: { readonly name: string; readonly numbers: readonly string[] }) {
  return (
    <thead>
      <tr>
        <th scope="col">{name}</th>
        <th scope="col" class="bar">
          <span class="hidden">Shares</span>
        </th>
        {numbers.map(number => (
          <th scope="col" class="right" key={number}>
            {number}
          </th>
        ))}
      </tr>
    </thead>
  )
}

/** How long one bar or point is. */
function each(bucketMs: number): string {
  const minutes = bucketMs / 60_000
  const [n, unit] =
    minutes < 60 ? [minutes, 'minute'] : minutes < 1440 ? [minutes / 60, 'hour'] : [minutes / 1440, 'day']
  return n === 1 ? `per ${unit}` : `per ${n} ${unit}s`
}

const WINDOW_MS = { hour: 3_600_000, day: 86_400_000 } as const

function share(part: number, of: number): string {
  if (of === 0) return ''
  if (part === 0) return '0 %'
  const percent = (part / of) * 100
  return `${percent > 0 && percent < 0.1 ? '<0.1' : percent.toFixed(percent < 10 ? 1 : 0)} %`
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 60_000 ? `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s` : `${(ms / 60_000).toFixed(1)} min`
}
