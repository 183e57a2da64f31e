/** `onRefuse: 'continue'`: a turn in which every call is refused is not delivered, and the model is asked again. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import fc from 'fast-check'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAuditLog } from '../src/audit/open.ts'
import { verifyLog } from '../src/audit/verify.ts'
import { RegexOutputCheck } from '../src/checks/regex-output.ts'
import { TokenBudgetCheck } from '../src/checks/token-budget.ts'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import type { Check } from '../src/core/check.ts'
import type { Clock } from '../src/core/clock.ts'
import type { Outcome } from '../src/core/exchange.ts'
import { ALLOW } from '../src/core/verdict.ts'
import { BEAT_MS } from '../src/gate/beats.ts'
import { verifyReceipt, verifyStreamReceipt } from '../src/receipt/index.ts'
import { systemClock } from '../src/state/system.ts'
import {
  DEMO_REGISTRY,
  demoChecks,
  ISSUER,
  RING,
  chat as sendChat,
  startTestGate,
  type TestGate,
  type TestGateOptions,
} from './support/gate.ts'
import { saidAddress } from './support/said-address.ts'
import { type Said, type Scripted, startScripted } from './support/scripted.ts'

const CHILD = join(import.meta.dirname, 'crash/gate-child.ts')
const OWNER = { 'x-commit-owner': 'human:alice@example.com' }
const NAMES = ['get_weather', 'format_disk', 'wipe']
/** In no registry, so refused. */
const REFUSED = { name: 'format_disk', args: '{"disk":"all-of-it"}' }
const ALLOWED = { name: 'get_weather', args: '{"city":"Oslo"}' }
const NOTICE = '[signet refused the tool call format_disk'

interface Turn {
  readonly text: string
  readonly calls: readonly string[]
  readonly raw: string
  readonly headers: Headers
  readonly sent: string
}

/** One turn through a vendor's own client, and the bytes as they came. */
type Ask = (gate: TestGate, stream: boolean, more?: object, signal?: AbortSignal) => Promise<Turn>

function listening() {
  const heard = { raw: Promise.resolve(''), headers: new Headers(), sent: '' }
  const listen = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    heard.sent = String(init?.body)
    const res = await fetch(url, init)
    heard.headers = res.headers
    const copy = res.clone()
    heard.raw = copy.text().catch(() => '')
    return res
  }
  return { heard, listen }
}

const openai = (gate: TestGate, listen: typeof fetch) =>
  new OpenAI({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, maxRetries: 0, defaultHeaders: OWNER, fetch: listen })

const chat: Ask = async (gate, stream, more = {}, signal) => {
  const { heard, listen } = listening()
  const tools = NAMES.map(name => ({ type: 'function' as const, function: { name, parameters: { type: 'object' } } }))
  const body = { model: 'm', messages: [{ role: 'user' as const, content: 'Clean up.' }], tools, ...more }
  const client = openai(gate, listen as typeof fetch)
  const options = signal === undefined ? {} : { signal }
  const answer = stream
    ? await client.chat.completions.stream(body, options).finalChatCompletion()
    : await client.chat.completions.create(body, options)
  const message = answer.choices[0]?.message
  const calls = (message?.tool_calls ?? []).map(c => (c.type === 'function' ? c.function.name : ''))
  return { ...heard, raw: await heard.raw, text: message?.content ?? '', calls }
}

const responses: Ask = async (gate, stream, more = {}, signal) => {
  const { heard, listen } = listening()
  const tools = NAMES.map(name => ({ type: 'function' as const, name, parameters: {}, strict: false }))
  const body = { model: 'm', input: 'Clean up.', tools, ...more }
  const client = openai(gate, listen as typeof fetch)
  const options = signal === undefined ? {} : { signal }
  const answer = stream
    ? await client.responses.stream(body, options).finalResponse()
    : await client.responses.create(body, options)
  const calls = answer.output.flatMap(i => (i.type === 'function_call' ? [i.name] : []))
  const text = answer.output.flatMap(i =>
    i.type === 'message' ? i.content.map(c => (c.type === 'output_text' ? c.text : '')) : [],
  )
  return { ...heard, raw: await heard.raw, text: text.join(''), calls }
}

