/** Callers who leave, callers who do not read, too many callers, and a gate that is told to stop. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { post, raw, rawOn } from '../http/raw.ts'
import { chat, startTestGate } from '../support/gate.ts'
import { eventOf, finish, handUpstream, RowWatch, SettleProbe } from './support.ts'

vi.setConfig({ testTimeout: 15_000 })

const OWNER = 'X-Commit-Owner: human:alice@example.com'
const BODY = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] })
const left = (r: { metadata: Readonly<Record<string, unknown>> }) => r.metadata['_code'] === 'client_disconnect'

async function start(options: Parameters<typeof startTestGate>[0] = {}) {
  const upstream = await handUpstream()
  const watch = new RowWatch()
  const probe = new SettleProbe()
  const gate = await startTestGate({ checks: [probe], upstreamUrl: upstream.url, wrapAudit: watch.wrap, ...options })
  const close = async () => {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
    await upstream.close()
  }
  return { upstream, watch, probe, gate, close, port: gate.running.port }
}

/** Sends a streaming request and reads nothing more than the head. */
async function stalled(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(post([OWNER], BODY))
  await once(socket, 'readable')
  return socket
}

describe('a caller who leaves', () => {
  it('in the middle of its body is recorded, and nothing was called', async () => {
    const { watch, port, close, upstream, probe } = await start()
    const socket = connect(port, '127.0.0.1')
    const bytes = post([OWNER], BODY)
    socket.write(bytes.subarray(0, bytes.length - 10))
    await once(socket, 'connect')
    socket.end()
    const row = await watch.row(left)
    expect(row).toMatchObject({ checkName: 'pipeline.preflight', decision: 'block', fingerprint: '' })
    expect(upstream.calls).toHaveLength(0)
    expect(probe.settled.size).toBe(0)
    await close()
  })

  for (const stream of [false, true])
    it(`cancels upstream, ${stream ? 'streamed' : 'unary'}`, async () => {
      const { watch, gate, close, upstream, probe, port } = await start()
      const socket = connect(port, '127.0.0.1')
      socket.write(post([OWNER], BODY.replace('true', String(stream))))
      const call = await upstream.call()
      call.head(stream)
      if (stream) call.event('a beginning')
      else call.res.write('{"id":')
      if (stream) await once(socket, 'readable')
      socket.destroy()
      await call.gone
      expect(await watch.row(left)).toMatchObject({
        checkName: 'pipeline.complete',
        metadata: { _outcome: 'disconnected', upstream_status: 200 },
      })
      expect(await probe.all()).toMatchObject([{ kind: 'disconnected', forwarded: true }])
      await new Promise(setImmediate)
      expect(gate.running.gate.targets.openai.upstream.active).toBe(0)
      expect(gate.running.gate.load).toMatchObject({ active: 0, heldBytes: 0 })
      await close()
    })

  it('after everything has arrived but before it was read: recorded as left, not as completed', async () => {
    // An upstream that hands over the whole answer, end included, at once: far more than any socket takes unread.
    const answer = Buffer.from(`${eventOf('x'.repeat(500_000)).repeat(64)}${finish}data: [DONE]\n\n`)
    const upstream: Upstream = {
      label: 'all-at-once',
      exposed: false,
      active: 0,
      forward: (_request, handler) => {
        queueMicrotask(() => {
          handler.onHead(200, { 'content-type': 'text/event-stream' })
          handler.onData(answer)
          handler.onEnd()
        })
        return { pause: () => undefined, resume: () => undefined, cancel: () => undefined }
      },
      probe: async () => ({ ready: true, status: 200 }),
      close: async () => undefined,
      destroy: async () => undefined,
    }
    const { watch, close, port, probe, gate } = await start({ upstream })
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(post([OWNER], BODY))
    // Its first byte: everything before the end mark has been written by then, and most of it waits for this reader.
    await once(socket, 'readable')
    socket.destroy()
    const [outcome] = await probe.all()
    expect(outcome?.kind).toBe('disconnected')
    // Only when the gate has come to rest is it known that no row follows.
    await gate.running.close()
    const ends = watch.rows.filter(r => r.metadata['_outcome'] !== undefined)
    expect(ends).toMatchObject([{ decision: 'block', metadata: { _outcome: 'disconnected' } }])
    expect(watch.rows.at(-1)).toBe(ends[0])
    await close()
  })
})

