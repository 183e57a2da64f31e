/** An upstream that speaks chat completions and follows the last thing it is told. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Asked {
  readonly model: string
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage?: boolean }
  readonly messages: readonly {
    readonly role: string
    readonly content?: string | readonly { readonly text?: string }[] | null
  }[]
}

export interface ChatUpstream {
  readonly url: string
  /** Bodies of the requests so far. */
  readonly seen: readonly Asked[]
  close(): Promise<void>
}

/**
 * `say: …` is repeated, `hex: …` decoded first, `hang: …` said without an end; `tools: [["a", {…}]]` proposes these calls;
 * results of tools are reported.
 */
export async function startChatUpstream(): Promise<ChatUpstream> {
  const seen: Asked[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString()) as Asked
      seen.push(asked)
      const told = lastOf(asked)
      const head = {
        id: `chatcmpl-${seen.length}`,
        created: 1_760_000_000,
        model: asked.model,
        system_fingerprint: 'fp_1',
      }
      const answer = answerTo(told, seen.length)
      const hangs = told.startsWith('hang: ')
      if (asked.stream === true) {
        res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
        const events = eventsOf(answer, head, asked.stream_options?.include_usage === true)
        for (const event of hangs ? events.slice(0, -3) : events) res.write(event)
        if (!hangs) res.end()
      } else if (!hangs) {
        const message = { role: 'assistant', refusal: null, annotations: [], ...answer }
        const choices = [{ index: 0, message, logprobs: null, finish_reason: finishOf(answer) }]
        res.writeHead(200, { 'content-type': 'application/json' })
        res.end(JSON.stringify({ ...head, object: 'chat.completion', choices, usage: USAGE, service_tier: 'default' }))
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    seen,
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

interface Answer {
  readonly content: string | null
  readonly tool_calls?: readonly {
    readonly id: string
    readonly type: 'function'
    readonly function: { readonly name: string; readonly arguments: string }
  }[]
}

const USAGE = { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 }
const finishOf = (answer: Answer) => (answer.tool_calls === undefined ? 'stop' : 'tool_calls')
const textOf = (content: Asked['messages'][number]['content']) =>
  typeof content === 'string' ? content : (content ?? []).map(part => part.text ?? '').join('')

function lastOf({ messages }: Asked): string {
  const since = messages.slice(messages.findLastIndex(m => m.role === 'user') + 1)
  const results = since.filter(m => m.role === 'tool').map(m => textOf(m.content))
  if (results.length > 0) return `say: The tools said ${results.join(', ')}.`
  return textOf(messages.findLast(m => m.role === 'user')?.content)
}

function answerTo(told: string, turn: number): Answer {
  const [verb, rest = ''] = told.split(/: (.*)/s)
  if (verb === 'hex') return { content: Buffer.from(rest, 'hex').toString() }
  if (verb !== 'tools') return { content: verb === 'say' || verb === 'hang' ? rest : 'Once upon a time' }
  const calls = JSON.parse(rest) as readonly (readonly [name: string, input: unknown])[]
  return {
    content: null,
    tool_calls: calls.map(([name, input], i) => ({
      id: `call_${turn}_${i}`,
      type: 'function',
      function: { name, arguments: JSON.stringify(input) },
    })),
  }
}

function eventsOf(answer: Answer, head: object, withUsage: boolean): readonly string[] {
  const event = (choices: readonly object[], more: object = {}) =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...(withUsage ? { usage: null } : {}), ...more })}\n\n`
  const delta = (value: object, finish_reason: string | null = null) =>
    event([{ index: 0, delta: value, logprobs: null, finish_reason }])
  const out = [delta({ role: 'assistant', content: answer.content === null ? null : '', refusal: null })]
  for (const piece of cut(answer.content ?? '')) out.push(delta({ content: piece }))
  answer.tool_calls?.forEach(({ function: f, ...call }, index) => {
    out.push(delta({ tool_calls: [{ index, ...call, function: { name: f.name, arguments: '' } }] }))
    for (const piece of cut(f.arguments)) out.push(delta({ tool_calls: [{ index, function: { arguments: piece } }] }))
  })
  out.push(delta({}, finishOf(answer)))
  if (withUsage) out.push(event([], { usage: USAGE }))
  return [...out, 'data: [DONE]\n\n']
}

const cut = (text: string) => text.match(/.{1,4}/gsu) ?? []