const messages: Ask = async (gate, stream, more = {}, signal) => {
  const { heard, listen } = listening()
  const client = new Anthropic({
    apiKey: 'sk-none',
    authToken: null,
    baseURL: gate.url,
    maxRetries: 0,
    defaultHeaders: OWNER,
    fetch: listen as typeof fetch,
  })
  const tools = NAMES.map(name => ({ name, input_schema: { type: 'object' as const } }))
  const body = {
    model: 'm',
    max_tokens: 64,
    messages: [{ role: 'user' as const, content: 'Clean up.' }],
    tools,
    ...more,
  }
  const options = signal === undefined ? {} : { signal }
  const answer = stream
    ? await client.messages.stream(body, options).finalMessage()
    : await client.messages.create(body, options)
  const text = answer.content.map(b => (b.type === 'text' ? b.text : '')).join('')
  const calls = answer.content.flatMap(b => (b.type === 'tool_use' ? [b.name] : []))
  return { ...heard, raw: await heard.raw, text, calls }
}

const SURFACES = { chat, responses, messages }
const CASES = (['chat', 'responses', 'messages'] as const).flatMap(name =>
  [false, true].map(stream => ({ name, stream, ask: SURFACES[name] })),
)

/** Counts admissions, and settlements with what they say. */
class Ledger implements Check {
  readonly name = 'ledger'
  readonly priority = 1
  readonly timeLimitMs = 1000
  admitted = 0
  readonly settled: Outcome[] = []
  admit: NonNullable<Check['admit']> = (_x, ctx) => {
    this.admitted += 1
    ctx.onSettle(outcome => {
      this.settled.push(outcome)
    })
    return ALLOW
  }
  describe() {
    return {}
  }
}

let upstream: Scripted
beforeAll(async () => {
  upstream = await startScripted()
})
afterAll(() => upstream.close())

async function story(
  work: (gate: TestGate, ledger: Ledger) => Promise<void>,
  options: TestGateOptions = {},
): Promise<Record<string, unknown>[]> {
  const ledger = new Ledger()
  const gate = await startTestGate({
    upstreamUrl: upstream.url,
    ...options,
    checks: [...(options.checks ?? demoChecks()), ledger],
    settings: { onRefuse: 'continue', ...options.settings },
  })
  try {
    await work(gate, ledger)
    expect((await gate.verify()).ok).toBe(true)
    expect(ledger.settled.length).toBe(ledger.admitted)
    expect(gate.running.gate.load).toEqual({ active: 0, heldBytes: 0 })
    return gate.rows()
  } finally {
    await gate.close()
  }
}

const meta = (row: Record<string, unknown>) => row['metadata'] as Record<string, unknown>
const roundsOf = (rows: Record<string, unknown>[], check: string) =>
  rows.filter(r => meta(r)['_check_name'] === check).map(r => meta(r)['_round'] ?? 0)

