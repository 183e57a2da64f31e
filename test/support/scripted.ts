/** An upstream that says what a test has written down, turn by turn, on chat, responses and messages, whole or streamed. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Said {
  readonly text?: string
  readonly calls?: readonly { readonly name: string; readonly args?: string; readonly id?: string }[]
  /** An error of the API instead. */
  readonly status?: number
  /** A connection cut in the middle. */
  readonly breaks?: true
  /** Said to the test when the request is there; answered when it lets go. */
  readonly wait?: () => Promise<void>
  /** Between the first piece of an answer and the rest of it. */
  readonly pause?: () => Promise<void>
  readonly outputTokens?: number
  readonly finish?: string
}

export interface Scripted {
  readonly url: string
  /** Bodies so far. */
  readonly seen: string[]
  /** How many connections were closed on an answer under way. */
  readonly cancelled: () => number
  say(...turns: readonly Said[]): void
  close(): Promise<void>
}

type Call = { readonly name: string; readonly args: string; readonly id: string }

export async function startScripted(): Promise<Scripted> {
  const seen: string[] = []
  let turns: Said[] = []
  let serial = 0
  let cancelled = 0
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', async () => {
      const body = Buffer.concat(chunks).toString()
      seen.push(body)
      const said = turns.shift() ?? { text: 'The script is over.' }
      res.on('close', () => {
        if (!res.writableFinished) cancelled += 1
      })
      await said.wait?.()
      serial += 1
      const stream = /"stream":\s*true/.test(body)
      if (said.status !== undefined) {
        res.writeHead(said.status, { 'content-type': 'application/json' })
        res.end(JSON.stringify({ type: 'error', error: { type: 'api_error', message: 'upstream is unwell' } }))
        return
      }
      const calls = (said.calls ?? []).map((c, i) => ({
        name: c.name,
        args: c.args ?? '{}',
        id: c.id ?? `call_${serial}_${i}`,
      }))
      const path = req.url ?? ''
      const write = path.includes('/messages') ? messages : path.includes('/responses') ? responses : chat
      const all = write(said, calls, serial, stream)
      if (said.breaks === true) {
        await cut(res, all, stream, said.pause)
        return
      }
      res.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' })
      for (const [i, piece] of all.entries()) {
        res.write(piece)
        if (i === 0) await said.pause?.()
      }
      res.end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    seen,
    cancelled: () => cancelled,
    say: (...next) => {
      turns = [...next]
      seen.length = 0
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function cut(res: ServerResponse, all: readonly string[], stream: boolean, pause: Said['pause']): Promise<void> {
  res.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json', 'content-length': '1000000' })
  await new Promise<void>(resolve => res.write((all[0] ?? '').slice(0, stream ? undefined : 20), () => resolve()))
  await pause?.()
  res.destroy()
}

const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const event = (value: { readonly type: string; readonly [member: string]: unknown }) =>
  `event: ${value.type}\n${data(value)}`

function chat(said: Said, calls: readonly Call[], serial: number, stream: boolean): string[] {
  const head = { id: `chatcmpl-${serial}`, created: 1, model: 'm' }
  const usage = { prompt_tokens: 1, completion_tokens: said.outputTokens ?? 5, total_tokens: 6 }
  const finish = said.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop')
  const made = calls.map(c => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.args } }))
  if (!stream) {
    const message = { role: 'assistant', content: said.text ?? null, ...(made.length > 0 ? { tool_calls: made } : {}) }
    const choices = [{ index: 0, message, finish_reason: finish }]
    return [JSON.stringify({ ...head, object: 'chat.completion', choices, usage })]
  }
  const chunk = (delta: object, finish_reason: string | null = null) =>
    data({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] })
  return [
    chunk({ role: 'assistant', content: '' }),
    ...(said.text ?? '').split(/(?<= )/).flatMap(content => (content === '' ? [] : [chunk({ content })])),
    ...made.flatMap((call, index) => [
      chunk({ tool_calls: [{ index, ...call, function: { ...call.function, arguments: '' } }] }),
      chunk({ tool_calls: [{ index, function: { arguments: call.function.arguments } }] }),
    ]),
    chunk({}, finish),
    data({ ...head, object: 'chat.completion.chunk', choices: [], usage }),
    'data: [DONE]\n\n',
  ]
}

