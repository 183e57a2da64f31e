/**
 * Where in the arguments a rule looks: a JSON Pointer (RFC 6901) in which `*` stands for every member of an array.
 * On anything else `*` leads astray.
 */
import { isRecord } from './json-value.ts'
import { itemsOf, memberOf, memberOrItemOf, type NamedKeys } from './look-alike-keys.ts'

export interface Place {
  readonly pointer: string
  readonly tokens: readonly string[]
}

export type Found =
  | { readonly kind: 'value'; readonly value: unknown }
  /** The key is not there, or says `null`: there is nothing to judge. */
  | { readonly kind: 'missing' }
  /** The way there is barred: a text where an object was expected, say. What a tool makes of it nobody knows. */
  | { readonly kind: 'astray' }

const MAX_TOKENS = 32

/** `undefined` when it is no such pointer. */
export function readPlace(pointer: string): Place | undefined {
  if (!/^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer)) return undefined
  const tokens = pointer
    .slice(1)
    .split('/')
    .map(token => token.replaceAll('~1', '/').replaceAll('~0', '~'))
  // Arguments with such a key are refused before any rule is asked.
  if (tokens.includes('__proto__')) return undefined
  return tokens.length > MAX_TOKENS ? undefined : { pointer, tokens }
}

/** Every value at the place, in order; the work is linear in the arguments. */
export function valuesAt(place: Place, root: unknown): readonly Found[] {
  const out: Found[] = []
  collect(root, place.tokens, 0, out)
  return out
}

function collect(value: unknown, tokens: readonly string[], at: number, out: Found[]): void {
  const token = tokens[at]
  if (value === undefined) out.push(MISSING)
  else if (token === undefined) out.push({ kind: 'value', value })
  else if (value === null) out.push(MISSING)
  else if (Array.isArray(value)) {
    if (token === '*') for (const item of value) collect(item, tokens, at + 1, out)
    else if (INDEX.test(token)) collect(value[Number(token)], tokens, at + 1, out)
    else out.push(ASTRAY)
  } else if (isRecord(value) && token !== '*') {
    collect(Object.hasOwn(value, token) ? value[token] : undefined, tokens, at + 1, out)
  } else out.push(ASTRAY)
}

const MISSING: Found = Object.freeze({ kind: 'missing' })
const ASTRAY: Found = Object.freeze({ kind: 'astray' })
const INDEX = /^(?:0|[1-9][0-9]{0,8})$/

/** Adds the keys that the place names. */
export function nameKeys(place: Place, named: NamedKeys): void {
  let at = named
  for (const token of place.tokens) {
    if (token === '*') at = itemsOf(at)
    else at = INDEX.test(token) ? memberOrItemOf(at, token) : memberOf(at, token)
  }
}
