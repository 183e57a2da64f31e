/** The audit log's search line: `field:value` for fields, a date for since and until, an id, or text that a row has. */
import { FILTER_FIELDS } from '../audit/filter-fields.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const FIELDS: readonly string[] = [...FILTER_FIELDS, 'since', 'until']

export function readSearch(line: string): URLSearchParams {
  const query = new URLSearchParams()
  const words: string[] = []
  for (const part of line.match(/[a-z_]+:"[^"]*"|\S+/g) ?? []) {
    const colon = part.indexOf(':')
    const field = part.slice(0, colon)
    const value = part.slice(colon + 1).replace(/^"(.*)"$/, '$1')
    if (colon > 0 && FIELDS.includes(field) && value !== '') query.append(field, value)
    else if (UUID.test(part)) query.append('text', part.toLowerCase())
    else words.push(part)
  }
  if (words.length > 0 && !query.has('text')) query.set('text', words.join(' '))
  return query
}

/** The line with one more field, or with another value of it. */
export function withField(line: string, field: string, value: string): string {
  const quoted = /\s/.test(value) ? `"${value}"` : value
  const rest = (line.match(/[a-z_]+:"[^"]*"|\S+/g) ?? []).filter(part => !part.startsWith(`${field}:`))
  return [...rest, `${field}:${quoted}`].join(' ')
}
