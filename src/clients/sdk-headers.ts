/** Headers as the vendors' SDKs take them. */

/** Every form of the SDKs' `HeadersLike` as rows; `null` means "do not send". Throws a TypeError for anything else. */
export function headerRows(headers: unknown): (string | null)[][] {
  if (typeof headers !== 'object' || headers === null) return []
  if (headers instanceof Headers) return [...headers]
  const { values, nulls } = { values: member(headers, 'values'), nulls: member(headers, 'nulls') }
  if (values instanceof Headers && nulls instanceof Set)
    return [...values, ...[...nulls].map((name: unknown) => [String(name), null])]
  const rows: Iterable<unknown> = Symbol.iterator in headers ? [...iterate(headers)] : Object.entries(headers)
  const flat: (string | null)[][] = []
  for (const row of rows) {
    if (!Array.isArray(row) || typeof row[0] !== 'string')
      throw new TypeError("the client's defaultHeaders are not headers")
    const value: unknown = row[1]
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) flat.push([row[0], one === null ? null : String(one)])
  }
  return flat
}

function* iterate(from: object): Iterable<unknown> {
  const iterator: unknown = Reflect.get(from, Symbol.iterator)
  if (typeof iterator === 'function') yield* { [Symbol.iterator]: () => iterator.call(from) }
}

function member(from: object, name: string): unknown {
  return Reflect.get(from, name)
}
