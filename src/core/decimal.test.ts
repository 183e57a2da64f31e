import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareDecimals, type Decimal, isMultiple, readDecimal } from './decimal.ts'

function decimal(text: string): Decimal {
  const read = readDecimal(text)
  if (read === undefined) throw new Error(`expected a number: ${text}`)
  return read
}

const compared = (a: string, b: string) => Math.sign(compareDecimals(decimal(a), decimal(b)))

describe('a decimal', () => {
  it.each([
    ['9007199254740993', '9007199254740992', 1],
    ['100.00000000000000000001', '100', 1],
    ['99.99999999999999999999', '100', -1],
    ['100.00', '100', 0],
    ['1e2', '100', 0],
    ['0.1e3', '100', 0],
    ['-0', '0', 0],
    ['0e999', '0.000', 0],
    ['-100', '0.001', -1],
    ['-2', '-10', 1],
    ['1e999999', '9', 1],
    ['0.0010', '0.001', 0],
    ['120', '12', 1],
  ])('%s against %s: %i', (a, b, expected) => {
    expect(compared(a, b)).toBe(expected)
    expect(compared(b, a)).toBe(expected === 0 ? 0 : -expected)
  })

  it.each([
    '',
    ' 5',
    '5 ',
    '+5',
    '007',
    '1,000',
    '1_000',
    '0x10',
    '.5',
    '5.',
    '1e',
    '1e9999999',
    'NaN',
    'Infinity',
    '١٢',
    '５',
    '1e-',
    '--1',
    '5\n',
  ])('is not %j', text => {
    expect(readDecimal(text)).toBeUndefined()
  })

  it('compares as big integers do, whatever the scale', () => {
    const part = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
    fc.assert(
      fc.property(part, part, fc.nat(30), (a, b, places) => {
        const text = (n: bigint): string => {
          const digits = (n < 0n ? -n : n).toString().padStart(places + 1, '0')
          const cut = digits.length - places
          return `${n < 0n ? '-' : ''}${digits.slice(0, cut)}${places === 0 ? '' : `.${digits.slice(cut)}`}`
        }
        expect(compared(text(a), text(b))).toBe(a < b ? -1 : a > b ? 1 : 0)
        expect(compared(text(a), text(a))).toBe(0)
      }),
    )
  })

  it('compares doubles as doubles do', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(compared(String(a), String(b))).toBe(a < b ? -1 : a > b ? 1 : 0)
      }),
    )
  })

  it.each([
    ['19.99', '0.01', true],
    ['19.999', '0.01', false],
    ['0', '7', true],
    ['9007199254740992', '2', true],
    ['1e308', '3', false],
    ['0.3', '0.1', true],
    ['1e999', '1e-999', false],
    ['5', '0', false],
  ])('%s is a multiple of %s: %s', (a, b, expected) => {
    expect(isMultiple(decimal(a), decimal(b))).toBe(expected)
  })

  it('takes long texts in one pass', () => {
    const long = `1${'0'.repeat(1_000_000)}`
    expect(compared(`${long}.${'0'.repeat(1_000_000)}`, long)).toBe(0)
    expect(compared(long, '1e100')).toBe(1)
  })
})
