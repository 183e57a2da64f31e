/** The model that is not measured: a fixed answer, or `model: "stream-<chunks>-<delay ms>"` as that many events. */
import { createServer } from 'node:http'

const SENTENCES = 'The quick brown fox jumps over the lazy dog. '.repeat(8)

const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1767225600,
    model: 'bench',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: SENTENCES },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 80, completion_tokens: 90, total_tokens: 170 },
  }),
)

/** The same answer on every surface; an embedding is what the SDKs ask for by default: 1,536 floats in base64. */
const ANSWERS: Readonly<Record<string, Buffer>> = {
  '/v1/completions': json({
    id: 'cmpl-bench',
    object: 'text_completion',
    created: 1767225600,
    model: 'bench',
    choices: [{ text: SENTENCES, index: 0, logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 80, completion_tokens: 90, total_tokens: 170 },
  }),
  '/v1/messages': json({
    id: 'msg_bench',
    type: 'message',
    role: 'assistant',
    model: 'bench',
    content: [{ type: 'text', text: SENTENCES }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 80, output_tokens: 90 },
  }),
  '/v1/responses': json({
    id: 'resp_bench',
    object: 'response',
    created_at: 1767225600,
    status: 'completed',
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    model: 'bench',
    output: [
      {
        type: 'message',
        id: 'msg_bench',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: SENTENCES, annotations: [] }],
      },
    ],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: true,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: {
      input_tokens: 80,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 90,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 170,
    },
    user: null,
    metadata: {},
  }),
  '/v1/embeddings': json({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: vector(1536) }],
    model: 'bench',
    usage: { prompt_tokens: 80, total_tokens: 80 },
  }),
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function vector(dimensions: number): string {
  const floats = Float32Array.from({ length: dimensions }, (_, i) => Math.sin(i) / 40)
  return Buffer.from(floats.buffer).toString('base64')
}

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
      const answer = ANSWERS[req.url ?? ''] ?? ANSWER
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
      res.end(answer)
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
