/** An upstream that answers exactly what a test has scripted for the model the request names. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Answer {
  readonly contentType: string
  /** Each is one network write. */
  readonly writes: readonly Uint8Array[]
  readonly status?: number
  /** Lets every write go out by itself. */
  readonly paced?: true
}

export interface ScriptedUpstream {
  readonly url: string
  /** Answers every request for `model`. */
  script(model: string, answer: Answer): void
  /** Bodies asked for `model` so far. */
  readonly asked: ReadonlyMap<string, number>
  close(): Promise<void>
}

export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const answers = new Map<string, Answer>()
  const asked = new Map<string, number>()
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      // Without a body, a header that the gate passes on says what is asked for.
      const asks =
        req.method === 'GET' ? { model: req.headers['openai-project'] } : JSON.parse(String(Buffer.concat(chunks)))
      const { model } = asks as { model: string }
      asked.set(model, (asked.get(model) ?? 0) + 1)
      const answer = answers.get(model)
      if (answer === undefined) {
        res.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"nothing scripted"}}')
        return
      }
      res.writeHead(answer.status ?? 200, { 'content-type': answer.contentType })
      if (answer.paced) {
        void pace(res, answer.writes)
        return
      }
      for (const bytes of answer.writes) res.write(bytes)
      res.end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    script: (model, answer) => answers.set(model, answer),
    asked,
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

async function pace(res: ServerResponse, writes: readonly Uint8Array[]): Promise<void> {
  for (const bytes of writes) {
    if (res.destroyed) return
    await new Promise<void>(resolve => res.write(bytes, () => setImmediate(resolve)))
  }
  res.end()
}

export function bodyOf(answer: Answer): Buffer {
  return Buffer.concat(answer.writes)
}
