/**
 * What a caller could read out of released bytes, by a reader of its own: raw, every string and key of the JSON, the
 * strings of each field joined over all events, numbers that spell text, arguments parsed. It shares nothing with the
 * dialects under test.
 */
import type { Reading } from './surface.ts'

export interface Released {
  readonly status: number
  readonly text: string
  /** Without the gate's own comment lines and its abort frame. */
  readonly upstream: string
  /** The abort frame of a stream, or the body of an answer that signet gave itself. */
  readonly own: Readonly<Record<string, unknown>> | undefined
  readonly aborted: boolean
  /** Every form in which text can be read. */
  readonly forms: readonly string[]
  /** By field: everything said there. */
  readonly joined: ReadonlyMap<string, string>
}

const RECEIPT = /^: signet-receipt [A-Za-z0-9_.-]+\n\n/gm

export function read(reading: Reading, status: number, contentType: string, text: string): Released {
  if (contentType.startsWith('text/event-stream')) {
    const without = text.replace(RECEIPT, '')
    const abort = reading.abort.exec(without)
    const upstream = abort === null ? without : without.slice(0, abort.index)
    const events = upstream.split(/(?:\r\n|\r|\n){2}/).map(dataOf)
    const own = abort === null ? undefined : (JSON.parse(abort[1] ?? '{}') as Record<string, unknown>)
    return { status, text, upstream, own, aborted: abort !== null, ...collect(reading, upstream, events) }
  }
  const value: unknown = text === '' ? undefined : JSON.parse(text)
  const isOwn = typeof value === 'object' && value !== null && 'correlation_id' in value
  const own = isOwn ? (value as Record<string, unknown>) : undefined
  return {
    status,
    text,
    upstream: isOwn ? '' : text,
    own,
    aborted: false,
    ...collect(reading, isOwn ? '' : text, [text]),
  }
}

function dataOf(event: string): string {
  return event
    .split(/\r\n|\r|\n/)
    .filter(line => line.startsWith('data:'))
    .map(line => line.slice(line.startsWith('data: ') ? 6 : 5))
    .join('\n')
}

function collect(reading: Reading, raw: string, documents: readonly string[]): Pick<Released, 'forms' | 'joined'> {
  const joined = new Map<string, string>()
  const forms: string[] = [raw]
  const bytes = new Map<string, number[]>()
  const say = (pointer: string, text: string) => {
    forms.push(text)
    joined.set(pointer, (joined.get(pointer) ?? '') + text)
  }
  const walk = (value: unknown, pointer: string): void => {
    if (typeof value === 'string') say(pointer, value)
    else if (Array.isArray(value)) {
      if (value.length > 0 && value.every(v => Number.isInteger(v))) {
        bytes.set(pointer, [...(bytes.get(pointer) ?? []), ...(value as number[])])
      }
      value.forEach((item: unknown, i) => {
        walk(item, `${pointer}/${reading.numbered(pointer) ? numberOf(item, i) : '*'}`)
      })
    } else if (typeof value === 'object' && value !== null) {
      for (const [rank, [key, item]] of Object.entries(value).entries()) {
        if (reading.keys?.test(pointer)) say(`${pointer}/~key ${rank}`, key)
        else forms.push(key)
        walk(item, `${pointer}/${key}`)
      }
    }
  }
  for (const document of documents) {
    try {
      const value: unknown = JSON.parse(document)
      walk(value, reading.under(value))
    } catch {
      forms.push(document)
    }
  }
  for (const [pointer, values] of bytes) joined.set(`${pointer} (bytes)`, Buffer.from(values).toString())
  for (const [pointer, text] of [...joined]) {
    forms.push(text)
    if (reading.jsonText.test(pointer)) leaves(text, forms)
  }
  return { forms, joined }
}

function numberOf(item: unknown, i: number): string {
  const own = typeof item === 'object' && item !== null && 'index' in item ? item.index : undefined
  return String(typeof own === 'number' ? own : i)
}

function leaves(text: string, into: string[]): void {
  try {
    JSON.stringify(JSON.parse(text), (key, value: unknown) => {
      into.push(key)
      if (typeof value === 'string') into.push(value)
      return value
    })
  } catch {
    // Not JSON: it stands raw already.
  }
}

/** As a reader sees it: compatibility forms, marks and invisible characters do not hide a word. */
export function plain(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}]/gu, '')
    .toLowerCase()
}
