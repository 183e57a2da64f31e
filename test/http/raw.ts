/** A client that sends exactly the bytes it is given: what node:http and fetch refuse to send is what attackers send. */
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  readonly status: number
  /** Names in lower case, in wire order; repeated names repeat. */
  readonly headers: readonly (readonly [string, string])[]
  header(name: string): string | undefined
  readonly body: Buffer
  json(): Record<string, unknown>
}

export interface RawResult {
  readonly answers: readonly RawAnswer[]
  /** Everything that came, as Latin-1 text. */
  readonly text: string
  readonly closed: boolean
}

/** Sends `bytes`, resolves after `expected` final answers or when the gate closes the connection. */
export function raw(port: number, bytes: string | Uint8Array, expected = 1): Promise<RawResult> {
  return rawOn(connect(port, '127.0.0.1'), bytes, expected)
}

export function rawOn(socket: Socket, bytes: string | Uint8Array, expected = 1): Promise<RawResult> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let over = false
    const finish = (closed: boolean) => {
      if (over) return
      over = true
      const all = Buffer.concat(parts)
      socket.destroy()
      resolve({ answers: answersIn(all), text: all.toString('latin1'), closed })
    }
    socket.on('data', chunk => {
      parts.push(chunk)
      if (!Number.isFinite(expected)) return
      try {
        if (parseAnswers(Buffer.concat(parts)).length >= expected) finish(false)
      } catch (error) {
        socket.destroy()
        reject(error)
      }
    })
    socket.on('close', () => finish(true))
    socket.on('error', () => finish(true))
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

/** A POST to chat completions, head and body, with the lines given added to the head. */
export function post(lines: readonly string[], body: string | Uint8Array, path = '/v1/chat/completions'): Buffer {
  const bytes = Buffer.from(body)
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Content-Type: application/json',
    `Content-Length: ${bytes.length}`,
    ...lines,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}

/** What came may be no answer at all; `text` then says what it was. */
function answersIn(all: Buffer): RawAnswer[] {
  try {
    return parseAnswers(all)
  } catch {
    return []
  }
}

/** Complete answers only; 1xx are skipped. */
export function parseAnswers(all: Buffer): RawAnswer[] {
  const out: RawAnswer[] = []
  let at = 0
  for (;;) {
    const end = all.indexOf('\r\n\r\n', at)
    if (end < 0) return out
    const [first = '', ...lines] = all.subarray(at, end).toString('latin1').split('\r\n')
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1])
    if (!Number.isInteger(status)) throw new Error(`not an HTTP answer: ${first.slice(0, 80)}`)
    const headers = lines.map(l => {
      const colon = l.indexOf(':')
      return [l.slice(0, colon).toLowerCase(), l.slice(colon + 1).trim()] as const
    })
    const header = (name: string) => headers.find(([n]) => n === name)?.[1]
    let from = end + 4
    if (status < 200) {
      at = from
      continue
    }
    let body: Buffer
    if (header('transfer-encoding') === 'chunked') {
      const chunks: Buffer[] = []
      for (;;) {
        const eol = all.indexOf('\r\n', from)
        if (eol < 0) return out
        const size = Number.parseInt(all.subarray(from, eol).toString('latin1'), 16)
        if (!Number.isInteger(size)) throw new Error(`not a chunk: ${all.subarray(from, from + 80).toString('latin1')}`)
        from = eol + 2
        if (size === 0) {
          const last = all.indexOf('\r\n\r\n', from - 2)
          if (last < 0) return out
          from = last + 4
          break
        }
        if (all.length < from + size + 2) return out
        chunks.push(all.subarray(from, from + size))
        from += size + 2
      }
      body = Buffer.concat(chunks)
    } else {
      const length = Number(header('content-length') ?? 0)
      if (all.length < from + length) return out
      body = all.subarray(from, from + length)
      from += length
    }
    out.push({
      status,
      headers,
      header,
      body,
      json: () => JSON.parse(body.toString('utf8')) as Record<string, unknown>,
    })
    at = from
  }
}
