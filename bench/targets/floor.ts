/**
 * The least a durable gate can do in one process: read, parse and hash both bodies; two HMAC-chained rows, one write and
 * one fdatasync (group commit), one Ed25519 signature off the main thread; nothing leaves before the sync. No policy.
 * A stream waits for its first row before the first byte and for its last before the end, and signs both times.
 */
import { createHash, createHmac, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { fdatasync, openSync, write } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Pool } from 'undici'

const pool = new Pool(`http://127.0.0.1:${process.env['UPSTREAM_PORT']}`, {
  connections: 512,
  pipelining: 1,
  bodyTimeout: 0,
  headersTimeout: 0,
})
const fd = openSync(process.env['AUDIT_PATH'] ?? '', 'a')
const key = randomBytes(32)
const { privateKey } = generateKeyPairSync('ed25519')
let previous = ''
let lines: string[] = []
let waiting: (() => void)[] = []
let busy = false

function row(fields: Record<string, unknown>): void {
  const text = JSON.stringify({
    entry_id: randomUUID(),
    ts_ns: Date.now(),
    owner: 'human:bench@example.com',
    ...fields,
    prev_hmac: previous,
  })
  previous = createHmac('sha256', key).update(text).digest('hex')
  lines.push(`${text.slice(0, -1)},"hmac":"${previous}"}\n`)
}

function durable(): Promise<void> {
  return new Promise(resolve => {
    waiting.push(resolve)
    if (!busy) flush()
  })
}

function flush(): void {
  busy = true
  const bytes = lines.join('')
  const done = waiting
  lines = []
  waiting = []
  write(fd, bytes, () =>
    fdatasync(fd, () => {
      for (const f of done) f()
      if (waiting.length > 0) flush()
      else busy = false
    }),
  )
}

const receipt = (claims: unknown): Promise<string> =>
  new Promise((resolve, reject) => {
    const input = Buffer.from(JSON.stringify(claims)).toString('base64url')
    sign(null, Buffer.from(input), privateKey, (error, signature) =>
      error ? reject(error) : resolve(`${input}.${signature.toString('base64url')}`),
    )
  })

const sha = (b: Uint8Array) => createHash('sha256').update(b).digest('hex')

createServer({ noDelay: true, keepAliveTimeout: 120_000 }, (req, res) => {
  const parts: Buffer[] = []
  req.on('data', (d: Buffer) => parts.push(d))
  req.on('end', () => {
    const body = Buffer.concat(parts)
    const parsed = body.length === 0 ? {} : (JSON.parse(body.toString()) as { stream?: boolean })
    forward(req, res, body, parsed.stream === true)
  })
}).listen(Number(process.env['PORT']), '127.0.0.1', 1024)

function forward(req: IncomingMessage, res: ServerResponse, body: Buffer, stream: boolean): void {
  const digest = sha(body)
  row({ check_name: 'admission', request: digest })
  const started = stream ? Promise.all([durable(), receipt({ stage: 'admission', req: digest })]) : undefined
  const parts: Buffer[] = []
  const hash = createHash('sha256')
  let status = 200
  let queue: Promise<void> = Promise.resolve()
  pool.dispatch(
    { method: 'POST', path: req.url ?? '/', headers: { 'content-type': 'application/json' }, body },
    {
      // Its presence tells undici which handler interface this is.
      onRequestStart() {},
      onResponseStart(_c, code) {
        status = code
        if (stream)
          queue = (started ?? Promise.resolve([undefined, ''])).then(
            ([, r]) => void res.writeHead(status, { 'content-type': 'text/event-stream', 'x-receipt': r ?? '' }),
          )
      },
      onResponseData(_c, chunk) {
        if (!stream) {
          parts.push(chunk)
          return
        }
        hash.update(chunk)
        if (res.headersSent) res.write(chunk)
        else queue = queue.then(() => void res.write(chunk))
      },
      onResponseEnd() {
        const answer = Buffer.concat(parts)
        if (!stream) JSON.parse(answer.toString())
        const out = stream ? hash.digest('hex') : sha(answer)
        row({ check_name: 'complete', request: digest, response: out })
        const signed = receipt({ stage: 'complete', req: digest, res: out })
        void Promise.all([durable(), signed, queue]).then(([, r]) => {
          if (stream) res.end(`: ${r}\n\n`)
          else {
            res.writeHead(status, {
              'content-type': 'application/json',
              'content-length': answer.length,
              'x-receipt': r,
            })
            res.end(answer)
          }
        })
      },
      onResponseError() {
        res.destroy()
      },
    },
  )
}
