/**
 * A small model behind `/v1/responses`: `name()` and `tools: [["name", {…}]]` are calls it proposes (with a text instead of
 * an object: a custom tool's), `say: …` is repeated, `hex: …` decoded first, `hang: …` said and not ended; a tool's result is reported.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LEAK_MARKER } from '../../src/upstream/demo/script.ts'
import { added, done, type Event, item, says, type Told, together, told } from '../bypass/responses-answers.ts'

interface Item {
  readonly type?: string
  readonly role?: string
  readonly content?: string | readonly { readonly text?: string }[]
  readonly output?: string | readonly { readonly text?: string }[]
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
      const hangs = JSON.stringify(asked.input).includes('hang: ')
      if (!hangs) for (const bytes of answer.writes) res.write(bytes)
      else if (asked.stream === true) for (const bytes of answer.writes.slice(0, -4)) res.write(bytes)
      if (!hangs) res.end()
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
  const since = items.slice(items.findLastIndex(i => i.role === 'user') + 1)
  const results = since.filter(i => i.type === 'function_call_output' || i.type === 'custom_tool_call_output')
  if (results.length > 0) return speech(`The tool answered: ${results.map(r => wordsOf(r.output)).join(', ')}`)
  const words = textOf(items.findLast(i => i.role === 'user'))
  // What is to be said, hidden from the checks of the request.
  const [, hex] = /^hex: ([0-9a-f]+)$/.exec(words) ?? []
  if (hex !== undefined) return speech(Buffer.from(hex, 'hex').toString())
  if (/secret plan/.test(words)) return speech(`The plan is simple. ${LEAK_MARKER} The convoy leaves at dawn.`)
  const [, spoken] = words.match(/^(?:say|hang): (.*)$/s) ?? []
  if (spoken !== undefined) return speech(spoken)
  if (/\bkey\b/.test(words)) return speech('use sk-test-abcdefgh1234 now')
  const [, listed] = words.match(/^tools: (.*)$/s) ?? []
  if (listed !== undefined) {
    const asked = JSON.parse(listed) as readonly (readonly [name: string, input: unknown])[]
    const calls = asked.map(([name, input], i) =>
      typeof input === 'string' ? custom(name, i + 2, input) : call(name, i + 2, JSON.stringify(input)),
    )
    return together(thought(), says(['On it.'], { output: 1 }), ...calls)
  }
  const names = [...words.matchAll(/\b(\w+)\(\)/g)].map(m => m[1] ?? '')
  if (names.length > 0) {
    return together(thought(), says(['On it.'], { output: 1 }), ...names.map((name, i) => call(name, i + 2)))
  }
  return speech(`You said: ${words}`)
}

function wordsOf(output: Item['output']): string {
  if (typeof output === 'string') return output
  return (output ?? []).map(part => part.text ?? '').join('')
}

function textOf(one: Item | undefined): string {
  if (typeof one?.content === 'string') return one.content
  return (one?.content ?? []).map(part => part.text ?? '').join('')
}

const speech = (text: string): Told => says(text.split(/(?<= )/))

/** As the API sends it where it keeps no state. */
const thought = () => item({ id: 'rs_0', type: 'reasoning', summary: [], encrypted_content: SEALED })
const SEALED = 'gAAAAABo'.repeat(20)

function call(name: string, output: number, args = `{"city":"${name}-arg"}`): Told {
  return proposed('function_call', name, output, 'arguments', args)
}

/** A call whose input is free text: a patch, a program. */
function custom(name: string, output: number, input: string): Told {
  return proposed('custom_tool_call', name, output, 'input', input)
}

/** `space.name` is a tool in a namespace. */
function proposed(
  type: 'function_call' | 'custom_tool_call',
  name: string,
  output: number,
  member: 'arguments' | 'input',
  text: string,
): Told {
  const [last = '', namespace] = name.split('.').reverse()
  const full = {
    id: `${type === 'function_call' ? 'fc' : 'ctc'}_${output}`,
    type,
    status: 'completed',
    call_id: `call_${output}`,
    name: last,
    ...(namespace === undefined ? {} : { namespace }),
  }
  const events = type === 'function_call' ? 'response.function_call_arguments' : 'response.custom_tool_call_input'
  const at = { item_id: full.id, output_index: output }
  const pieces = text.match(/.{1,5}/gs) ?? []
  return {
    events: [
      added({ ...full, status: 'in_progress', [member]: '' }, output),
      ...pieces.map((delta): Event => ({ type: `${events}.delta`, members: { ...at, delta } })),
      { type: `${events}.done`, members: { ...at, [member]: text } },
      done({ ...full, [member]: text }, output),
    ],
    output: [{ ...full, [member]: text }],
  }
}
