/**
 * What every client library has to make of the gate, whatever API it speaks and whatever it is written on: one suite, run
 * with each client's own methods, accumulators, tool loop and errors.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import { demoChecks, startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'

export interface Asking {
  readonly streamed: boolean
  readonly signal?: AbortSignal
  /** Called with each piece of text, where the answer is streamed. */
  readonly onText?: (piece: string) => void
}

export interface Looped<History> {
  readonly text: string
  readonly history: History
}

/** A client that was given the gate's address. */
export interface Connected<History> {
  ask(prompt: string, asking: Asking): Promise<string>
  /** The client's own tool loop, or the one its manual shows, to its end. `run` is the tool, by its name. */
  loop(
    prompt: string,
    asking: Asking,
    run: (name: string, city: string) => string,
    after?: History,
  ): Promise<Looped<History>>
  /** An answer in the shape `{ city: string }`, as the client reads it. */
  structured?(prompt: string): Promise<unknown>
}

type ErrorClass = abstract new (...args: never[]) => Error

export interface Expected {
  /** The class of the error, or its name where the package does not let its own copy of the class be had. */
  readonly type: ErrorClass | string
  readonly like?: Readonly<Record<string, unknown>>
}

export interface Client<History> {
  readonly name: string
  startUpstream(): Promise<{ readonly url: string; readonly seen: readonly unknown[]; close(): Promise<void> }>
  connect(gate: TestGate, options: { readonly owner: string | undefined; readonly retries: number }): Connected<History>
  readonly errors: {
    readonly refused: Expected
    readonly limited: Expected
    readonly heldByError: Expected
    /** In the middle of a stream: a block, and a held call. */
    readonly aborted: Expected
    readonly heldInStream: Expected
  }
  /** What upstream is told of a refused call in the next turn, where the client does not say the notice again itself. */
  readonly echo?: string
  /** What an error says, where its text does not. */
  readonly words?: (error: unknown) => string
  /** Unary, 202: what a client raises for an answer that is none, and how often it has asked by then (default: once). */
  readonly takes202: Expected & { readonly asks?: number }
}

/** The tools of every client here. Each takes a city. */
export const TOOLS = ['get_weather', 'search_orders', 'issue_refund', 'delete_account', 'format_disk'] as const
export const OWNER = 'human:alice@example.com'

const LEAK = 'The plan is simple. SECRET//NOFORN convoy at dawn.'
const hidden = (said: string) => `hex: ${Buffer.from(said).toString('hex')}`
const proposing = (...names: readonly string[]) =>
  `tools: ${JSON.stringify(names.map(name => [name, { city: `${name}-arg` }]))}`

