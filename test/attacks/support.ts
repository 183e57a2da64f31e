/** An upstream that lies as a test tells it to, and the events it lies with. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Script = (res: ServerResponse, req: IncomingMessage, body: string) => void

export interface LyingUpstream {
  readonly url: string
  /** How it answers from now on. */
  says(script: Script): void
  close(): Promise<void>
}

export async function startLyingUpstream(): Promise<LyingUpstream> {
  let script: Script = res => res.writeHead(500).end()
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => script(res, req, Buffer.concat(chunks).toString()))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    says: next => {
      script = next
    },
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

export const MARKER = 'SECRET//NOFORN'
export const KEY = 'sk-test-abcdefgh1234'
/** JSON text in which not one letter of `text` stands. */
export const hidden = (text: string) =>
  [...text].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')

const TOP = { id: 'chatcmpl-1', created: 1_760_000_000, model: 'm' }

export const event = (data: unknown) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
export const chunk = (delta: object, finish: string | null = null, choice: object = {}) =>
  event({
    ...TOP,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finish, ...choice }],
  })
export const DONE = event('[DONE]')
export const stream = (...events: string[]): Script => typed('text/event-stream', events.join(''))
export const whole = (message: object, finish = 'stop', top: object = {}): Script =>
  typed(
    'application/json',
    JSON.stringify({
      ...TOP,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: null, ...message }, finish_reason: finish }],
      ...top,
    }),
  )
export const typed =
  (contentType: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Script =>
  res => {
    res.writeHead(200, { 'content-type': contentType, ...headers }).end(body)
  }

export const opening = (name: string, args: string, index = 0, id = `call_${index}`) => ({
  tool_calls: [{ index, id, type: 'function', function: { name, arguments: args } }],
})
export const more = (fields: object, index = 0) => ({ tool_calls: [{ index, function: fields }] })
export const declared = (...names: string[]) =>
  names.map(name => ({ type: 'function', function: { name, parameters: { type: 'object' } } }))

export const asking = (more: object = {}) => ({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...more })
