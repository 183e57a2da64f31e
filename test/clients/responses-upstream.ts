/** A small model behind `/v1/responses`: it proposes what it is asked for, and says what a tool answered. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LEAK_MARKER } from '../../src/upstream/demo/script.ts'
import { added, done, type Event, item, says, type Told, together, told } from '../bypass/responses-answers.ts'

interface Item {
  readonly type?: string
  readonly role?: string
  readonly content?: string | readonly { readonly text?: string }[]
  readonly output?: string
}

export interface Asked {
  readonly model: string
  readonly stream?: boolean
  readonly input: string | readonly Item[]
}

export interface ResponsesUpstream {
  readonly url: string
  /** Requests, oldest first. */
  readonly seen: readonly Asked[]
  close(): Promise<void>
}

export async function startResponsesUpstream(): Promise<ResponsesUpstream> {
  const seen: Asked[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString()) as Asked
      seen.push(asked)
      const answer = told(reply(asked), { mode: asked.stream === true ? 'stream' : 'unary' })
      res.writeHead(200, { 'content-type': answer.contentType })
      for (const bytes of answer.writes) res.write(bytes)
      res.end()
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

function reply({ input }: Asked): Told {
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : input
  const results = items.filter(i => i.type === 'function_call_output')
  if (results.length > 0) return speech(`The tool answered: ${results.map(r => r.output).join(', ')}`)
  const words = textOf(items.findLast(i => i.role === 'user'))
  // What is to be said, hidden from the checks of the request.
  const [, hex] = /^hex: ([0-9a-f]+)$/.exec(words) ?? []
  if (hex !== undefined) return speech(Buffer.from(hex, 'hex').toString())
  if (/secret plan/.test(words)) return speech(`The plan is simple. ${LEAK_MARKER} The convoy leaves at dawn.`)
  if (/key/.test(words)) return speech('use sk-test-abcdefgh1234 now')
  const names = [...words.matchAll(/\b(\w+)\(\)/g)].map(m => m[1] ?? '')
  if (names.length > 0) {
    const thought = item({ id: 'rs_0', type: 'reasoning', summary: [] })
    return together(thought, says(['On it.'], { output: 1 }), ...names.map((name, i) => call(name, i + 2)))
  }
  return speech(`You said: ${words}`)
}

function textOf(one: Item | undefined): string {
  if (typeof one?.content === 'string') return one.content
  return (one?.content ?? []).map(part => part.text ?? '').join('')
}

const speech = (text: string): Told => says(text.split(/(?<= )/))

function call(name: string, output: number): Told {
  const args = `{"city":"${name}-arg"}`
  const full = { id: `fc_${output}`, type: 'function_call', status: 'completed', call_id: `call_${output}`, name }
  const at = { item_id: full.id, output_index: output }
  const pieces = args.match(/.{1,5}/gs) ?? []
  return {
    events: [
      added({ ...full, status: 'in_progress', arguments: '' }, output),
      ...pieces.map((delta): Event => ({ type: 'response.function_call_arguments.delta', members: { ...at, delta } })),
      { type: 'response.function_call_arguments.done', members: { ...at, arguments: args } },
      done({ ...full, arguments: args }, output),
    ],
    output: [{ ...full, arguments: args }],
  }
}
