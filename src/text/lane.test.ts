import { describe, expect, it } from 'vitest'
import { firstUnits, Lane } from './lane.ts'
import { buildDoors, type Door } from './lead.ts'
import { buildMatcher } from './matcher.ts'
import { firstTest } from './pattern.ts'

const CONTEXT = 16

function lane(...sources: readonly string[]): { readonly lane: Lane; readonly doors: readonly Door[] } {
  const matchers = sources.map(source => buildMatcher(source, '', 64))
  const doors = buildDoors(matchers)
  const units = firstUnits(matchers.map((m, i) => (doors.of[i] === undefined ? firstTest(m.pattern) : undefined)))
  return { lane: new Lane({ matchers, doors, units, context: CONTEXT }), doors: doors.list }
}

const never = (): never => expect.unreachable()

describe('a lane', () => {
  it('keeps only the undecided tail and a little context, however much has passed and in however small pieces', () => {
    const { lane: under } = lane('\\d{3}-\\d{2}', '[a-z]+@[a-z]+', '(?<=key: )x')
    const pad = 'ordinary words 12 and a-b '
    let fed = 0
    for (const times of [100, 1, 7]) {
      for (let i = 0; i < 400; i++) {
        const piece = pad.repeat(times)
        under.begin(piece, false, never)
        under.finish(never)
        fed += piece.length
        expect(fed - under.base).toBeLessThanOrEqual(512)
      }
    }
  })

  it('runs a pattern that begins with a word only where the word is', () => {
    const {
      lane: under,
      doors: [door],
    } = lane('\\bsk-[a-z]{4}')
    if (door === undefined) expect.unreachable()
    under.begin('an sk-abcd nobody pointed at ', false, never)
    under.finish(never)
    const found: number[] = []
    const note = (_: number, from: number, to: number): unknown => found.push(from, to)
    under.begin('an sk-abcd ', false, note)
    under.knock(door, 32, note)
    under.finish(note)
    expect(found).toEqual([32, 39])
    expect(under.quiet).toBe(true)
  })

  it('puts places in order where the words of a door stand inside one another', () => {
    const {
      lane: under,
      doors: [door],
    } = lane('(?:abcd|bc)\\d')
    if (door === undefined) expect.unreachable()
    const found: number[] = []
    const note = (_: number, from: number, to: number): unknown => found.push(from, to)
    under.begin('abcd1 bc2', true, note)
    for (const at of [6, 1, 0]) under.knock(door, at, note)
    under.finish(note)
    expect(found).toEqual([0, 5, 6, 9])
  })
})
