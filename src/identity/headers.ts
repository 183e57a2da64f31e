/** Reading the caller's headers from node:http's `rawHeaders`: a flat list of names and values, in wire order. */
import type { Fault } from '../core/wire.ts'

/**
 * Who the caller is, what its data is worth, and where the request goes. Two of one kind are two answers, and two
 * readers may each believe another one; so they are refused.
 */
export const SINGLE_HEADERS: readonly string[] = [
  'host',
  'origin',
  'authorization',
  'proxy-authorization',
  'x-api-key',
  'api-key',
  'x-commit-owner',
  'x-agent-id',
  'x-policy-name',
  'x-policy-version',
  'x-classification',
  'x-caller-clearance',
  'x-signet-session',
  'content-type',
  'content-length',
  'content-encoding',
]

/**
 * `extra`: further names that must not repeat, such as the header a trusted proxy sets.
 * The result is called once per request: no allocation unless it refuses.
 */
export function createDuplicateRule(
  extra: readonly string[] = [],
): (rawHeaders: readonly string[]) => Fault | undefined {
  const names = [...new Set([...SINGLE_HEADERS, ...extra.map(name => name.toLowerCase())])]
  if (names.length > 31) throw new RangeError(`at most 31 single headers, got ${String(names.length)}`)
  const bitOf = new Map(names.map((name, index) => [name, 1 << index]))
  return rawHeaders => {
    let seen = 0
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = (rawHeaders[i] ?? '').toLowerCase()
      const bit = bitOf.get(name)
      if (bit === undefined) continue
      if ((seen & bit) !== 0) {
        return {
          kind: 'fault',
          code: 'header_duplicate',
          message: `the header ${name} was sent more than once; send it once`,
          details: { header_name: name },
        }
      }
      seen |= bit
    }
    return undefined
  }
}

/** The first value of a header, trimmed; `undefined` when absent or blank. `name` in lower case. */
export function headerValue(rawHeaders: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? ''
    if (given.length !== name.length || given.toLowerCase() !== name) continue
    const value = trimBlanks(rawHeaders[i + 1] ?? '')
    return value === '' ? undefined : value
  }
  return undefined
}

/** RFC 9110 5.6.3 optional white space. Not `String.trim`: that would also drop NBSP and NEL, which are content here. */
export function trimBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return from === 0 && to === text.length ? text : text.slice(from, to)
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09
}

const ASCII = /^[\x00-\x7f]*$/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * node:http hands header bytes over as Latin-1. A value beyond ASCII is read as the UTF-8 it was sent as; `undefined`
 * when it is not UTF-8, because a name nobody can spell is nobody's name.
 */
export function decodeHeaderText(value: string): string | undefined {
  if (ASCII.test(value)) return value
  const bytes = new Uint8Array(value.length)
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i)
    if (unit > 0xff) return undefined
    bytes[i] = unit
  }
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}
