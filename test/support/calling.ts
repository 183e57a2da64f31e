import { createServer } from 'node:http'

/** An upstream that proposes one call. */
export async function calling(fn: object, more: object = {}) {
  const call = { id: 'c1', type: 'function', function: fn, ...more }
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const head = { id: 'x', created: 1, model: 'm' }
      if (!Buffer.concat(chunks).includes('"stream":true')) {
        const message = { role: 'assistant', content: null, tool_calls: [call] }
        const choices = [{ index: 0, message, finish_reason: 'tool_calls' }]
        res.writeHead(200, { 'content-type': 'application/json' })
        res.end(JSON.stringify({ ...head, object: 'chat.completion', choices }))
        return
      }
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const choice of [
        { index: 0, delta: { role: 'assistant', tool_calls: [{ index: 0, ...call }] }, finish_reason: null },
        { index: 0, delta: {}, finish_reason: 'tool_calls' },
      ])
        res.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [choice] })}\n\n`)
      res.end('data: [DONE]\n\n')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/v1`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