function responses(said: Said, calls: readonly Call[], serial: number, stream: boolean): string[] {
  const head = { id: `resp_${serial}`, object: 'response', created_at: 1, model: 'm', error: null }
  const items: Record<string, unknown>[] = []
  if (said.text !== undefined) {
    const content = [{ type: 'output_text', text: said.text, annotations: [] }]
    items.push({ id: `msg_${serial}`, type: 'message', status: 'completed', role: 'assistant', content })
  }
  for (const [i, c] of calls.entries()) {
    const id = `fc_${serial}_${i}`
    items.push({ id, type: 'function_call', status: 'completed', call_id: c.id, name: c.name, arguments: c.args })
  }
  const usage = { input_tokens: 1, output_tokens: said.outputTokens ?? 5, total_tokens: 6 }
  const whole = { ...head, status: 'completed', output: items, usage }
  if (!stream) return [JSON.stringify(whole)]
  let sequence_number = 0
  const out: string[] = []
  const tell = (type: string, more: object) => out.push(event({ type, sequence_number: sequence_number++, ...more }))
  tell('response.created', { response: { ...head, status: 'in_progress', output: [] } })
  for (const [output_index, item] of items.entries()) {
    const at = { item_id: item['id'], output_index }
    if (item['type'] === 'message') {
      tell('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } })
      const part = { type: 'output_text', text: '', annotations: [] }
      tell('response.content_part.added', { ...at, content_index: 0, part })
      for (const delta of (said.text ?? '').split(/(?<= )/))
        tell('response.output_text.delta', { ...at, content_index: 0, delta })
      tell('response.output_text.done', { ...at, content_index: 0, text: said.text })
      tell('response.content_part.done', { ...at, content_index: 0, part: { ...part, text: said.text } })
    } else {
      tell('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', arguments: '' } })
      tell('response.function_call_arguments.delta', { ...at, delta: item['arguments'] })
      tell('response.function_call_arguments.done', { ...at, arguments: item['arguments'] })
    }
    tell('response.output_item.done', { output_index, item })
  }
  tell('response.completed', { response: whole })
  return out
}

function messages(said: Said, calls: readonly Call[], serial: number, stream: boolean): string[] {
  const head = { id: `msg_${serial}`, type: 'message', role: 'assistant', model: 'm', stop_sequence: null }
  const stop_reason = said.finish ?? (calls.length > 0 ? 'tool_use' : 'end_turn')
  const usage = { input_tokens: 1, output_tokens: said.outputTokens ?? 5 }
  if (!stream) {
    const content = [
      ...(said.text === undefined ? [] : [{ type: 'text', text: said.text }]),
      ...calls.map(c => ({ type: 'tool_use', id: c.id, name: c.name, input: JSON.parse(c.args) as unknown })),
    ]
    return [JSON.stringify({ ...head, stop_reason, content, usage })]
  }
  const out = [event({ type: 'message_start', message: { ...head, stop_reason: null, content: [], usage } })]
  let index = 0
  const block = (content_block: object, deltas: readonly object[]) => {
    out.push(event({ type: 'content_block_start', index, content_block }))
    for (const delta of deltas) out.push(event({ type: 'content_block_delta', index, delta }))
    out.push(event({ type: 'content_block_stop', index }))
    index += 1
  }
  if (said.text !== undefined) {
    block(
      { type: 'text', text: '' },
      said.text.split(/(?<= )/).map(text => ({ type: 'text_delta', text })),
    )
  }
  for (const c of calls) {
    const half = Math.floor(c.args.length / 2)
    block({ type: 'tool_use', id: c.id, name: c.name, input: {} }, [
      { type: 'input_json_delta', partial_json: c.args.slice(0, half) },
      { type: 'input_json_delta', partial_json: c.args.slice(half) },
    ])
  }
  out.push(event({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage }))
  out.push(event({ type: 'message_stop' }))
  return out
}
