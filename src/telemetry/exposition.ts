/**
 * Metrics in the text format that Prometheus scrapes (https://prometheus.io/docs/instrumenting/exposition_formats/,
 * version 0.0.4). Values are read when somebody asks, never pushed: counting costs what adding a number costs.
 */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Read at each scrape. */
  read(): readonly Sample[]
}

export interface Sample {
  /** Of a histogram: which of its series. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** A metric without samples is left out: not there is not zero. */
export function exposition(metrics: readonly Metric[]): string {
  let text = ''
  for (const { name, help, type, read } of metrics) {
    const samples = read()
    if (samples.length === 0) continue
    text += `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${type}\n`
    for (const { suffix = '', labels = {}, value } of samples)
      text += `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`
  }
  return text
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

/** One value without labels. */
export function one(value: number | boolean | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ value: Number(value) }]
}