it.each([
  ['throws as it is called', 'forward'],
  ['hands over headers that throw when they are read', 'head'],
] as const)('an upstream that %s: an error with its id, a row, and everything given back', async (_what, how) => {
  const boom = () => {
    throw new TypeError('hunter2')
  }
  const upstream: Upstream = {
    label: 'broken',
    exposed: false,
    active: 0,
    forward: (_request, handler) => {
      if (how === 'forward') boom()
      queueMicrotask(() => {
        try {
          handler.onHead(200, new Proxy({}, { get: boom, ownKeys: boom }))
        } catch {
          // As the pool does with a callback that throws.
          handler.onError({ kind: 'fault', code: 'upstream_exception', message: 'the call failed' })
        }
      })
      return { pause: () => undefined, resume: () => undefined, cancel: () => undefined }
    },
    probe: async () => ({ ready: true, status: 200 }),
    close: async () => undefined,
    destroy: async () => undefined,
  }
  for (const strict of [false, true]) {
    const { watch, close, probe, gate } = await start({ upstream, settings: { strict } })
    const res = await chat(gate, BODY)
    const text = await res.text()
    const id = res.headers.get('x-signet-correlation-id')
    expect([502, 503]).toContain(res.status)
    expect(JSON.parse(text)).toMatchObject({ correlation_id: id })
    expect(res.headers.get('x-signet-upstream')).toBe('broken')
    expect(text).not.toMatch(strict ? /TypeError|hunter2/ : /hunter2/)
    expect(await probe.all()).toMatchObject([{ kind: 'faulted' }])
    expect(watch.of(id).at(-1)).toMatchObject({ decision: 'block' })
    expect(JSON.stringify(watch.rows)).not.toContain('hunter2')
    expect(gate.running.gate.load).toMatchObject({ active: 0, heldBytes: 0 })
    await close()
  }
})

describe('a caller who does not read', () => {
  it('stops upstream from being read', async () => {
    const { upstream, port, close, gate } = await start()
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(post([OWNER], BODY))
    const call = await upstream.call()
    call.head(true)
    // Upstream offers far more than all the sockets on the way take; `taken` is what the kernel has accepted from it.
    const event = Buffer.from(eventOf('y'.repeat(60_000)))
    const offered = 1500
    let taken = 0
    for (let i = 0; i < offered; i += 1) call.res.write(event, () => (taken += 1))
    // Whole exchanges of somebody else, over the same event loop, until twenty in a row have moved nothing: a gate that
    // read on would have been given bytes in each of them.
    for (let still = 0, n = 1; still < 20; n += 1) {
      const before = taken
      const asked = chat(gate, BODY)
      const other = await upstream.call(n)
      other.head(true)
      other.done()
      expect(await (await asked).text()).toMatch(/\[DONE\]/)
      still = taken === before ? still + 1 : 0
      expect(taken).toBeLessThan(offered)
    }
    expect(gate.running.gate.load.heldBytes).toBeLessThan(1024 * 1024)
    // It goes on where it stopped, and nothing was lost.
    call.done()
    const whole = new Promise<number>(resolve => {
      let letters = 0
      let tail = ''
      socket.on('data', (chunk: Buffer) => {
        for (const byte of chunk) if (byte === 0x79) letters += 1
        tail = (tail + chunk.toString('latin1')).slice(-2000)
        if (tail.includes('data: [DONE]')) resolve(letters)
      })
    })
    socket.resume()
    expect(await whole).toBeGreaterThanOrEqual(offered * 60_000)
    expect(taken).toBe(offered)
    socket.destroy()
    await close()
  })
})

