/** Charts in plain SVG: drawn to the width there is, with a line under the pointer, and the same numbers as a table. */
import { useEffect, useRef, useState } from 'preact/hooks'

export interface Series {
  readonly name: string
  /** A class that colours it; shapes differ too, so that colour is not needed. */
  readonly tone: string
  readonly values: readonly (number | null)[]
}

export interface ChartProps {
  readonly title: string
  /** What one bar or point stands for. */
  readonly unit: string
  readonly fromMs: number
  readonly bucketMs: number
  readonly series: readonly Series[]
  readonly format?: (n: number) => string
  readonly height?: number
}

const LEFT = 54
const BOTTOM = 20
const TOP = 8

export function whole(n: number): string {
  return n >= 10_000
    ? Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(n)
    : n.toLocaleString('en')
}

export function Bars(props: ChartProps) {
  return (
    <Chart {...props} most={Math.max(...(props.series[0]?.values.map((_, i) => total(props.series, i)) ?? [0]))}>
      {({ x, y, width }) => {
        const gap = width > 5 ? 1.5 : width > 3 ? 1 : 0.5
        return (props.series[0]?.values ?? []).map((_, i) => {
          let under = 0
          return props.series.map(s => {
            const n = s.values[i] ?? 0
            if (n === 0) return null
            const bottom = y(under)
            under += n
            const top = y(under)
            return (
              <rect
                key={`${s.name}${i}`}
                class={s.tone}
                x={x(i) + gap / 2}
                y={top}
                width={Math.max(1, width - gap)}
                height={Math.max(1, bottom - top)}
              />
            )
          })
        })
      }}
    </Chart>
  )
}

export function Lines(props: ChartProps) {
  const most = Math.max(0, ...props.series.flatMap(s => s.values.map(v => v ?? 0)))
  return (
    <Chart {...props} most={most}>
      {({ x, y, width }) =>
        props.series.map(s => (
          <g class={`plot ${s.tone}`} key={s.name}>
            <path d={pathOf(s.values, i => x(i) + width / 2, y)} />
            {s.values.map((v, i) =>
              v !== null && (s.values[i - 1] ?? null) === null && (s.values[i + 1] ?? null) === null ? (
                <circle key={i} cx={x(i) + width / 2} cy={y(v)} r={2} />
              ) : null,
            )}
          </g>
        ))
      }
    </Chart>
  )
}

function pathOf(values: readonly (number | null)[], x: (i: number) => number, y: (n: number) => number): string {
  let d = ''
  let pen = false
  for (const [i, v] of values.entries()) {
    if (v === null) pen = false
    else {
      d += `${pen ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`
      pen = true
    }
  }
  return d
}

interface Scale {
  readonly x: (i: number) => number
  readonly y: (n: number) => number
  readonly width: number
}

