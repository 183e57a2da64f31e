/** The model that is not measured: a fixed answer, or `model: "stream-<chunks>-<delay ms>"` as that many events. */
import { createServer } from 'node:http'

const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1767225600,
    model: 'bench',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'The quick brown fox jumps over the lazy dog. '.repeat(8) },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 80, completion_tokens: 90, total_tokens: 170 },
  }),
)

const event = (delta: unknown, finish: string | null = null) =>
  Buffer.from(
    `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1767225600, model: 'bench', system_fingerprint: 'fp', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
  )
const WORDS = 'The quick brown fox jumps over the lazy dog and keeps running through the quiet wood'
  .split(' ')
  .map(w => event({ content: `${w} ` }))
const FIRST = event({ role: 'assistant', content: '' })
const LAST = Buffer.concat([event({}, 'stop'), Buffer.from('data: [DONE]\n\n')])

createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
  const parts: Buffer[] = []
  req.on('data', (d: Buffer) => parts.push(d))
  req.on('end', () => {
    if (req.method === 'GET') {
      res.end('{"data":[]}')
      return
    }
    const model = /"model":\s*"stream-(\d+)-(\d+)"/.exec(Buffer.concat(parts).toString('latin1', 0, 200))
    if (model === null) {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length })
      res.end(ANSWER)
      return
    }
    const chunks = Number(model[1])
    const delay = Number(model[2])
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write(FIRST)
    let i = 0
    const next = (): void => {
      if (i >= chunks) {
        res.end(LAST)
        return
      }
      res.write(WORDS[i % WORDS.length] ?? FIRST)
      i += 1
      if (delay > 0) setTimeout(next, delay)
      else setImmediate(next)
    }
    next()
  })
}).listen(Number(process.env['PORT']), '127.0.0.1', 1024)
