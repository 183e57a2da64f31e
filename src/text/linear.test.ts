import { describe, expect, it } from 'vitest'
import { assertLinearEnough } from './linear.ts'

describe('assertLinearEnough', () => {
  // Each of these keeps JavaScript's matcher busy for seconds on a few dozen hostile characters, or grows quadratically.
  it.each([
    '(a+)+$',
    '(a|a)*b',
    '(?:a|aa)+$',
    '(\\w+\\s*)+$',
    '(.*)*x',
    '([a-z]+)*@',
    '^(?:(?:a+))+$',
    '(?:\\d|\\w)+!',
    '(a*)*',
    '(?:a?a?){20}',
    '(?:x+x+)+y',
    '\\d+\\d+x',
    '.*.*=',
    '\\s*\\s+x',
  ])('refuses %s and names the part', source => {
    expect(() => assertLinearEnough(source)).toThrow(/'.+' .*(repeated|side by side)/)
  })

  it.each([
    'sk-[A-Za-z0-9]{20,}',
    '(?:\\d+,)+',
    '\\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\\.[a-z0-9-]+)+',
    '(?:foo|far)+',
    '(?:[0-9a-f]{2}:){5,}',
    '-----BEGIN [A-Z ]+-----[\\s\\S]*?-----END',
    '(?:\\d[ -]?){13,19}',
    '(?:[Aa]pi|API)[_-]?key\\s*[:=]\\s*["\']?[a-z0-9]+',
    '"(?:[^"\\\\]|\\\\.)*"',
    '(?:[A-Za-z0-9+/]{4})*(?:==)?',
    '.*foo.*bar',
    'a*b*c*',
  ])('accepts %s', source => {
    expect(() => assertLinearEnough(source)).not.toThrow()
  })

  it('refuses what does not parse, without quoting the text it would have matched', () => {
    expect(() => assertLinearEnough('(')).toThrow(/not a valid regular expression/)
    expect(() => assertLinearEnough('a', 'g')).toThrow(/flag 'g'/)
  })
})
