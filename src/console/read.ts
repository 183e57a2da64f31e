/** From `unknown` to what the control plane describes: read once, where it comes in, or refused. */

export type Read<T> = (value: unknown) => T
type Of<R> = R extends Read<infer T> ? T : never

export class Unexpected extends Error {
  override readonly name = 'Unexpected'
}

export const text: Read<string> = value => {
  if (typeof value !== 'string') throw new Unexpected('expected text')
  return value
}
export const number: Read<number> = value => {
  if (typeof value !== 'number') throw new Unexpected('expected a number')
  return value
}
export const flag: Read<boolean> = value => {
  if (typeof value !== 'boolean') throw new Unexpected('expected true or false')
  return value
}
export const anything: Read<unknown> = value => value

export function oneOf<const T extends string>(...values: readonly T[]): Read<T> {
  return value => {
    const found = values.find(v => v === value)
    if (found === undefined) throw new Unexpected(`expected one of ${values.join(', ')}`)
    return found
  }
}

export function nullable<T>(of: Read<T>): Read<T | null> {
  return value => (value === null || value === undefined ? null : of(value))
}

export function list<T>(of: Read<T>): Read<readonly T[]> {
  return value => {
    if (!Array.isArray(value)) throw new Unexpected('expected a list')
    return value.map(of)
  }
}

export const record: Read<Readonly<Record<string, unknown>>> = value => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Unexpected('expected an object')
  return { ...value }
}

export function shape<S extends Readonly<Record<string, Read<unknown>>>>(
  members: S,
): Read<{ readonly [K in keyof S]: Of<S[K]> }> {
  return value => {
    const given = record(value)
    return Object.fromEntries(
      Object.entries(members).map(([name, read]): [string, ReturnType<typeof read>] => {
        try {
          return [name, read(given[name])]
        } catch (error) {
          throw new Unexpected(`${name}: ${error instanceof Error ? error.message : 'unreadable'}`)
        }
      }),
    ) as { readonly [K in keyof S]: Of<S[K]> }
  }
}
