/**
 * Shapes of identity settings. They come from a file that nobody type-checked, and here a misspelt or mistyped
 * protection protects nothing: whatever is not known is an error. Errors name the setting and never repeat a value.
 */

/** Throws a `TypeError` that names the setting. */
export type Shape = (value: unknown, setting: string) => void

interface Member {
  readonly shape: Shape
  readonly required: boolean
}

export const required = (shape: Shape): Member => ({ shape, required: true })
export const optional = (shape: Shape): Member => ({ shape, required: false })

function basic(type: 'string' | 'number' | 'boolean', expected: string): Shape {
  return (value, setting) => {
    if (typeof value !== type) throw new TypeError(`${setting}: expected ${expected}`)
  }
}

export const text = basic('string', 'text')
export const number = basic('number', 'a number')
export const flag = basic('boolean', 'true or false')

export const oneOf =
  (...words: readonly string[]): Shape =>
  (value, setting) => {
    if (typeof value !== 'string' || !words.includes(value))
      throw new TypeError(`${setting}: expected one of ${words.join(', ')}`)
  }

export const listOf =
  (shape: Shape): Shape =>
  (value, setting) => {
    if (!Array.isArray(value)) throw new TypeError(`${setting}: expected a list`)
    for (const [index, entry] of value.entries()) shape(entry, `${setting}[${String(index)}]`)
  }

/** Names of the caller's choosing to values of one shape. */
export const recordOf =
  (shape: Shape): Shape =>
  (value, setting) => {
    for (const [name, entry] of Object.entries(members(value, setting))) shape(entry, `${setting}.${printable(name)}`)
  }

export const object =
  (shape: Readonly<Record<string, Member>>): Shape =>
  (value, setting) => {
    const given = members(value, setting)
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(shape, name)) {
        throw new TypeError(
          `${setting}.${printable(name)}: unknown setting; expected one of ${Object.keys(shape).join(', ')}`,
        )
      }
    }
    for (const [name, member] of Object.entries(shape)) {
      const entry = Object.hasOwn(given, name) ? given[name] : undefined
      if (entry !== undefined) member.shape(entry, `${setting}.${name}`)
      else if (member.required) throw new TypeError(`${setting}.${name}: not set; it is needed`)
    }
  }

export const either =
  (first: Shape, second: Shape): Shape =>
  (value, setting) => {
    if (Array.isArray(value)) second(value, setting)
    else first(value, setting)
  }

export const anyObject: Shape = (value, setting) => {
  members(value, setting)
}

function members(value: unknown, setting: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${setting}: expected an object`)
  return { ...value }
}

function printable(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}
