import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EntryQueue } from './entry-queue.ts'
import { entriesOf } from './tile.ts'

const entry = (index: number) => `{"entry":${index},"pad":"${['x', 'é', '…', '🪻'][index % 4]?.repeat(index % 700)}"}`

describe('a queue of entries', () => {
  it('gives them as they came, each once, and never with a gap', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), skip: fc.constantFrom(0, 0, 0, 0, 1, 5), n: fc.nat(400) }),
      fc.record({ kind: fc.constant('take' as const) }),
      fc.record({ kind: fc.constant('take full' as const) }),
      fc.record({ kind: fc.constant('clear' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const queue = new EntryQueue()
        let next = 0
        let queued: number[] = []
        for (const s of steps) {
          switch (s.kind) {
            case 'push':
              next += s.skip
              if (s.n > 0 && queued.at(-1) !== next - 1) queued = []
              for (let i = 0; i < s.n; i++, next++) {
                if (queued.length === 8192) queued = []
                queue.push(next, entry(next))
                queued.push(next)
              }
              break
            case 'take': {
              const { first, count, bundle } = queue.take()
              expect(entriesOf(bundle).map(e => Buffer.from(e).toString())).toEqual(queued.map(entry))
              expect(count).toBe(queued.length)
              if (count > 0) expect(first).toBe(queued[0])
              queued = []
              break
            }
            case 'take full': {
              const end = queued.findLastIndex(index => (index + 1) % 256 === 0) + 1
              const taken = queue.takeFull()
              expect(taken?.count ?? 0).toBe(end)
              if (taken !== undefined) {
                expect(taken.first).toBe(queued[0])
                expect(entriesOf(taken.bundle).map(e => Buffer.from(e).toString())).toEqual(
                  queued.slice(0, end).map(entry),
                )
              }
              queued = queued.slice(end)
              break
            }
            case 'clear':
              queue.clear()
              queued = []
          }
          expect([queue.length, queue.first]).toEqual([queued.length, queued[0]])
        }
      }),
    )
  })

  it('begins anew where it is full', () => {
    const queue = new EntryQueue()
    for (let index = 7; index < 7 + 8192; index++) queue.push(index, entry(index))
    expect(queue.length).toBe(8192)
    queue.push(7 + 8192, entry(7 + 8192))
    expect([queue.length, queue.first]).toEqual([1, 7 + 8192])
  })

  it('refuses an entry that no bundle can hold', () => {
    const queue = new EntryQueue()
    expect(() => queue.push(0, '…'.repeat(21_846))).toThrowError(expect.objectContaining({ code: 'too_large' }))
  })
})
