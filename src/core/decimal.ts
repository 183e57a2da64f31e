/**
 * Decimal numbers as they are written, compared exactly: no step goes through a double, so `9007199254740993` is more than
 * `9007199254740992` and `0.1` is itself. Linear in the length of the text.
 */

/** `0.<digits> * 10^point`, without zeros at either end of the digits; zero has none. */
export interface Decimal {
  readonly negative: boolean
  readonly digits: string
  readonly point: number
}

/** RFC 8259 section 6, with an exponent of at most six digits: `1e999999999999` is no number anybody means. */
const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,6}))?$/

/** `undefined` when the text is not a number as JSON writes one: `1,000`, `+5`, `007`, `0x10` and ` 5` are read in different ways. */
export function readDecimal(text: string): Decimal | undefined {
  const parts = NUMBER.exec(text)
  if (parts === null) return undefined
  const whole = parts[2] ?? ''
  const all = whole + (parts[3] ?? '')
  let from = 0
  while (from < all.length && all.charCodeAt(from) === ZERO) from += 1
  let to = all.length
  while (to > from && all.charCodeAt(to - 1) === ZERO) to -= 1
  if (from === to) return { negative: false, digits: '', point: 0 }
  return {
    negative: parts[1] === '-',
    digits: all.slice(from, to),
    point: whole.length - from + Number(parts[4] ?? '0'),
  }
}

/** Below 0: `a` is less. 0: they are the same number. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const signA = signOf(a)
  const signB = signOf(b)
  if (signA !== signB) return signA - signB
  if (signA === 0) return 0
  const size = a.point !== b.point ? a.point - b.point : a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0
  // Not −0 for two that are the same.
  return size === 0 ? 0 : signA * size
}

/** Is `a` a whole multiple of `b`? For numbers of ordinary size; anything else is none. */
export function isMultiple(a: Decimal, b: Decimal): boolean {
  if (a.digits === '') return true
  if (b.digits === '') return false
  const lowest = Math.min(a.point - a.digits.length, b.point - b.digits.length)
  if (Math.max(a.point, b.point) - lowest > MAX_PLACES) return false
  return scaled(a, lowest) % scaled(b, lowest) === 0n
}

/** A double spans some 340 places above the point and as many below. */
const MAX_PLACES = 1_000
const ZERO = 0x30

function scaled({ digits, point }: Decimal, lowest: number): bigint {
  return BigInt(digits + '0'.repeat(point - digits.length - lowest))
}

function signOf({ negative, digits }: Decimal): number {
  return digits === '' ? 0 : negative ? -1 : 1
}
