/** Questions about rows that nobody waits for any more. */
import { expect, it, vi } from 'vitest'
import { openReading } from '../../src/audit/reading-thread.ts'
import { chat, scenario, startTestGate } from '../support/gate.ts'

it('that were given up still count until they are out of the way, and then rows are read again', async () => {
  const gate = await startTestGate()
  await (await chat(gate, scenario({ kind: 'text', text: 'hello' }))).text()
  const reading = openReading(gate.logPath, [])
  const ask = () =>
    reading.rows({ filter: new Map(), limit: 10 }).then(
      found => found.rows.length > 0,
      (error: Error) => error.message,
    )
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const first = Array.from({ length: 32 }, ask)
    // Nothing the thread says is heard in between.
    vi.advanceTimersByTime(20_000)
    const more = ask()
    expect(await Promise.all(first)).toEqual(first.map(() => 'the log is being read; ask again'))
    expect(await more).toBe('too many questions wait; ask again')
  } finally {
    vi.useRealTimers()
  }
  let said: boolean | string = 'too many questions wait; ask again'
  while (said === 'too many questions wait; ask again') {
    await new Promise(setImmediate)
    said = await ask()
  }
  expect(said).toBe(true)
  await reading.close()
  await gate.close()
})
