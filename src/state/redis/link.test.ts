/** When the link may be used, with connections and a clock in the test's hand. */
import { describe, expect, it } from 'vitest'
import { type Connection, RedisLink, RedisRefused } from './link.ts'
import { run, SERVER_TIME, script } from './script.ts'

interface Sent {
  readonly command: readonly string[]
  answer(reply: unknown): void
  fail(error: unknown): void
}

class FakeConnection implements Connection {
  readonly sent: Sent[] = []
  destroyed = 0
  opened: () => void = () => undefined
  failed: (error: unknown) => void = () => undefined
  readonly broke: (error: unknown) => void

  constructor(broke: (error: unknown) => void) {
    this.broke = broke
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.opened = resolve
      this.failed = reject
    })
  }

  send(command: readonly string[]): Promise<unknown> {
    return new Promise((answer, fail) => this.sent.push({ command, answer, fail }))
  }

  destroy(): void {
    this.destroyed += 1
  }
}

/** A link with a time limit of 100 ms, and everything around it. */
function harness() {
  const connections: FakeConnection[] = []
  const timers: { ms: number; f: () => void; off: boolean }[] = []
  const told: [boolean, string][] = []
  let ready = 0
  const link = new RedisLink({
    connect: broke => {
      const connection = new FakeConnection(broke)
      connections.push(connection)
      return connection
    },
    timeoutMs: 100,
    clock: {
      timer: (ms, f) => {
        const timer = { ms, f, off: false }
        timers.push(timer)
        return () => {
          timer.off = true
        }
      },
    },
    onState: (ok, reason) => told.push([ok, reason]),
  })
  link.onReady(() => (ready += 1))
  const last = (): FakeConnection => {
    const connection = connections.at(-1)
    if (connection === undefined) throw new Error('no connection yet')
    return connection
  }
  return {
    link,
    connections,
    told,
    last,
    ready: () => ready,
    waiting: () => timers.filter(t => !t.off).map(t => t.ms),
    /** The oldest timer of so many milliseconds is over. */
    over: (ms: number) => {
      const timer = timers.find(t => !t.off && t.ms === ms)
      if (timer === undefined) throw new Error(`no timer of ${ms} ms`)
      timer.off = true
      timer.f()
    },
    connected: async () => {
      last().opened()
      await settled()
    },
  }
}

const settled = () => new Promise(setImmediate)
const outcome = (p: Promise<unknown>) => p.then(String, (error: Error) => error.message)

describe('without a connection', () => {
  it('everything is rejected at once, and nothing is kept for later', async () => {
    const h = harness()
    expect(await outcome(h.link.send(['PING']))).toBe('there is no connection to Redis')
    await h.connected()
    expect(h.last().sent).toEqual([])
    expect(h.link.ok).toBe(true)
    expect(h.told).toEqual([[true, 'connected']])
  })

  it('another is tried without end, with longer and longer waits, and told of once', async () => {
    const h = harness()
    for (const ms of [50, 100, 200, 400, 800, 1600, 2000, 2000]) {
      h.last().failed(Object.assign(new Error('connect ECONNREFUSED 10.0.0.5:6379'), { code: 'ECONNREFUSED' }))
      await settled()
      expect(h.waiting()).toEqual([ms])
      h.over(ms)
    }
    expect(h.told).toEqual([[false, 'ECONNREFUSED']])
    await h.connected()
    // A success begins the waits anew.
    h.last().broke(new Error('gone'))
    expect(h.waiting()).toEqual([50])
    expect(h.told.slice(1)).toEqual([
      [true, 'connected'],
      [false, 'connection lost'],
    ])
  })

  it('one that does not come about in five seconds is given up', async () => {
    const h = harness()
    const first = h.last()
    h.over(5_000)
    expect(first.destroyed).toBe(1)
    h.over(50)
    await h.connected()
    // The first one comes about after all: it is nobody's.
    first.opened()
    first.broke(new Error('late'))
    await settled()
    expect(h.link.ok).toBe(true)
    expect(h.connections).toHaveLength(2)
  })
})

