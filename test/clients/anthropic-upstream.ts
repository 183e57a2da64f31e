/** An upstream that speaks Messages and follows the last thing it is told, so that a test can hold a conversation. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

type Block = Readonly<Record<string, unknown>> & { readonly type: string }

interface Asked {
  readonly model: string
  readonly stream?: boolean
  readonly messages: readonly { readonly role: string; readonly content: string | readonly Block[] }[]
}

export interface AnthropicUpstream {
  readonly url: string
  /** Requests so far, bodies as they came. */
  readonly seen: readonly {
    readonly path: string
    readonly body: string
    readonly headers: IncomingMessage['headers']
  }[]
  close(): Promise<void>
}

/**
 * `say: …` is repeated, `hex: …` decoded first, `hang: …` said without an end; `think: …` is thought, signed, and answered;
 * `call: a b` proposes calls of these names with one argument each, `tools: [["a", {…}]]` calls with these inputs, `only:`
 * the same and no word before them; a tool result is reported; `fail` is an error of the API, `break` one in the middle of a stream.
 */
export async function startAnthropicUpstream(): Promise<AnthropicUpstream> {
  const seen: { path: string; body: string; headers: IncomingMessage['headers'] }[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      seen.push({ path: req.url ?? '', body, headers: req.headers })
      const asked = JSON.parse(body) as Asked
      const json = (status: number, value: unknown) =>
        res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
      const told = lastOf(asked)
      const blocks = blocksFor(told, seen.length)
      const head = { id: `msg_${seen.length}`, ...HEAD, model: asked.model }
      if (req.url?.startsWith('/v1/messages/count_tokens') === true) json(200, { input_tokens: body.length })
      else if (told === 'fail') json(529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })
      else if (asked.stream === true) {
        res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
        const events = eventsOf(head, blocks, told === 'break')
        const hangs = told.startsWith('hang: ')
        for (const event of hangs ? events.slice(0, -3) : events) res.write(event)
        if (!hangs) res.end()
      } else if (!told.startsWith('hang: ')) json(200, { ...head, ...done(blocks), content: blocks })
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

const HEAD = { type: 'message', role: 'assistant', stop_sequence: null }
const SIGNATURE = 'U0lHTkVE'.repeat(20)
const usage = { input_tokens: 9, output_tokens: 7 }
const done = (blocks: readonly Block[]) => ({
  stop_reason: blocks.some(b => b.type === 'tool_use') ? 'tool_use' : 'end_turn',
  usage,
})

/** The last message of the user: its last text, or what its tool results say. */
function lastOf({ messages }: Asked): string {
  const content = messages.findLast(m => m.role !== 'system')?.content ?? ''
  if (typeof content === 'string') return content
  const results = content.filter(b => b.type === 'tool_result').map(b => wordsOf(b['content']))
  return results.length > 0
    ? `say: The tools said ${results.join(', ')}.`
    : String(content.findLast(b => b.type === 'text')?.['text'])
}

function wordsOf(content: unknown): string {
  if (!Array.isArray(content)) return String(content)
  return content.map((block: { readonly text?: unknown }) => String(block.text ?? '')).join('')
}

function blocksFor(told: string, turn: number): readonly Block[] {
  const [verb, rest = ''] = told.split(/: (.*)/s)
  if (verb === 'think') {
    return [
      { type: 'thinking', thinking: rest, signature: SIGNATURE },
      { type: 'text', text: 'I have thought.' },
    ]
  }
  if (verb === 'call') {
    const calls = rest
      .split(' ')
      .map((name, i) => ({ type: 'tool_use', id: `toolu_${turn}_${i}`, name, input: { city: `${name}-arg` } }))
    return [{ type: 'text', text: 'Let me see.' }, ...calls]
  }
  if (verb === 'tools' || verb === 'only') {
    const calls = JSON.parse(rest) as readonly (readonly [name: string, input: unknown])[]
    const blocks = calls.map(([name, input], i) => ({ type: 'tool_use', id: `toolu_${turn}_${i}`, name, input }))
    return verb === 'only' ? blocks : [{ type: 'text', text: 'Let me see.' }, ...blocks]
  }
  if (verb === 'hex') return [{ type: 'text', text: Buffer.from(rest, 'hex').toString() }]
  return [{ type: 'text', text: verb === 'say' || verb === 'hang' ? rest : 'Once upon a time' }]
}

function eventsOf(head: object, blocks: readonly Block[], breaks: boolean): readonly string[] {
  const event = (type: string, rest: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
  const out = [event('message_start', { message: { ...head, content: [], stop_reason: null, usage } }), event('ping')]
  blocks.forEach((block, index) => {
    const delta = (value: object) => event('content_block_delta', { index, delta: value })
    const begin = (content_block: object) => event('content_block_start', { index, content_block })
    if (block.type === 'tool_use') {
      out.push(begin({ ...block, input: {} }))
      for (const piece of cut(JSON.stringify(block['input'])))
        out.push(delta({ type: 'input_json_delta', partial_json: piece }))
    } else if (block.type === 'thinking') {
      out.push(begin({ type: 'thinking', thinking: '', signature: '' }))
      for (const piece of cut(String(block['thinking']))) out.push(delta({ type: 'thinking_delta', thinking: piece }))
      out.push(delta({ type: 'signature_delta', signature: block['signature'] }))
    } else {
      out.push(begin({ type: 'text', text: '' }))
      for (const piece of cut(String(block['text']))) out.push(delta({ type: 'text_delta', text: piece }))
    }
    out.push(event('content_block_stop', { index }))
  })
  if (breaks) return [...out, event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } })]
  const { stop_reason } = done(blocks)
  out.push(event('message_delta', { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } }))
  return [...out, event('message_stop')]
}

const cut = (text: string) => text.match(/.{1,4}/gsu) ?? []
