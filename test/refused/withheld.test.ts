/** A turn that is withheld until it ends: comments, bounds, and a stream that stays one answer. */
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { BEAT_MS } from '../../src/gate/beats.ts'
import { verifyStreamReceipt } from '../../src/receipt/index.ts'
import { systemClock } from '../../src/state/system.ts'
import { ISSUER, type TestGate } from '../support/gate.ts'
import { CASES, NAMES, OWNER, REFUSED, roundsOf, story, toolsOf, upstream } from './support.ts'

/** Timers that the test lets go off. */
class Hand {
  readonly #due = new Set<{ readonly ms: number; readonly f: () => void }>()
  #set: () => void = () => undefined
  readonly clock: Clock = {
    now: () => systemClock.now(),
    nowNs: () => systemClock.nowNs(),
    timer: (ms, f) => {
      const timer = { ms, f }
      if (ms !== BEAT_MS) return systemClock.timer(ms, f)
      this.#due.add(timer)
      this.#set()
      return () => this.#due.delete(timer)
    },
  }
  /** Once one is set. */
  async beat(): Promise<void> {
    while (this.#due.size === 0) await new Promise<void>(resolve => (this.#set = resolve))
    for (const timer of [...this.#due]) {
      this.#due.delete(timer)
      timer.f()
    }
  }
  get waiting(): number {
    return this.#due.size
  }
}

describe.each(CASES.filter(c => c.stream))('a withheld stream ($name)', ({ name }) => {
  const PATHS: Record<string, string> = { chat: 'chat/completions', responses: 'responses', messages: 'messages' }
  const post = (gate: TestGate) => {
    const said = name === 'responses' ? { input: 'Hi.' } : { messages: [{ role: 'user', content: 'Hi.' }] }
    const body = { model: 'm', max_tokens: 999, stream: true, tools: toolsOf(name, NAMES), ...said }
    if (name === 'responses') Reflect.deleteProperty(body, 'max_tokens')
    const headers = { 'content-type': 'application/json', ...OWNER }
    return fetch(`${gate.url}/v1/${PATHS[name]}`, { method: 'POST', headers, body: JSON.stringify(body) })
  }
  /** The gate has read the head of the answer, and holds back what came behind it. */
  const opened = async (hand: Hand, answer: Promise<Response>, until: () => boolean) => {
    let res: Response | undefined
    answer.then(
      r => {
        res = r
      },
      () => undefined,
    )
    while (res === undefined && !until()) {
      await hand.beat()
      await new Promise(resolve => setImmediate(resolve))
    }
    return answer
  }

  it.each([
    ['an answer', { text: 'Declined.' }, 'Declined.'],
    ['a fault of upstream', { status: 500 }, 'signet_abort'],
    ['a broken answer', { text: 'Half', breaks: true as const }, 'signet_abort'],
  ])('is kept alive by comments, and ends with %s', async (_what, then, expected) => {
    const hand = new Hand()
    const rows = await story(
      async gate => {
        const held = Promise.withResolvers<void>()
        upstream.say({ text: 'Secret plan.', calls: [REFUSED], pause: () => held.promise }, then)
        const res = await opened(hand, post(gate), () => false)
        expect(res.status).toBe(200)
        held.resolve()
        const raw = await res.text().catch((error: unknown) => String(error))
        expect(raw).toContain(': signet withholds this turn until it ends')
        expect(raw).toContain(expected)
        expect(raw).not.toMatch(/Secret plan|format_disk/)
        expect(upstream.seen).toHaveLength(2)
        expect(hand.waiting).toBe(0)
        if (expected === 'Declined.') {
          const options = { keys: { keys: [gate.signer.publicJwk] }, issuer: ISSUER }
          await verifyStreamReceipt(Buffer.from(raw), options)
        }
      },
      { clock: hand.clock },
    )
    expect(roundsOf(rows, 'pipeline.continue')).toEqual([0])
  })

  it('that breaks off while it is withheld ends with the error frame of its API', async () => {
    const hand = new Hand()
    const rows = await story(
      async gate => {
        const held = Promise.withResolvers<void>()
        upstream.say({ text: 'Secret plan.', calls: [REFUSED], pause: () => held.promise, breaks: true })
        const res = await opened(hand, post(gate), () => false)
        held.resolve()
        const raw = await res.text()
        expect(raw).toContain('signet_abort')
        expect(raw).not.toMatch(/Secret plan|format_disk/)
        expect(hand.waiting).toBe(0)
      },
      { clock: hand.clock },
    )
    expect(roundsOf(rows, 'pipeline.upstream')).toEqual([0])
  })

  it('fails closed when it is longer than may be held', async () => {
    await story(
      async gate => {
        upstream.say({ text: 'word '.repeat(2000), calls: [REFUSED] })
        const raw = await (await post(gate)).text()
        expect(raw).toMatch(/upstream_too_large|too large|held back|withheld/)
        expect(raw).not.toContain('format_disk')
        expect(upstream.seen).toHaveLength(1)
      },
      { settings: { maxHeldBytes: 8192 } },
    )
  })
})