describe('an answer', () => {
  it('in time is the answer, and leaves no timer behind', async () => {
    const h = harness()
    await h.connected()
    const asked = h.link.send(['PING'])
    h.last().sent[0]?.answer('PONG')
    expect(await asked).toBe('PONG')
    expect(h.waiting()).toEqual([])
  })

  it('that is overdue rejects, closes the link to others, and opens it when it comes after all', async () => {
    const h = harness()
    await h.connected()
    const late: unknown[] = []
    const asked = outcome(h.link.send(['PING'], reply => late.push(reply)))
    const beside = outcome(h.link.send(['TIME']))
    h.over(100)
    expect(await asked).toBe('Redis did not answer within 100 ms')
    expect(h.link.ok).toBe(false)
    expect(await outcome(h.link.send(['PING']))).toBe('there is no connection to Redis')
    expect(h.last().sent).toHaveLength(2)
    h.last().sent[0]?.answer('PONG')
    await settled()
    expect(late).toEqual(['PONG'])
    expect(h.link.ok).toBe(true)
    expect(h.ready()).toBe(2)
    // What was asked beside it keeps its own time limit.
    h.last().sent[1]?.answer('now')
    expect(await beside).toBe('now')
    expect(h.told).toEqual([
      [true, 'connected'],
      [false, 'no answer within 100 ms'],
      [true, 'answers again'],
    ])
  })

  it('that never comes gives the connection up, and everything on it', async () => {
    const h = harness()
    await h.connected()
    const asked = outcome(h.link.send(['PING']))
    h.over(100)
    await asked
    expect(h.waiting()).toEqual([500])
    h.over(500)
    expect(h.connections[0]?.destroyed).toBe(1)
    h.over(50)
    await h.connected()
    expect(h.link.ok).toBe(true)
    // The old connection no longer speaks for the new one.
    h.connections[0]?.sent[0]?.answer('PONG')
    h.connections[0]?.broke(new Error('x'))
    await settled()
    expect(h.link.ok).toBe(true)
  })

  it('that is an error is an answer: the link stays open', async () => {
    const h = harness()
    await h.connected()
    const asked = h.link.send(['GET', 'x'])
    h.last().sent[0]?.fail(new RedisRefused('WRONGTYPE'))
    await expect(asked).rejects.toMatchObject({ name: 'RedisRefused', code: 'WRONGTYPE' })
    expect(h.link.ok).toBe(true)
  })

  it('of a replica gives the connection up', async () => {
    const h = harness()
    await h.connected()
    const asked = outcome(h.link.send(['SET', 'x', '1']))
    h.last().sent[0]?.fail(new RedisRefused('READONLY'))
    expect(await asked).toBe('Redis answered READONLY')
    expect(h.link.ok).toBe(false)
    expect(h.waiting()).toEqual([50])
  })

  it('does not come when the connection breaks: all are rejected, without the text of the error', async () => {
    const h = harness()
    await h.connected()
    const all = [h.link.send(['A']), h.link.send(['B'])].map(outcome)
    for (const sent of h.last().sent) sent.fail(new Error('read ECONNRESET redis://user:secret@host'))
    expect(await Promise.all(all)).toEqual(['the connection broke', 'the connection broke'])
    expect(JSON.stringify(h.told)).not.toContain('secret')
    expect(h.waiting()).toEqual([50])
  })
})

describe('closing', () => {
  it('waits for what is under way and tries no other connection', async () => {
    const h = harness()
    await h.connected()
    const asked = h.link.send(['A'])
    let closed = false
    const closing = h.link.close().then(() => (closed = true))
    await settled()
    expect(closed).toBe(false)
    h.last().sent[0]?.answer('a')
    await Promise.all([asked, closing])
    expect(h.last().destroyed).toBe(1)
    h.last().broke(new Error('closed'))
    expect(h.waiting()).toEqual([])
    expect(await outcome(h.link.send(['PING']))).toBe('there is no connection to Redis')
  })

  it('ends the attempts when there is no connection', async () => {
    const h = harness()
    h.last().failed(new Error('no'))
    await settled()
    await h.link.close()
    expect(h.waiting()).toEqual([])
    expect(h.connections).toHaveLength(1)
  })

  it('does not wait for ever', async () => {
    const h = harness()
    await h.connected()
    const asked = outcome(h.link.send(['A']))
    const closing = h.link.close()
    h.over(100)
    await closing
    expect(await asked).toContain('did not answer')
    expect(h.waiting()).toEqual([])
  })
})

describe('a script', () => {
  const once = script('return 1', SERVER_TIME)

  it('is sent by its digest, and in full only to a server that does not know it', async () => {
    const h = harness()
    await h.connected()
    const asked = run(h.link, once, 'key', [1, 'x'])
    expect(h.last().sent[0]?.command).toEqual(['EVALSHA', once.id, '1', 'key', '1', 'x'])
    h.last().sent[0]?.fail(new RedisRefused('NOSCRIPT'))
    await settled()
    expect(h.last().sent[1]?.command).toEqual(['EVAL', once.source, '1', 'key', '1', 'x'])
    h.last().sent[1]?.answer(1)
    expect(await asked).toBe(1)
  })

  it('is not sent again after any other error: it may have run', async () => {
    const h = harness()
    await h.connected()
    const asked = outcome(run(h.link, once, 'key', []))
    h.last().sent[0]?.fail(new RedisRefused('BUSY'))
    expect(await asked).toBe('Redis answered BUSY')
    expect(h.last().sent).toHaveLength(1)
  })
})
