import { expect, it } from 'vitest'
import { watchKeys } from './watch.ts'

it('calls once per change, again after a failure, and not after it was closed', () => {
  let waiting: (() => void) | undefined
  let text = 'a'
  let fails = false
  const calls: string[] = []
  const troubles: unknown[] = []
  const watch = watchKeys({
    clock: {
      timer: (_ms, f) => {
        waiting = f
        return () => {
          waiting = undefined
        }
      },
    },
    fingerprint: () => text,
    onChange: () => {
      if (fails) throw new Error('half written')
      calls.push(text)
    },
    onTrouble: error => troubles.push(error),
  })
  const tick = () => waiting?.()
  tick()
  expect(calls).toEqual([])
  text = 'b'
  tick()
  tick()
  expect(calls).toEqual(['b'])
  text = 'c'
  fails = true
  tick()
  watch.look()
  expect(troubles).toHaveLength(1)
  fails = false
  watch.look()
  expect(calls).toEqual(['b', 'c'])
  watch.close()
  expect(waiting).toBeUndefined()
  text = 'd'
  watch.look()
  expect(calls).toEqual(['b', 'c'])
})
