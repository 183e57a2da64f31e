/** An upstream of all three surfaces with calls that proposes exactly the call it was given, arguments letter by letter. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { added, done, type Fields, told } from '../bypass/responses-answers.ts'

export const SURFACES = ['chat', 'messages', 'responses'] as const
export type Surface = (typeof SURFACES)[number]

export interface Proposed {
  readonly name: string
  readonly argumentsText: string
}

export interface ProposingUpstream {
  readonly url: string
  /** From now on. */
  proposes(...calls: readonly Proposed[]): void
  readonly asked: () => number
  close(): Promise<void>
}

const PATHS: Readonly<Record<Surface, string>> = {
  chat: '/v1/chat/completions',
  messages: '/v1/messages',
  responses: '/v1/responses',
}

/** A request of the surface; `past`: calls that its conversation holds. */
export function requestFor(surface: Surface, stream: boolean, past: readonly Proposed[] = []): object {
  const question = { role: 'user', content: 'Do it' }
  switch (surface) {
    case 'chat':
      return {
        model: 'm',
        stream,
        messages: [
          question,
          ...past.flatMap(({ name, argumentsText }, i) => [
            {
              role: 'assistant',
              content: null,
              tool_calls: [{ id: `p${i}`, type: 'function', function: { name, arguments: argumentsText } }],
            },
            { role: 'tool', tool_call_id: `p${i}`, content: 'done' },
          ]),
        ],
      }
    case 'messages':
      return {
        model: 'm',
        max_tokens: 100,
        stream,
        messages: [
          question,
          ...past.flatMap(({ name, argumentsText }, i) => [
            { role: 'assistant', content: [{ type: 'tool_use', id: `p${i}`, name, input: JSON.parse(argumentsText) }] },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: `p${i}`, content: 'done' }] },
          ]),
        ],
      }
    case 'responses':
      return {
        model: 'm',
        stream,
        store: false,
        input: [
          question,
          ...past.flatMap(({ name, argumentsText }, i) => [
            { type: 'function_call', call_id: `p${i}`, name, arguments: argumentsText },
            { type: 'function_call_output', call_id: `p${i}`, output: 'done' },
          ]),
        ],
      }
  }
}

export function post(url: string, surface: Surface, body: object, headers: Readonly<Record<string, string>>) {
  return fetch(`${url}${PATHS[surface]}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', ...headers },
    body: JSON.stringify(body),
  })
}

export async function startProposingUpstream(): Promise<ProposingUpstream> {
  let calls: readonly Proposed[] = []
  let asked = 0
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      asked += 1
      const stream = Buffer.concat(chunks).includes('"stream":true')
      const surface = SURFACES.find(each => req.url === PATHS[each]) ?? 'chat'
      const body = ANSWERS[surface](calls, stream)
      res.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' })
      res.end(body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    proposes: (...given) => {
      calls = given
    },
    asked: () => asked,
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

type Answer = (calls: readonly Proposed[], stream: boolean) => string

const chat: Answer = (calls, stream) => {
  const head = { id: 'x', created: 1, model: 'm' }
  const list = calls.map((call, index) => ({
    index,
    id: `c${index}`,
    type: 'function',
    function: { name: call.name, arguments: call.argumentsText },
  }))
  if (!stream) {
    const message = { role: 'assistant', content: null, tool_calls: list.map(({ index: _, ...call }) => call) }
    const choices = [{ index: 0, message, finish_reason: 'tool_calls' }]
    return JSON.stringify({ ...head, object: 'chat.completion', choices })
  }
  const choices = [
    { index: 0, delta: { role: 'assistant', tool_calls: list }, finish_reason: null },
    { index: 0, delta: {}, finish_reason: 'tool_calls' },
  ]
  const events = choices.map(choice => ({ ...head, object: 'chat.completion.chunk', choices: [choice] }))
  return `${events.map(event => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`
}

const messages: Answer = (calls, stream) => {
  const usage = { input_tokens: 1, output_tokens: 1 }
  const head = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', stop_sequence: null }
  const blocks = calls.map((call, i) => ({ type: 'tool_use', id: `toolu_${i}`, name: call.name, input: `<${i}>` }))
  if (!stream) {
    // The input as it was given, whatever JSON it is.
    const body = JSON.stringify({ ...head, stop_reason: 'tool_use', usage, content: blocks })
    return body.replace(/"<(\d+)>"/g, (_, i: string) => calls[Number(i)]?.argumentsText || '{}')
  }
  const event = (type: string, rest: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
  return [
    event('message_start', { message: { ...head, content: [], stop_reason: null, usage } }),
    ...blocks.flatMap((block, index) => [
      event('content_block_start', { index, content_block: { ...block, input: {} } }),
      event('content_block_delta', {
        index,
        delta: { type: 'input_json_delta', partial_json: calls[index]?.argumentsText },
      }),
      event('content_block_stop', { index }),
    ]),
    event('message_delta', { delta: { stop_reason: 'tool_use', stop_sequence: null }, usage }),
    event('message_stop'),
  ].join('')
}

const responses: Answer = (calls, stream) => {
  const items = calls.map(
    ({ name, argumentsText }, i): Fields => ({
      id: `fc_${i}`,
      type: 'function_call',
      status: 'completed',
      call_id: `call_${i}`,
      name,
      arguments: argumentsText,
    }),
  )
  const events = items.flatMap((item, i) => {
    const at = { item_id: `fc_${i}`, output_index: i }
    return [
      added({ ...item, status: 'in_progress', arguments: '' }, i),
      { type: 'response.function_call_arguments.delta', members: { ...at, delta: item['arguments'] } },
      { type: 'response.function_call_arguments.done', members: { ...at, arguments: item['arguments'] } },
      done(item, i),
    ]
  })
  const { writes } = told({ events, output: items }, { mode: stream ? 'stream' : 'unary' })
  return Buffer.concat(writes).toString()
}

const ANSWERS: Readonly<Record<Surface, Answer>> = { chat, messages, responses }
