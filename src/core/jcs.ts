/**
 * The JSON Canonicalization Scheme (RFC 8785): one spelling of each JSON value, so that a digest over it means the value.
 *
 * Guarantees: two values that are equal as I-JSON (RFC 7493) give the same text, two that differ do not; what has no
 * I-JSON form throws `NotCanonical` and is never approximated.
 */

export class NotCanonical extends TypeError {
  override readonly name = 'NotCanonical'
}

/** Containers inside containers. */
const MAX_DEPTH = 64

/** UTF-16 text; its UTF-8 bytes are what is hashed. Own enumerable members only; `undefined` is no JSON value. */
export function canonicalJson(value: unknown): string {
  return write(value, 0)
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return text(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      // RFC 8785 3.2.2.3 is ECMAScript's own Number-to-String; -0 becomes 0 there as here.
      if (!Number.isFinite(value)) throw new NotCanonical('a number that is not finite has no JSON form')
      return String(value + 0)
    case 'object':
      if (value === null) return 'null'
      if (depth >= MAX_DEPTH) throw new NotCanonical(`expected at most ${MAX_DEPTH} levels of nesting`)
      return Array.isArray(value) ? list(value, depth) : object(value, depth)
    default:
      throw new NotCanonical(`a ${typeof value} has no JSON form`)
  }
}

function list(items: readonly unknown[], depth: number): string {
  let out = '['
  for (let i = 0; i < items.length; i += 1) out += `${i === 0 ? '' : ','}${write(items[i], depth + 1)}`
  return `${out}]`
}

function object(value: object, depth: number): string {
  const members: Readonly<Record<string, unknown>> = { ...value }
  let out = '{'
  // RFC 8785 3.2.3: by UTF-16 code units, which is what comparing two strings does.
  for (const key of Object.keys(members).sort()) {
    out += `${out === '{' ? '' : ','}${text(key)}:${write(members[key], depth + 1)}`
  }
  return `${out}}`
}

/** RFC 8785 3.2.2.2 escapes as `JSON.stringify` does; a lone surrogate is no I-JSON (RFC 7493 2.1). */
function text(value: string): string {
  if (!value.isWellFormed()) throw new NotCanonical('text with a lone surrogate has no I-JSON form')
  return JSON.stringify(value)
}
