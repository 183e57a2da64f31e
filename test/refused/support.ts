/** What the suites about refused turns share: the vendors' clients, a scripted upstream, a gate that is checked when it ends. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, expect } from 'vitest'
import type { Check } from '../../src/core/check.ts'
import type { Outcome } from '../../src/core/exchange.ts'
import { ALLOW } from '../../src/core/verdict.ts'
import { verifyReceipt, verifyStreamReceipt } from '../../src/receipt/index.ts'
import { demoChecks, ISSUER, startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'
import { startScripted } from '../support/scripted.ts'

export const OWNER = { 'x-commit-owner': 'human:alice@example.com' }
export const NAMES = ['get_weather', 'format_disk', 'wipe']
/** In no registry, so refused. */
export const REFUSED = { name: 'format_disk', args: '{"disk":"all-of-it"}' }
export const ALLOWED = { name: 'get_weather', args: '{"city":"Oslo"}' }
export const NOTICE = '[signet refused the tool call format_disk'

export interface Turn {
  readonly text: string
  readonly calls: readonly string[]
  readonly raw: string
  readonly headers: Headers
  readonly sent: string
}

/** One turn through a vendor's own client, and the bytes as they came. */
export type Ask = (gate: TestGate, stream: boolean, more?: object, signal?: AbortSignal) => Promise<Turn>

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

export const chat: Ask = async (gate, stream, more = {}, signal) => {
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

export const responses: Ask = async (gate, stream, more = {}, signal) => {
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

export const messages: Ask = async (gate, stream, more = {}, signal) => {
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

export const SURFACES = { chat, responses, messages }
export const CASES = (['chat', 'responses', 'messages'] as const).flatMap(name =>
  [false, true].map(stream => ({ name, stream, ask: SURFACES[name] })),
)

/** Counts admissions, and settlements with what they say. */
export class Ledger implements Check {
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

/** One for each suite. */
export const upstream = await startScripted()
afterAll(() => upstream.close())

export async function story(
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

export const meta = (row: Record<string, unknown>) => row['metadata'] as Record<string, unknown>
export const roundsOf = (rows: Record<string, unknown>[], check: string) =>
  rows.filter(r => meta(r)['_check_name'] === check).map(r => meta(r)['_round'] ?? 0)

export async function thrown(run: () => Promise<unknown>): Promise<Error> {
  try {
    await run()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('expected an error')
}

export async function finalClaims(gate: TestGate, turn: Turn, stream: boolean) {
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

export function toolsOf(surface: string, names: readonly string[]) {
  if (surface === 'chat') return names.map(n => ({ type: 'function', function: { name: n, parameters: {} } }))
  if (surface === 'responses') return names.map(n => ({ type: 'function', name: n, parameters: {}, strict: false }))
  return names.map(n => ({ name: n, input_schema: { type: 'object' } }))
}