async function thrown(run: () => Promise<unknown>): Promise<Error> {
  try {
    await run()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('expected an error')
}

async function finalClaims(gate: TestGate, turn: Turn, stream: boolean) {
  const options = {
    keys: { keys: [gate.signer.publicJwk] },
    issuer: ISSUER,
    requestBytes: Buffer.from(turn.sent),
  }
  const body = Buffer.from(turn.raw)
  const { claims } = stream
    ? await verifyStreamReceipt(body, options)
    : await verifyReceipt(turn.headers.get('x-signet-receipt') ?? '', {
        ...options,
        responseBytes: body,
        requireFinal: true,
      })
  return claims
}

describe.each(CASES)('a refused turn ($name, stream: $stream)', ({ name, stream, ask }) => {
  it('is told to the model, and its next answer is delivered', async () => {
    const rows = await story(async (gate, ledger) => {
      upstream.say({ text: 'Let me see. ', calls: [REFUSED] }, { text: 'I may not do that.' })
      const turn = await ask(gate, stream)
      expect(turn.text).toBe('I may not do that.')
      expect(turn.raw).not.toMatch(/format_disk|all-of-it|Let me see/)
      expect(upstream.seen).toHaveLength(2)
      const [asked = '', again = ''] = upstream.seen
      expect(asked).toBe(turn.sent)
      // What the caller wrote, byte for byte, with only the list extended.
      const before = name === 'responses' ? turn.sent.indexOf('"Clean up."') : turn.sent.indexOf('"Clean up."}]') + 12
      expect(again.slice(0, before)).toBe(turn.sent.slice(0, before))
      expect(again).toContain(NOTICE)
      expect(again).toContain('Let me see. ')
      expect(again).toContain('all-of-it')
      expect(ledger.settled.map(o => o.kind)).toEqual(['completed', 'completed'])
      const claims = await finalClaims(gate, turn, stream)
      expect(claims.exchange).toBe(turn.headers.get('x-signet-correlation-id'))
    })
    expect(new Set(rows.map(r => meta(r)['_exchange_id'])).size).toBe(1)
    expect(new Set(rows.map(r => r['request_fingerprint'])).size).toBe(1)
    expect(roundsOf(rows, 'pipeline.admission')).toEqual([0, 1])
    expect(roundsOf(rows, 'tool_call_inspector')).toEqual([0])
    expect(roundsOf(rows, 'pipeline.continue')).toEqual([0])
    expect(roundsOf(rows, 'pipeline.complete')).toEqual([1])
  })

  it('is delivered when the model insists three times', async () => {
    const rows = await story(async (gate, ledger) => {
      upstream.say({ calls: [REFUSED] }, { calls: [REFUSED] }, { calls: [REFUSED] }, { text: 'never asked' })
      const turn = await ask(gate, stream)
      expect(turn.calls).toEqual([])
      expect(turn.text).toContain(NOTICE)
      expect(upstream.seen).toHaveLength(3)
      expect(upstream.seen[2]?.split(NOTICE)).toHaveLength(3)
      expect(ledger.admitted).toBe(3)
      await finalClaims(gate, turn, stream)
    })
    expect(roundsOf(rows, 'tool_call_inspector')).toEqual([0, 1, 2])
    expect(roundsOf(rows, 'pipeline.continue')).toEqual([0, 1])
    expect(roundsOf(rows, 'pipeline.complete')).toEqual([2])
  })

  it('may be followed by an allowed call, which is delivered once', async () => {
    await story(async gate => {
      upstream.say({ calls: [REFUSED, { ...REFUSED, name: 'wipe' }] }, { text: 'Then the weather.', calls: [ALLOWED] })
      const turn = await ask(gate, stream)
      expect(turn.calls).toEqual(['get_weather'])
      expect(turn.raw).not.toContain('format_disk')
      expect(upstream.seen[1]).toContain('[signet refused the tool call wipe')
      await finalClaims(gate, turn, stream)
    })
  })

  it('is delivered when a call beside the refused one may run', async () => {
    const rows = await story(async gate => {
      upstream.say({ calls: [REFUSED, ALLOWED] })
      const turn = await ask(gate, stream)
      expect(turn.calls).toEqual(['get_weather'])
      expect(turn.text).toContain(NOTICE)
      expect(upstream.seen).toHaveLength(1)
    })
    expect(roundsOf(rows, 'pipeline.commitment')).toEqual([0])
  })

  it('goes on redacted, and what the next answer says is inspected', async () => {
    const patterns = [
      { pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact' as const, label: 'key' },
      { pattern: 'launch code', action: 'block' as const, label: 'code' },
    ]
    const checks = [...demoChecks().filter(c => c.name !== 'regex_output'), new RegexOutputCheck({ patterns })]
    const rows = await story(
      async gate => {
        upstream.say(
          { text: 'The key is sk-test-ABCDEFGH1234. ', calls: [REFUSED] },
          { text: 'Here is the launch code now.' },
        )
        const error = await thrown(() => ask(gate, stream))
        expect(String(error)).not.toContain('launch code now')
        expect(upstream.seen[1]).toContain('The key is ')
        expect(upstream.seen[1]).not.toContain('sk-test-ABCDEFGH1234')
        expect(upstream.seen[1]).toContain(NOTICE)
      },
      { checks },
    )
    const found = rows.filter(r => r['check_name'] === 'pipeline.inspection')
    // A surface may tell the same text several times.
    expect([...new Set(found.map(r => `${r['decision']} ${meta(r)['_round'] ?? 0}`))]).toEqual(['redact 0', 'block 1'])
  })

  it('is delivered when the budget is used up by then', async () => {
    const checks = [
      ...demoChecks().filter(c => c.name !== 'token_budget'),
      new TokenBudgetCheck({ cap: 1500, requestEstimateDefault: 1000 }),
    ]
    const rows = await story(
      async gate => {
        upstream.say({ calls: [REFUSED], outputTokens: 1400 }, { text: 'never asked' })
        const turn = await ask(gate, stream, name === 'messages' ? { max_tokens: 1000 } : {})
        expect(turn.text).toContain(NOTICE)
        expect(upstream.seen).toHaveLength(1)
        await finalClaims(gate, turn, stream)
      },
      { checks },
    )
    expect(roundsOf(rows, 'token_budget')).toEqual([1])
    const stays = rows.find(r => meta(r)['_check_name'] === 'pipeline.continue')
    expect(stays).toMatchObject({ decision: 'block', metadata: { _code: 'token_budget_exceeded', _round: 1 } })
    expect(roundsOf(rows, 'pipeline.complete')).toEqual([0])
  })

  it('is delivered when the conversation would be longer than a request may be', async () => {
    const rows = await story(
      async gate => {
        upstream.say({ text: 'x'.repeat(2000), calls: [REFUSED] })
        const more = name === 'messages' ? { max_tokens: 1000 } : {}
        expect((await ask(gate, stream, more)).text).toContain(NOTICE)
        expect(upstream.seen).toHaveLength(1)
      },
      { settings: { maxBodyBytes: 1500 } as never },
    )
    expect(rows.find(r => meta(r)['_check_name'] === 'pipeline.continue')).toMatchObject({
      metadata: { _code: 'body_too_large' },
    })
  })

  it('whose successor fails upstream says so, as any answer', async () => {
    const rows = await story(async (gate, ledger) => {
      upstream.say({ calls: [REFUSED] }, { status: 500 })
      expect(await thrown(() => ask(gate, stream))).toMatchObject({ status: 500 })
      upstream.say({ calls: [REFUSED] }, { text: 'Half an answer', breaks: true })
      expect(String(await thrown(() => ask(gate, stream)))).not.toContain('format_disk')
      expect(ledger.settled.map(o => o.kind)).toEqual(['completed', 'completed', 'completed', 'faulted'])
    })
    expect(roundsOf(rows, 'pipeline.upstream')).toEqual([1])
  })

  it('ends with the caller who leaves while the model is asked again', async () => {
    const asked = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const rows = await story(async (gate, ledger) => {
      const wait = () => {
        asked.resolve()
        return gone.promise
      }
      upstream.say({ calls: [REFUSED] }, { wait, text: 'for nobody' })
      const caller = new AbortController()
      const turn = thrown(() => ask(gate, stream, {}, caller.signal))
      await asked.promise
      const settled = new Promise<void>(resolve => {
        const push = ledger.settled.push.bind(ledger.settled)
        ledger.settled.push = o => {
          resolve()
          return push(o)
        }
      })
      caller.abort()
      await turn
      await settled
      gone.resolve()
      expect(ledger.settled.map(o => o.kind)).toEqual(['completed', 'disconnected'])
    })
    const left = rows.filter(r => meta(r)['_outcome'] === 'disconnected')
    expect(left.map(r => meta(r)['_round'])).toEqual([1])
  })

  it('ends with the caller who leaves while the next round is admitted', async () => {
    const caller = new AbortController()
    const rows = await story(async (gate, ledger) => {
      const admit = ledger.admit
      const over = Promise.withResolvers<void>()
      ledger.admit = (x, ctx) => {
        if (x.round === undefined) return admit(x, ctx)
        admit(x, ctx)
        caller.abort()
        return new Promise(resolve => ctx.signal.addEventListener('abort', () => resolve(ALLOW)))
      }
      const push = ledger.settled.push.bind(ledger.settled)
      ledger.settled.push = o => {
        if (o.kind === 'disconnected') over.resolve()
        return push(o)
      }
      upstream.say({ calls: [REFUSED] }, { text: 'for nobody' })
      await thrown(() => ask(gate, stream, {}, caller.signal))
      await over.promise
      expect(upstream.seen).toHaveLength(1)
    })
    const left = rows.filter(r => meta(r)['_outcome'] === 'disconnected')
    expect(left.map(r => meta(r)['_round'] ?? 0)).toEqual([0, 1])
  })

  it('is streamed and whole as today when the setting is off, or shadow lets the call through', async () => {
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] })
        expect((await ask(gate, stream)).text).toContain(NOTICE)
        expect(upstream.seen).toHaveLength(1)
      },
      { settings: { onRefuse: 'deliver' } as never },
    )
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] })
        expect((await ask(gate, stream)).calls).toEqual(['format_disk'])
        expect(upstream.seen).toHaveLength(1)
      },
      { shadow: true },
    )
  })

  it('says no more to the model than to a caller in strict mode', async () => {
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] }, { text: 'Well.' })
        expect((await ask(gate, stream)).text).toBe('Well.')
        expect(upstream.seen[1]).toContain(`${NOTICE}]`)
      },
      { settings: { strict: true } as never },
    )
  })

  it('that waits for a human is held, not told', async () => {
    await story(async gate => {
      const tools = { tools: toolsOf(name, ['issue_refund']) }
      upstream.say({ calls: [REFUSED] }, { calls: [{ name: 'issue_refund', args: '{"order_id":"1","amount":50000}' }] })
      const said = await ask(gate, stream, tools).then(
        turn => turn.raw,
        error => String(error),
      )
      expect(said).not.toContain('50000')
      expect(upstream.seen).toHaveLength(2)
    })
  })
})

