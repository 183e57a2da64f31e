/** The demo model's reply in OpenAI's chat completions shapes: one JSON body, or the data of each stream event. */
import type { DemoRequest } from './request.ts'
import type { Place, Scenario } from './scenario.ts'
import { type DemoCall, type DemoReply, LEAK_MARKER, reply } from './script.ts'

export interface Rendered {
  /** The whole unary body. */
  readonly body: string
  /** The data of each stream event, `[DONE]` included. */
  readonly events: readonly string[]
}

type Json = Readonly<Record<string, unknown>>

/** One choice: what goes beside `content` in its message, and the deltas that build the same up piece by piece. */
interface Choice {
  readonly message: Json
  readonly extra: Json
  readonly steps: readonly { readonly delta: Json; readonly extra?: Json }[]
  readonly finish: string
  readonly length: number
}

/** A fixed moment: the same request gives the same bytes. */
const CREATED = 1_767_225_600
const BESIDE = 'Done.'

/** `serial` tells the answers of one server apart: ids of answers and calls are made of it. */
export function render(request: DemoRequest, serial: number): Rendered {
  const { scenario } = request
  const said = speak(request)
  const place = scenario.kind === 'place' ? (scenario.place ?? 'content') : undefined
  const count = place === 'second_choice' ? Math.max(2, request.n) : request.n
  const cut = pieceCutter(scenario, said)
  const choices = Array.from({ length: count }, (_, index) => {
    const ids = (call: number) => `call_demo_${String(serial)}_${String(index)}_${String(call)}`
    if (place === undefined) return spoken(said, request.maxTokens, cut, ids)
    const text = scenario.text ?? LEAK_MARKER
    if (place === 'second_choice') return index === 1 ? plain(text, cut) : plain(BESIDE, cut)
    return placed(place, text, cut, ids)
  })
  const envelope = {
    id: `chatcmpl-demo-${String(serial)}`,
    created: CREATED,
    model: request.model,
    system_fingerprint: place === 'envelope' ? (scenario.text ?? LEAK_MARKER) : 'fp_demo',
  }
  const usage = usageOf(request, choices)
  return {
    body: JSON.stringify({
      ...envelope,
      object: 'chat.completion',
      choices: choices.map((choice, index) => ({
        index,
        message: { role: 'assistant', ...choice.message },
        logprobs: null,
        ...choice.extra,
        finish_reason: choice.finish,
      })),
      usage,
    }),
    events: [...chunks(envelope, choices, request.includeUsage ? usage : undefined), '[DONE]'],
  }
}

function speak(request: DemoRequest): DemoReply {
  const { scenario } = request
  if (scenario.kind === 'call') {
    const calls = (scenario.calls ?? []).map(call => ({ name: call.name, argumentsText: call.arguments }))
    return { text: scenario.text ?? '', calls, pieceLength: 0 }
  }
  if (scenario.text !== undefined) return { text: scenario.text, calls: [], pieceLength: 0 }
  return reply(request)
}

type Cut = (text: string) => readonly string[]

function pieceCutter(scenario: Scenario, said: DemoReply): Cut {
  const length = scenario.chunk ?? said.pieceLength
  if (length === 0) return text => text.match(/\s*\S+\s*$|\s*\S+|\s+/g) ?? []
  return text => {
    const pieces: string[] = []
    const points = Array.from(text)
    for (let at = 0; at < points.length; at += length) pieces.push(points.slice(at, at + length).join(''))
    return pieces
  }
}

function spoken(said: DemoReply, maxTokens: number | undefined, cut: Cut, ids: (call: number) => string): Choice {
  const limit = maxTokens === undefined ? Number.POSITIVE_INFINITY : maxTokens * 4
  const text = said.text.length > limit ? Array.from(said.text).slice(0, limit).join('') : said.text
  const words = plain(text, cut)
  if (said.calls.length === 0) return text === said.text ? words : { ...words, finish: 'length' }
  const calls = said.calls.map((call, index) => functionCall(call, index, ids(index), cut))
  return {
    message: { content: text === '' ? null : text, refusal: null, tool_calls: calls.map(call => call.whole) },
    extra: {},
    steps: [...(text === '' ? [{ delta: { content: null } }] : words.steps), ...calls.flatMap(call => call.steps)],
    finish: 'tool_calls',
    length: text.length + said.calls.reduce((sum, call) => sum + call.argumentsText.length, 0),
  }
}

function plain(text: string, cut: Cut): Choice {
  return {
    message: { content: text, refusal: null },
    extra: {},
    steps: cut(text).map(piece => ({ delta: { content: piece } })),
    finish: 'stop',
    length: text.length,
  }
}