export function clientSuite<History>(client: Client<History>): void {
  describe(client.name, () => {
    let upstream: Awaited<ReturnType<typeof client.startUpstream>>
    let gate: TestGate
    let connected: Connected<History>
    beforeAll(async () => {
      upstream = await client.startUpstream()
      gate = await startTestGate({ upstreamUrl: upstream.url })
      connected = client.connect(gate, { owner: OWNER, retries: 0 })
    })
    afterAll(async () => {
      const report = await gate.verify()
      await gate.close()
      await upstream.close()
      expect(report.ok).toBe(true)
    })

    const another = async (options: TestGateOptions, use: (gate: TestGate) => Promise<void>) => {
      const one = await startTestGate({ upstreamUrl: upstream.url, ...options })
      try {
        await use(one)
      } finally {
        await one.close()
      }
    }
    const limitedTo = (refillPerSecond: number): TestGateOptions => ({
      checks: demoChecks().map(c =>
        c instanceof RateLimitCheck ? new RateLimitCheck({ capacity: 1, refillPerSecond }) : c,
      ),
    })
    const wordsOf = client.words ?? String
    const blocks = (one: TestGate) => one.rows().filter(r => r['decision'] === 'block').length

    for (const streamed of [false, true]) {
      const mode = streamed ? 'streamed' : 'unary'
      const running = () => {
        const ran: string[] = []
        const run = (name: string, city: string) => {
          ran.push(`${name}(${city})`)
          return `sunny in ${city}`
        }
        return { ran, run }
      }

      it(`answers, ${mode}`, async () => {
        expect(await connected.ask('say: Hello there.', { streamed })).toBe('Hello there.')
      })

      it(`redacts within the text, ${mode}`, async () => {
        expect(await connected.ask(hidden('use sk-test-abcdefgh1234 now'), { streamed })).toBe('use [REDACTED] now')
      })

      it(`runs an allowed call and ends with the answer to its result, ${mode}`, async () => {
        const { ran, run } = running()
        const { text } = await connected.loop(proposing('get_weather'), { streamed }, run)
        expect(ran).toEqual(['get_weather(get_weather-arg)'])
        expect(text).toContain('sunny in get_weather-arg')
      })

      it(`reads a refused call as text, runs nothing, and may echo the turn back, ${mode}`, async () => {
        const { ran, run } = running()
        const { text, history } = await connected.loop(proposing('format_disk'), { streamed }, run)
        expect(text).toContain('signet refused the tool call format_disk')
        expect(ran).toEqual([])
        const next = await connected.loop('say: Never mind.', { streamed }, run, history)
        expect(next.text).toBe('Never mind.')
        const told = JSON.stringify(upstream.seen.at(-1))
        expect(told).toContain(client.echo ?? 'signet refused the tool call format_disk')
        // Once in the question; never again as a call.
        expect(told.split('format_disk-arg').length).toBe(2)
      })

      it(`runs the other calls of the turn, whichever is refused, ${mode}`, async () => {
        for (const names of [
          ['delete_account', 'get_weather', 'search_orders'],
          ['get_weather', 'delete_account', 'search_orders'],
          ['get_weather', 'search_orders', 'format_disk'],
          ['format_disk', 'delete_account', 'get_weather'],
        ]) {
          const { ran, run } = running()
          const { text, history } = await connected.loop(proposing(...names), { streamed }, run)
          const allowed = names.filter(n => n === 'get_weather' || n === 'search_orders')
          expect(ran.toSorted()).toEqual(allowed.map(n => `${n}(${n}-arg)`).toSorted())
          for (const name of allowed) expect(text).toContain(`sunny in ${name}-arg`)
          const next = await connected.loop('say: And on we go.', { streamed }, run, history)
          expect(next.text).toBe('And on we go.')
          expect(JSON.stringify(upstream.seen.at(-1))).toContain(client.echo ?? 'signet refused the tool call')
        }
      })

      it(`raises its own error for a refusal before the model, and does not ask again, ${mode}`, async () => {
        const [rows, calls] = [gate.rows().length, upstream.seen.length]
        const nobody = client.connect(gate, { owner: undefined, retries: 3 })
        const error = await thrown(() => nobody.ask('say: Hello.', { streamed }))
        expectError(error, client.errors.refused)
        expect(wordsOf(error)).toContain('signet refused this request')
        expect(gate.rows().length).toBe(rows + 1)
        expect(upstream.seen.length).toBe(calls)
      })

      it(`raises its own error for a rate limit, ${mode}`, async () => {
        await another(limitedTo(0.001), async one => {
          const hasty = client.connect(one, { owner: OWNER, retries: 0 })
          await hasty.ask('say: Hello.', { streamed })
          expectError(await thrown(() => hasty.ask('say: Hello.', { streamed })), client.errors.limited)
          expect(blocks(one)).toBe(1)
        })
      })

      it(`waits for a rate limit, and gives up in the end, ${mode}`, async () => {
        await another(limitedTo(1), async one => {
          const patient = client.connect(one, { owner: OWNER, retries: 3 })
          await patient.ask('say: Hello.', { streamed })
          expect(await patient.ask('say: Hello again.', { streamed })).toBe('Hello again.')
          expect(blocks(one)).toBeGreaterThan(0)
        })
        // No time is named here: no waiting would help.
        const spent = demoChecks().map(c => (c instanceof TokenBudgetCheck ? new TokenBudgetCheck({ cap: 1 }) : c))
        await another({ checks: spent }, async one => {
          const patient = client.connect(one, { owner: OWNER, retries: 1 })
          await thrown(() => patient.ask('say: Hello.', { streamed }))
          expect(blocks(one)).toBeLessThanOrEqual(2)
        })
      })

      it(`raises its own error for a held call where the operator wants one, ${mode}`, async () => {
        await another({ settings: { onEscalate: '403' } }, async one => {
          const { ran, run } = running()
          const { loop } = client.connect(one, { owner: OWNER, retries: 0 })
          const error = await thrown(() => loop(proposing('get_weather', 'issue_refund'), { streamed }, run))
          expectError(error, streamed ? client.errors.heldInStream : client.errors.heldByError)
          expect(wordsOf(error)).toContain("needs a human's approval")
          expect(ran).toEqual([])
        })
      })

      it(`leaves a row when the caller gives up, ${mode}`, async () => {
        const [rows, calls] = [gate.rows().length, upstream.seen.length]
        const controller = new AbortController()
        const asked = connected.ask('hang: Once upon a time there was a gate.', {
          streamed,
          signal: controller.signal,
          ...(streamed ? { onText: () => controller.abort() } : {}),
        })
        const ended = asked.catch(() => undefined)
        if (!streamed) {
          await vi.waitUntil(() => upstream.seen.length > calls, { timeout: 30_000 })
          controller.abort()
        }
        await ended
        await vi.waitUntil(() => JSON.stringify(gate.rows().slice(rows)).includes('client_disconnect'), {
          timeout: 30_000,
        })
      })
    }

    it('raises its own error for an abort in mid-stream, after the text before it', async () => {
      let text = ''
      const onText = (piece: string) => {
        text += piece
      }
      const error = await thrown(() => connected.ask(hidden(LEAK), { streamed: true, onText }))
      expectError(error, client.errors.aborted)
      expect(text).toBe('The plan is simple. ')
      expect(String(error)).not.toMatch(/convoy|dawn/)
    })

    it('raises its own error for a held call in a stream, and runs nothing', async () => {
      const ran: string[] = []
      const run = (name: string) => {
        ran.push(name)
        return 'done'
      }
      const error = await thrown(() =>
        connected.loop(proposing('get_weather', 'issue_refund'), { streamed: true }, run),
      )
      expectError(error, client.errors.heldInStream)
      expect(ran).toEqual([])
    })

    it('runs nothing for a held call that is told by status 202', async () => {
      const ran: string[] = []
      const run = (name: string) => {
        ran.push(name)
        return 'done'
      }
      const calls = upstream.seen.length
      const asked = () => connected.loop(proposing('issue_refund'), { streamed: false }, run)
      expectError(await thrown(asked), client.takes202)
      expect(ran).toEqual([])
      expect(upstream.seen.length).toBe(calls + (client.takes202.asks ?? 1))
    })

    it('reads structured output', async () => {
      const { structured } = connected
      if (structured === undefined) return
      expect(await structured(hidden('{"city":"Oslo"}'))).toEqual({ city: 'Oslo' })
      expect(await structured(hidden('{"city":"sk-test-abcdefgh1234"}'))).toEqual({ city: '[REDACTED]' })
    })
  })
}

function expectError(error: unknown, expected: Expected): void {
  expect(error).toBeInstanceOf(typeof expected.type === 'string' ? Error : expected.type)
  if (typeof expected.type === 'string') expect((error as Error).constructor.name).toBe(expected.type)
  expect(error).toMatchObject(expected.like ?? {})
}

async function thrown(run: () => Promise<unknown>): Promise<unknown> {
  let given: unknown
  try {
    given = await run()
  } catch (error) {
    return error
  }
  throw new Error(`expected an error, not ${JSON.stringify(given)}`)
}