function toolsOf(surface: string, names: readonly string[]) {
  if (surface === 'chat') return names.map(n => ({ type: 'function', function: { name: n, parameters: {} } }))
  if (surface === 'responses') return names.map(n => ({ type: 'function', name: n, parameters: {}, strict: false }))
  return names.map(n => ({ name: n, input_schema: { type: 'object' } }))
}

describe('chat answers that cannot go on', () => {
  it.each([
    ['two choices', { n: 2 }, { calls: [REFUSED] }],
    ['a call cut off by the limit', {}, { calls: [REFUSED], finish: 'length' }],
    [
      'two calls of one id',
      {},
      {
        calls: [
          { ...REFUSED, id: 'a' },
          { ...REFUSED, name: 'wipe', id: 'a' },
        ],
      },
    ],
    ['no tools in the request', { tools: undefined }, { calls: [REFUSED] }],
  ])('%s', async (_what, more, said) => {
    await story(async gate => {
      upstream.say(said)
      const outcome = await chat(gate, false, more).then(
        t => t.text,
        e => String(e),
      )
      expect(outcome).toMatch(/signet refused|protocol|502/)
      expect(outcome).not.toContain('all-of-it')
      expect(upstream.seen).toHaveLength(1)
    })
  })
})

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

  it('fails closed when it is longer than may be held', async () => {
    await story(
      async gate => {
        upstream.say({ text: 'word '.repeat(2000), calls: [REFUSED] })
        const raw = await (await post(gate)).text()
        expect(raw).toMatch(/upstream_too_large|too large|held back|withheld/)
        expect(raw).not.toContain('format_disk')
        expect(upstream.seen).toHaveLength(1)
      },
      { settings: { maxHeldBytes: 8192 } as never },
    )
  })
})