describe('too many', () => {
  it('exchanges at once: 503 with a row, and room again afterwards', async () => {
    const { upstream, gate, close, watch } = await start({ settings: { maxConcurrent: 3 } })
    const running = [0, 1, 2].map(() => chat(gate, BODY))
    await upstream.call(2)
    const res = await chat(gate, BODY)
    expect(res.status).toBe(503)
    expect(res.headers.get('retry-after')).toBe('1')
    const body = (await res.json()) as Record<string, unknown>
    expect(body).toMatchObject({ error: 'overloaded', correlation_id: res.headers.get('x-signet-correlation-id') })
    expect(watch.of(res.headers.get('x-signet-correlation-id'))).toMatchObject([
      { checkName: 'pipeline.preflight', metadata: { _refusal_kind: 'overloaded', _status: 503 } },
    ])
    for (const call of upstream.calls) {
      call.head(true)
      call.event('done')
      call.done()
    }
    for (const r of await Promise.all(running)) expect(await r.text()).toMatch(/\[DONE\]/)
    expect(gate.running.gate.load.active).toBe(0)
    const again = chat(gate, BODY)
    const call = await upstream.call(3)
    call.head(true)
    call.done()
    expect((await again).status).toBe(200)
    await close()
  })

  it('held bytes in all exchanges together: 503 overloaded', async () => {
    const { upstream, gate, close } = await start({ settings: { maxHeldBytesTotal: 100_000 } })
    const asked = chat(gate, BODY.replace('true', 'false'))
    const call = await upstream.call()
    call.head(false)
    call.res.write(`{"id":"${'x'.repeat(200_000)}`)
    const res = await asked
    expect(res.status).toBe(503)
    expect(await res.json()).toMatchObject({ refusal_kind: 'overloaded' })
    await call.gone
    expect(gate.running.gate.load.heldBytes).toBe(0)
    await close()
  })
})

describe('shutdown', () => {
  it('lets a running stream end, and takes no new connection', async () => {
    const { upstream, gate, port, watch } = await start({ shutdownGraceMs: 10_000 })
    const answer = rawOn(connect(port, '127.0.0.1'), post([OWNER], BODY))
    const call = await upstream.call()
    call.head(true)
    call.event('first ')
    await watch.row(r => r.checkName === 'pipeline.admission')
    const closed = gate.running.close()
    const refused = await raw(port, post([OWNER], BODY))
    expect(refused).toMatchObject({ text: '', closed: true })
    call.event('second')
    call.done()
    const { answers } = await answer
    expect(answers[0]?.body.toString()).toMatch(/first[\s\S]*second[\s\S]*\[DONE\]\n\n$/)
    await closed
    expect(watch.rows.at(-1)).toMatchObject({ checkName: 'pipeline.complete', decision: 'allow' })
    await gate.close()
    await upstream.close()
  })

  it('closes a kept-alive connection when its answer is over, without waiting for the grace period', async () => {
    const { upstream, gate, port } = await start({ shutdownGraceMs: 14_000 })
    const socket = connect(port, '127.0.0.1')
    const answer = rawOn(socket, post([OWNER], BODY), Number.POSITIVE_INFINITY)
    const call = await upstream.call()
    const closed = gate.running.close()
    call.head(true)
    call.event('x')
    call.done()
    expect((await answer).closed).toBe(true)
    await closed
    await gate.close()
    await upstream.close()
  })

  it('ends what does not end by itself, with a row and a settlement for each', async () => {
    const { upstream, gate, port, watch, probe } = await start({ shutdownGraceMs: 50 })
    const silent = rawOn(connect(port, '127.0.0.1'), post([OWNER], BODY), Number.POSITIVE_INFINITY)
    await upstream.call()
    const half = await (async () => {
      const socket = connect(port, '127.0.0.1')
      const answer = rawOn(socket, post([OWNER], BODY), Number.POSITIVE_INFINITY)
      const call = await upstream.call(1)
      call.head(true)
      call.event('half')
      await once(socket, 'data')
      return { answer }
    })()
    await gate.running.close()
    await silent
    expect((await half.answer).text).toMatch(/half/)
    const outcomes = await probe.all()
    expect(outcomes).toHaveLength(2)
    for (const o of outcomes) expect(['faulted', 'disconnected']).toContain(o.kind)
    const ends = watch.rows.filter(r => r.metadata['_outcome'] !== undefined)
    expect(ends).toHaveLength(2)
    const report = await gate.verify()
    expect(report.ok).toBe(true)
    // They are in the file, not only in memory.
    expect(gate.rows().filter(r => (r['metadata'] as Record<string, unknown>)['_outcome'] !== undefined)).toHaveLength(
      2,
    )
    await gate.close()
    await upstream.close()
  })
})

it('leaves no stalled caller behind that keeps another from being served', async () => {
  const { upstream, gate, port, close } = await start()
  const socket = stalled(port)
  const call = await upstream.call()
  call.head(true)
  call.res.write(eventOf('z'.repeat(60_000)).repeat(50))
  await socket
  const asked = chat(gate, BODY)
  const second = await upstream.call(1)
  second.head(true)
  second.done()
  expect((await asked).status).toBe(200)
  ;(await socket).destroy()
  await call.gone
  await close()
})