function Chart({
  title,
  unit,
  fromMs,
  bucketMs,
  series,
  format = whole,
  height = 168,
  most,
  children,
}: ChartProps & { readonly most: number; readonly children: (scale: Scale) => preact.ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null)
  const [wide, setWide] = useState(600)
  const [over, setOver] = useState<number | undefined>(undefined)
  useEffect(() => {
    const element = box.current
    if (element === null) return
    const observer = new ResizeObserver(([entry]) => setWide(Math.max(200, entry?.contentRect.width ?? 600)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const n = series[0]?.values.length ?? 0
  const steps = ticks(most)
  const top = steps.at(-1) ?? 1
  const width = (wide - LEFT) / Math.max(1, n)
  const x = (i: number): number => LEFT + i * width
  const y = (v: number): number => height - BOTTOM - (v / top) * (height - BOTTOM - TOP)
  // One that would be cut at the edge is left out: moved, it would stand at another time.
  const times = labels(fromMs, bucketMs, n, wide).filter(({ i, label }) => x(i) + label.length * 3.2 <= wide)
  const at = over === undefined || over >= n ? undefined : over
  return (
    <figure class="chart">
      <figcaption>
        <h2>
          {title} <small class="quiet">{unit}</small>
        </h2>
        <ul class="legend">
          {series.map(s => (
            <li key={s.name}>
              <svg width="10" height="10" aria-hidden="true">
                <rect class={s.tone} width="10" height="10" rx="2" />
              </svg>
              {s.name}
              {at !== undefined && <b class="num">{cell(s.values[at] ?? null, format)}</b>}
            </li>
          ))}
          {at !== undefined && <li class="num">{timeLabel(fromMs + at * bucketMs, bucketMs)}</li>}
        </ul>
      </figcaption>
      <div ref={box} class="plotbox">
        <svg
          width={wide}
          height={height}
          role="img"
          aria-label={`${title}, ${unit}. ${summary(series, format)}`}
          onPointerMove={event => {
            const left = event.currentTarget.getBoundingClientRect().left
            const i = Math.floor((event.clientX - left - LEFT) / width)
            setOver(i >= 0 && i < n ? i : undefined)
          }}
          onPointerLeave={() => setOver(undefined)}
        >
          <Patterns />
          {steps.map(v => (
            <g key={v} class="grid">
              <line x1={LEFT} x2={wide} y1={y(v)} y2={y(v)} />
              <text x={LEFT - 8} y={y(v) + 3.5} text-anchor="end">
                {format(v)}
              </text>
            </g>
          ))}
          {times.map(({ i, label }) => (
            <text class="time" key={i} x={x(i)} y={height - 4} text-anchor="middle">
              {label}
            </text>
          ))}
          {at !== undefined && <rect class="over" x={x(at)} y={TOP} width={width} height={height - BOTTOM - TOP} />}
          {children({ x, y, width })}
        </svg>
      </div>
      <table class="hidden">
        <caption>
          {title}, {unit}
        </caption>
        <thead>
          <tr>
            <th scope="col">from</th>
            {series.map(s => (
              <th scope="col" key={s.name}>
                {s.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(series[0]?.values ?? []).map((_, i) =>
            series.some(s => (s.values[i] ?? null) !== null && s.values[i] !== 0) ? (
              <tr key={i}>
                <th scope="row">{timeLabel(fromMs + i * bucketMs, bucketMs)}</th>
                {series.map(s => (
                  <td key={s.name}>{cell(s.values[i] ?? null, format)}</td>
                ))}
              </tr>
            ) : null,
          )}
        </tbody>
      </table>
    </figure>
  )
}

/** Hatches: what is blocked, held or cut can be told apart without colour. */
function Patterns() {
  return (
    <defs>
      <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect width="5" height="5" class="hatch-ground" />
        <rect width="2" height="5" class="hatch-line" />
      </pattern>
      <pattern id="dots" width="4" height="4" patternUnits="userSpaceOnUse">
        <rect width="4" height="4" class="dots-ground" />
        <circle cx="2" cy="2" r="1.1" class="dots-dot" />
      </pattern>
    </defs>
  )
}

function total(series: readonly Series[], i: number): number {
  return series.reduce((sum, s) => sum + (s.values[i] ?? 0), 0)
}

function cell(v: number | null, format: (n: number) => string): string {
  return v === null ? '–' : format(v)
}

function summary(series: readonly Series[], format: (n: number) => string): string {
  return series
    .map(s => {
      const known = s.values.filter(v => v !== null)
      return `${s.name}: ${known.length === 0 ? 'nothing' : `at most ${format(Math.max(...known))}`}`
    })
    .join(', ')
}

/** From 0 to the first round number that is not below `most`. */
function ticks(most: number): readonly number[] {
  if (most <= 0) return [0, 1]
  const raw = most / 3
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = Math.max([1, 2, 5, 10].find(m => m * power >= raw) ?? 10, 0) * power
  const nice = most <= 3 ? 1 : step
  return Array.from({ length: Math.ceil(most / nice) + 1 }, (_, i) => i * nice)
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** Between two times under a chart. */
const STEPS = [
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  5 * DAY,
  7 * DAY,
]

/** Round times of the place where the reader is. */
function labels(fromMs: number, bucketMs: number, n: number, wide: number) {
  const room = bucketMs < HOUR && n * bucketMs <= DAY ? 64 : 104
  const step = STEPS.find(ms => (n * bucketMs) / ms <= (wide - LEFT) / room) ?? 7 * DAY
  const offset = new Date(fromMs).getTimezoneOffset() * MINUTE
  const found: { readonly i: number; readonly label: string }[] = []
  for (let ms = Math.ceil((fromMs - offset) / step) * step + offset; ms < fromMs + n * bucketMs; ms += step) {
    found.push({ i: (ms - fromMs) / bucketMs, label: timeLabel(ms, n * bucketMs > DAY ? HOUR : bucketMs) })
  }
  return found
}

export function timeLabel(ms: number, bucketMs: number): string {
  const date = new Date(ms)
  if (bucketMs < 3_600_000) return date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
  return date.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
}
