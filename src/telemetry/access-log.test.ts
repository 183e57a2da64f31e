import { describe, expect, it } from 'vitest'
import { type AccessEntry, AccessLog, MOST_WAITING } from './access-log.ts'

const ENTRY: AccessEntry = {
  at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  ms: 12.34567,
  method: 'POST',
  path: '/v1/chat/completions',
  status: 200,
  complete: true,
  exchange: 'x-1',
  owner: 'human:alice@example.com',
  outcome: 'completed',
  decision: 'allow',
}

/** A clock whose timers run when they are told to, and a sink that answers when it is told to. */
function bench(owners = true) {
  const timers = new Set<() => void>()
  const batches: { text: string; done: PromiseWithResolvers<void> }[] = []
  const states: boolean[] = []
  const log = new AccessLog({
    owners,
    clock: {
      now: () => ENTRY.at,
      nowNs: () => 0n,
      timer: (_ms, f) => {
        timers.add(f)
        return () => timers.delete(f)
      },
    },
    sink: {
      append: lines => {
        const done = Promise.withResolvers<void>()
        batches.push({ text: Buffer.from(lines).toString(), done })
        return done.promise
      },
      close: () => batches.at(-1)?.done.reject(new Error('closed')),
    },
    onState: ok => states.push(ok),
  })
  const tick = () => {
    for (const f of [...timers]) {
      timers.delete(f)
      f()
    }
  }
  const settled = () => new Promise<void>(resolve => setImmediate(resolve))
  const parsed = (n: number) =>
    (batches[n]?.text ?? '')
      .trim()
      .split('\n')
      .map(l => JSON.parse(l) as object)
  return { log, batches, states, tick, settled, parsed }
}

describe('a line of the access log', () => {
  it('says what happened, and is JSON', () => {
    const { log, tick, parsed } = bench()
    log.write(ENTRY)
    tick()
    expect(parsed(0)).toEqual([
      {
        time: '2026-01-02T03:04:05.006Z',
        event: 'request',
        method: 'POST',
        path: '/v1/chat/completions',
        status: 200,
        complete: true,
        ms: 12.346,
        exchange: 'x-1',
        owner: 'human:alice@example.com',
        outcome: 'completed',
        decision: 'allow',
      },
    ])
  })

  it('cannot be made two, or move a cursor, by an owner or a code', () => {
    const { log, tick, batches, parsed } = bench()
    const hostile = 'agent:\n{"event":"request"}\u001b[2J\u202e\u2028\u0085\u009b31m'
    log.write({ ...ENTRY, owner: hostile, code: hostile })
    tick()
    expect(batches[0]?.text).toMatch(/^[\x20-\x7e]*\n$/)
    expect(parsed(0)).toMatchObject([{ owner: hostile, code: hostile }])
  })

  it('is bounded, whatever the names', () => {
    const { log, tick, batches } = bench()
    log.write({ ...ENTRY, owner: 'a'.repeat(100_000), code: 'b'.repeat(100_000) })
    tick()
    expect(batches[0]?.text.length).toBeLessThan(1_000)
  })

  it('names no owner where owners are sealed', () => {
    const { log, tick, batches, parsed } = bench(false)
    log.write(ENTRY)
    tick()
    expect(parsed(0)).toMatchObject([{ owner: 'sealed' }])
    expect(batches[0]?.text).not.toContain('alice')
  })
})

describe('a slow sink', () => {
  it('is not asked while requests are served, and never twice at once', async () => {
    const { log, batches, tick, settled } = bench()
    log.write(ENTRY)
    expect(batches).toHaveLength(0)
    tick()
    log.write(ENTRY)
    tick()
    expect(batches).toHaveLength(1)
    batches[0]?.done.resolve()
    await settled()
    tick()
    expect(batches).toHaveLength(2)
  })

  it('costs a bounded memory; what is dropped is counted in the log itself', async () => {
    const { log, batches, tick, settled, parsed } = bench()
    log.write(ENTRY)
    tick()
    const length = batches[0]?.text.length ?? 0
    const written = 2 * Math.ceil(MOST_WAITING / length)
    for (let i = 0; i < written; i++) log.write(ENTRY)
    batches[0]?.done.resolve()
    await settled()
    tick()
    const [, second] = batches
    const [first, ...kept] = parsed(1)
    expect(second?.text.length).toBeLessThan(MOST_WAITING + 200)
    expect(first).toMatchObject({ event: 'dropped', lines: written - kept.length })
    expect(kept.length).toBe(Math.floor(MOST_WAITING / length) - 1)
  })

  it('does not keep the gate from closing, and is not complained of then, perhaps on the very pipe that is full', async () => {
    const { log, batches, states, tick, settled } = bench()
    log.write(ENTRY)
    tick()
    const closed = log.close()
    tick()
    await closed
    await settled()
    expect(batches).toHaveLength(1)
    expect(states).toEqual([])
  })

  it('gets what waits at the end', async () => {
    const { log, batches } = bench()
    log.write(ENTRY)
    const closed = log.close()
    batches[0]?.done.resolve()
    await closed
    expect(batches).toHaveLength(1)
  })
})

describe('a sink that fails', () => {
  it('is told once, loses counted lines, and is used again on a line of its own', async () => {
    const { log, batches, states, tick, settled } = bench()
    for (let i = 0; i < 2; i++) {
      log.write(ENTRY)
      log.write(ENTRY)
      tick()
      batches[i]?.done.reject(new Error('ENOSPC'))
      await settled()
    }
    expect(states).toEqual([false])
    log.write(ENTRY)
    tick()
    expect(batches[2]?.text.startsWith('\n{')).toBe(true)
    expect(batches[2]?.text).toContain('"event":"dropped","lines":4}')
    batches[2]?.done.resolve()
    await settled()
    expect(states).toEqual([false, true])
  })
})