describe('whatever upstream says', () => {
  const call = fc.constantFrom(REFUSED, { ...REFUSED, name: 'wipe' }, ALLOWED)
  const text = fc.constantFrom('Fine.', 'sk-test-ABCDEFGH1234', 'a sk-test-ABCDEFGH1234 b')
  const said = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ text: fc.option(text, { nil: undefined }), calls: fc.array(call, { maxLength: 3 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ status: 500 }) },
    { weight: 1, arbitrary: fc.constant({ text: 'Fine.', breaks: true as const }) },
  )
  it('no refused call and no withheld text leaves, and every round has its rows and its settlement once', async () => {
    const rows = await story(async (gate, ledger) => {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...CASES),
          fc.array(said, { minLength: 3, maxLength: 3 }),
          async (c, turns) => {
            upstream.say(...(turns as Said[]))
            const before = ledger.admitted
            const out = await c.ask(gate, c.stream).then(
              t => t.raw,
              e => String(e),
            )
            expect(out).not.toMatch(/all-of-it|sk-test-ABCDEFGH1234/)
            expect(ledger.admitted - before).toBe(upstream.seen.length)
            const goesOn = (turn: Said | undefined) =>
              (turn?.calls ?? []).length > 0 && (turn?.calls ?? []).every(one => one.name !== ALLOWED.name)
            const rounds = goesOn(turns[0] as Said) ? (goesOn(turns[1] as Said) ? 3 : 2) : 1
            expect(upstream.seen).toHaveLength(rounds)
          },
        ),
        { numRuns: 60 },
      )
    })
    const byExchange = Map.groupBy(rows, r => String(meta(r)['_exchange_id']))
    for (const [, own] of byExchange) {
      const admitted = own.filter(r => r['reason'] === 'admission cleared').map(r => meta(r)['_round'] ?? 0)
      expect(admitted).toEqual(admitted.map((_, i) => i))
      const continued = roundsOf(own, 'pipeline.continue')
      expect(continued).toEqual(admitted.slice(0, -1))
      const ended = own.filter(r => meta(r)['_outcome'] !== undefined && meta(r)['_check_name'] !== 'pipeline.continue')
      expect(ended.map(r => meta(r)['_round'] ?? 0)).toEqual([admitted.at(-1)])
    }
  })
})

