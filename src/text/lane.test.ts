import { describe, expect, it } from 'vitest'
import { firstUnits, gateOf, Lane, Triggers } from './lane.ts'
import { buildMatcher } from './matcher.ts'

function lane(...sources: readonly string[]): Lane {
  const matchers = sources.map(source => buildMatcher(source, '', 64))
  const gates = matchers.map(gateOf)
  return new Lane(matchers, gates, firstUnits(gates))
}

const same = (at: number): number => at

describe('a lane', () => {
  it('keeps only the undecided tail and a little context, however much has passed', () => {
    const under = lane('\\d{3}-\\d{2}', '[a-z]+@[a-z]+', '(?<=key: )x')
    const none = new Triggers(3)
    const pad = 'ordinary words 12 and a-b '.repeat(100)
    let fed = 0
    for (let i = 0; i < 400; i++) {
      under.feed(pad, none, same, false, () => expect.unreachable())
      fed += pad.length
      expect(fed - under.base).toBeLessThanOrEqual(64)
    }
  })

  it('runs a pattern that begins with a word only where the word is', () => {
    const under = lane('\\bsk-[a-z]{4}')
    const triggers = new Triggers(1)
    under.feed('an sk-abcd nobody pointed at ', triggers, same, false, () => expect.unreachable())
    const found: number[] = []
    triggers.add(0, 32, true)
    under.feed('an sk-abcd ', triggers, same, false, (_, from, to) => found.push(from, to))
    expect(found).toEqual([32, 39])
    expect(under.quiet).toBe(true)
  })
})