function functionCall(call: DemoCall, index: number, id: string, cut: Cut) {
  const { name, argumentsText } = call
  return {
    whole: { id, type: 'function', function: { name, arguments: argumentsText } },
    steps: [
      { delta: { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] } },
      ...cut(argumentsText).map(piece => ({ delta: { tool_calls: [{ index, function: { arguments: piece } }] } })),
    ],
  }
}

function placed(place: Exclude<Place, 'second_choice'>, text: string, cut: Cut, ids: (call: number) => string): Choice {
  switch (place) {
    case 'content':
      return plain(text, cut)
    case 'envelope':
      return plain(BESIDE, cut)
    case 'reasoning':
      return beside('reasoning_content', text, cut)
    case 'unknown_field':
      return beside('inner_voice', text, cut)
    case 'refusal':
      return {
        message: { content: null, refusal: text },
        extra: {},
        steps: cut(text).map(piece => ({ delta: { refusal: piece } })),
        finish: 'stop',
        length: text.length,
      }
    case 'tool_arguments': {
      const call = {
        name: 'send_email',
        argumentsText: JSON.stringify({ to: 'bob@example.com', subject: 'Hello', body: text }),
      }
      return spoken({ text: '', calls: [call], pieceLength: 0 }, undefined, cut, ids)
    }
    case 'tool_name':
      return spoken({ text: '', calls: [{ name: text, argumentsText: '{}' }], pieceLength: 0 }, undefined, cut, ids)
    case 'custom_tool': {
      const id = ids(0)
      const head = { index: 0, id, type: 'custom', custom: { name: 'notes', input: '' } }
      return {
        message: {
          content: null,
          refusal: null,
          tool_calls: [{ id, type: 'custom', custom: { name: 'notes', input: text } }],
        },
        extra: {},
        steps: [
          { delta: { tool_calls: [head] } },
          ...cut(text).map(piece => ({ delta: { tool_calls: [{ index: 0, custom: { input: piece } }] } })),
        ],
        finish: 'tool_calls',
        length: text.length,
      }
    }
    case 'function_call': {
      const argumentsText = JSON.stringify({ body: text })
      return {
        message: { content: null, refusal: null, function_call: { name: 'send_email', arguments: argumentsText } },
        extra: {},
        steps: [
          { delta: { function_call: { name: 'send_email', arguments: '' } } },
          ...cut(argumentsText).map(piece => ({ delta: { function_call: { arguments: piece } } })),
        ],
        finish: 'function_call',
        length: argumentsText.length,
      }
    }
    case 'logprobs': {
      const tokens = cut(text).map(token => ({
        token,
        logprob: -0.01,
        bytes: Array.from(Buffer.from(token, 'utf8')),
        top_logprobs: [],
      }))
      return {
        message: { content: BESIDE, refusal: null },
        extra: { logprobs: { content: tokens, refusal: null } },
        steps: [
          { delta: { content: BESIDE } },
          ...tokens.map(token => ({ delta: {}, extra: { logprobs: { content: [token], refusal: null } } })),
        ],
        finish: 'stop',
        length: text.length,
      }
    }
  }
}

/** The text in a field of its own, and a harmless word in `content`. */
function beside(field: string, text: string, cut: Cut): Choice {
  return {
    message: { content: BESIDE, refusal: null, [field]: text },
    extra: {},
    steps: [...cut(text).map(piece => ({ delta: { [field]: piece } })), { delta: { content: BESIDE } }],
    finish: 'stop',
    length: text.length + BESIDE.length,
  }
}

/** One step of every choice in turn, as real streams with `n` interleave. */
function* chunks(envelope: Json, choices: readonly Choice[], usage: Json | undefined): Generator<string> {
  const chunk = (list: readonly Json[], more: Json = usage === undefined ? {} : { usage: null }) =>
    JSON.stringify({ ...envelope, object: 'chat.completion.chunk', choices: list, ...more })
  const piece = (index: number, delta: Json, finish: string | null, extra: Json = {}) =>
    chunk([{ index, delta, logprobs: null, ...extra, finish_reason: finish }])
  for (const index of choices.keys()) yield piece(index, { role: 'assistant', content: '', refusal: null }, null)
  const longest = Math.max(...choices.map(choice => choice.steps.length))
  for (let at = 0; at < longest; at++) {
    for (const [index, choice] of choices.entries()) {
      const step = choice.steps[at]
      if (step !== undefined) yield piece(index, step.delta, null, step.extra)
    }
  }
  for (const [index, choice] of choices.entries()) yield piece(index, {}, choice.finish)
  if (usage !== undefined) yield chunk([], { usage })
}

/** Four characters to the token, at least one. */
function usageOf(request: DemoRequest, choices: readonly Choice[]): Json {
  const tokens = (characters: number) => Math.max(1, Math.ceil(characters / 4))
  const prompt = tokens(request.messages.reduce((sum, message) => sum + message.text.length, 0))
  const completion = choices.reduce((sum, choice) => sum + tokens(choice.length), 0)
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}