it('a gate killed between two rounds has delivered nothing, and its log is sound', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-refused-'))
  const logPath = join(folder, 'audit.jsonl')
  const asked = Promise.withResolvers<void>()
  const child = spawn(process.execPath, [CHILD, logPath, upstream.url, 'continue'])
  try {
    const url = await saidAddress(child)
    const wait = () => {
      asked.resolve()
      return new Promise<void>(() => undefined)
    }
    upstream.say({ calls: [REFUSED] }, { wait })
    const tools = toolsOf('chat', NAMES)
    const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'Clean up.' }], tools }
    const answer = thrown(() => sendChat({ url }, body).then(res => res.text()))
    await asked.promise
    const exited = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
    await answer
    // The next start takes the log up where it is whole.
    const audit = await openAuditLog({ path: logPath, ring: RING })
    await audit.close()
    expect((await verifyLog(logPath, RING)).ok).toBe(true)
    expect(readFileSync(logPath, 'utf8')).not.toContain('pipeline.complete')
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
})

describe.each(CASES)('the conversation after it ($name, stream: $stream)', ({ name, stream, ask }) => {
  it('goes on with what was delivered, and a capability is for the delivered call alone', async () => {
    const registry = { ...DEMO_REGISTRY, get_weather: { riskTier: 'low' as const, audience: 'weather' } }
    const checks = [
      ...demoChecks().filter(c => c.name !== 'tool_call_inspector'),
      new ToolCallInspectorCheck({ registry }),
    ]
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] }, { calls: [{ ...ALLOWED, id: 'good' }] })
        const turn = await ask(gate, stream)
        expect(turn.calls).toEqual(['get_weather'])
        const minted = new Set(turn.raw.match(/"capability":"[^"]+"/g))
        expect(minted.size).toBe(1)
        const claims = JSON.parse(
          Buffer.from([...minted][0]?.split('"')[3]?.split('.')[1] ?? '', 'base64url').toString(),
        ) as Record<string, unknown>
        expect(claims).toMatchObject({ tool: 'get_weather', exchange: turn.headers.get('x-signet-correlation-id') })
        const user = { role: 'user', content: 'Clean up.' }
        const more =
          name === 'responses'
            ? {
                input: [
                  user,
                  { type: 'function_call', call_id: 'good', name: 'get_weather', arguments: ALLOWED.args },
                  { type: 'function_call_output', call_id: 'good', output: 'rain' },
                ],
              }
            : name === 'chat'
              ? {
                  messages: [
                    user,
                    {
                      role: 'assistant',
                      content: null,
                      tool_calls: [
                        { id: 'good', type: 'function', function: { name: 'get_weather', arguments: ALLOWED.args } },
                      ],
                    },
                    { role: 'tool', tool_call_id: 'good', content: 'rain' },
                  ],
                }
              : {
                  messages: [
                    user,
                    {
                      role: 'assistant',
                      content: [{ type: 'tool_use', id: 'good', name: 'get_weather', input: { city: 'Oslo' } }],
                    },
                    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'good', content: 'rain' }] },
                  ],
                }
        upstream.say({ text: 'Rain. ', calls: [REFUSED] }, { text: 'It rains.' })
        expect((await ask(gate, stream, more)).text).toBe('It rains.')
        expect(upstream.seen[1]).toMatch(/rain.*Rain\. .*format_disk/s)
      },
      { checks },
    )
  })
})

describe('within a conversation kept upstream', () => {
  it('a response may be built on, one that was withheld may not', async () => {
    await story(async gate => {
      upstream.say({ text: 'Hello.' })
      const id = (turn: Turn) => /"id":"(resp_\d+)"/.exec(turn.raw)?.[1] ?? ''
      const before = await responses(gate, false)
      upstream.say({ calls: [REFUSED] }, { text: 'No.' })
      const next = await responses(gate, false, { previous_response_id: id(before) })
      expect(next.text).toBe('No.')
      expect(upstream.seen[1]).toContain(`"previous_response_id":"${id(before)}"`)
      const serial = Number(id(next).slice('resp_'.length))
      upstream.say({ text: 'Goes on.' }, { text: 'never' })
      expect((await responses(gate, false, { previous_response_id: id(next) })).text).toBe('Goes on.')
      const withheld = thrown(() => responses(gate, false, { previous_response_id: `resp_${serial - 1}` }))
      expect(await withheld).toMatchObject({ status: 403 })
    })
  })
})
