/** Text from a flag or an environment variable into the value a setting wants. Strict: what is not clearly a value is an error. */

export type Reading = { readonly value: unknown } | { readonly problem: string }

/** ASCII blanks only: a stray NBSP or byte-order mark must be seen and refused, not trimmed away. */
export function trimBlanks(text: string): string {
  return text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
}

export function asText(text: string): Reading {
  return { value: trimBlanks(text) }
}

const TRUE = new Set(['1', 'true', 'yes', 'on', 'enabled'])
const FALSE = new Set(['0', 'false', 'no', 'off', 'disabled'])

/** One set of words for every boolean. A typo must not switch a protection off, so it is an error and not "false". */
export function asBoolean(text: string): Reading {
  const word = trimBlanks(text).toLowerCase()
  if (TRUE.has(word)) return { value: true }
  if (FALSE.has(word)) return { value: false }
  return { problem: 'expected 1, true, yes, on or enabled, or 0, false, no, off or disabled' }
}

export function asInteger(text: string): Reading {
  const digits = trimBlanks(text)
  const value = Number(digits)
  return /^[+-]?[0-9]+$/.test(digits) && Number.isSafeInteger(value)
    ? { value }
    : { problem: 'expected a whole number' }
}

export function asNumber(text: string): Reading {
  const digits = trimBlanks(text)
  return /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$/.test(digits)
    ? { value: Number(digits) }
    : { problem: 'expected a decimal number' }
}

/** Comma separated. */
export function asList(text: string): Reading {
  return {
    value: text
      .split(',')
      .map(trimBlanks)
      .filter(item => item !== ''),
  }
}

/** An object or a list, as JSON. */
export function asJson(text: string): Reading {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return { problem: 'expected JSON' }
  }
}

/** `audience=sha256:<hex>,…`; an audience may hold `=`, a hash does not. Values are never part of the problem. */
export function asHashes(text: string): Reading {
  const hashes = new Map<string, string>()
  for (const item of text.split(',').map(trimBlanks)) {
    if (item === '') continue
    const cut = item.lastIndexOf('=')
    if (cut < 1) return { problem: 'expected audience=sha256:<hex> pairs, separated by commas' }
    const audience = trimBlanks(item.slice(0, cut))
    if (hashes.has(audience)) return { problem: `names the audience ${JSON.stringify(audience)} twice` }
    hashes.set(audience, trimBlanks(item.slice(cut + 1)))
  }
  return { value: Object.fromEntries(hashes) }
}

/** `name=secret,name=secret`; several secrets of one name have blanks between them. Values are never part of the problem. */
export function asNamedSecrets(text: string): Reading {
  const secrets = new Map<string, string>()
  for (const item of text.split(',').map(trimBlanks)) {
    if (item === '') continue
    const cut = item.indexOf('=')
    if (cut < 1) return { problem: 'expected name=secret pairs, separated by commas' }
    const name = trimBlanks(item.slice(0, cut))
    if (secrets.has(name)) return { problem: `names ${JSON.stringify(name)} twice` }
    secrets.set(name, trimBlanks(item.slice(cut + 1)))
  }
  return { value: Object.fromEntries(secrets) }
}

/** `id=hex,id=hex`. The values are secrets and never part of the problem. */
export function asKeys(text: string): Reading {
  const keys = new Map<string, string>()
  for (const item of text.split(',').map(trimBlanks)) {
    if (item === '') continue
    const cut = item.indexOf('=')
    if (cut < 1) return { problem: 'expected id=hex pairs, separated by commas' }
    const id = trimBlanks(item.slice(0, cut))
    if (keys.has(id)) return { problem: `names the key ${JSON.stringify(id)} twice` }
    keys.set(id, trimBlanks(item.slice(cut + 1)))
  }
  return { value: Object.fromEntries(keys) }
}
