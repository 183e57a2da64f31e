/**
 * The canonical JSON that row HMACs are over: byte for byte what the Python implementation writes,
 * `json.dumps(sort_keys=True, separators=(',', ':'), ensure_ascii=False, allow_nan=False)`.
 *
 * It is not RFC 8785: keys are sorted by code point, integers have any size, and floats are written as Python's
 * `repr` writes them (`1.0`, `-0.0`, `1e+16`, `1e-07`).
 */

/** Objects are maps: no key is special, and order is kept as read. */
export type Json = null | boolean | string | bigint | Float | readonly Json[] | ReadonlyMap<string, Json>

/** A JSON number with a fraction or an exponent; Python keeps it apart from an integer of equal value. */
export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

export function canonical(value: Json): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (value instanceof Float) return pythonFloat(value.value)
  if (value instanceof Map) {
    const keys = [...value.keys()].sort(byCodePoint)
    return `{${keys.map(key => `${quote(key)}:${canonical(value.get(key) ?? null)}`).join(',')}}`
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  throw new TypeError('not a JSON value')
}

/**
 * `JSON.stringify` escapes a well-formed string exactly as Python does with `ensure_ascii=False`: `"`, `\`, U+0000 to
 * U+001F (short forms where JSON has them, else lower-case `\u00xx`), nothing more. A lone surrogate has no UTF-8 form.
 */
export function quote(text: string): string {
  return JSON.stringify(text.isWellFormed() ? text : text.toWellFormed())
}

/** Code-point order. UTF-16 order differs where a surrogate (an astral character) meets U+E000 to U+FFFF. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return lift(x) - lift(y)
  }
  return a.length - b.length
}

/** Moves surrogates above the rest of the basic plane. */
function lift(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/** Python's `repr(float)`: shortest digits that read back, plain for exponents -4 to 15. */
export function pythonFloat(x: number): string {
  if (!Number.isFinite(x)) throw new RangeError('not a finite number')
  if (Object.is(x, -0)) return '-0.0'
  const shortest = x.toExponential()
  const e = shortest.indexOf('e')
  const exponent = Number(shortest.slice(e + 1))
  if (exponent < -4 || exponent >= 16) {
    const digits = Math.abs(exponent).toString().padStart(2, '0')
    return `${shortest.slice(0, e)}e${exponent < 0 ? '-' : '+'}${digits}`
  }
  const plain = String(x)
  return plain.includes('.') ? plain : `${plain}.0`
}
