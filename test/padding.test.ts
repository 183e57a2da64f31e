/** A marker behind five megabytes of honest text, one character per event, wherever it travels. */
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, startTestGate, type TestGate } from './support/gate.ts'

const MARKER = 'SECRET//NOFORN'
const event = (choice: number, delta: unknown) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: choice, delta, finish_reason: null }] })}\n\n`
const PAD = event(0, { content: 'An honest sentence about the garden. '.repeat(1400) })
const PLACES: Record<string, (c: string) => string> = {
  content: c => event(0, { content: c }),
  'second choice': c => event(1, { content: c }),
  reasoning: c => event(0, { reasoning_content: c }),
  'tool arguments': c =>
    event(0, {
      tool_calls: [{ index: 0, id: 'k', type: 'function', function: { name: 'get_weather', arguments: c } }],
    }),
  'unknown field': c => event(0, { whatever: c }),
}

describe('a marker behind five megabytes of padding', () => {
  let server: Server
  let gate: TestGate
  let place = 'content'
  beforeAll(async () => {
    server = createServer((req, res) => {
      req.resume()
      req.on('end', () => {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        for (let i = 0; i < 100; i += 1) res.write(PAD)
        const say = PLACES[place]
        const text = place === 'tool arguments' ? `{"city":"${MARKER}"}` : MARKER
        for (const c of text) res.write(say?.(c) ?? '')
        for (const i of [0, 1])
          res.write(
            `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: i, delta: {}, finish_reason: 'stop' }] })}\n\n`,
          )
        res.end('data: [DONE]\n\n')
      })
    })
    const port = await new Promise<number>(resolve =>
      server.listen(0, '127.0.0.1', () => {
        const a = server.address()
        resolve(typeof a === 'object' && a !== null ? a.port : 0)
      }),
    )
    gate = await startTestGate({ upstreamUrl: `http://127.0.0.1:${port}/v1` })
  })
  afterAll(async () => {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
    server.close()
  })

  it.each(Object.keys(PLACES))('is not released in %s', async where => {
    place = where
    const text = await (
      await chat(gate, { model: 'm', stream: true, n: 2, messages: [{ role: 'user', content: 'go' }] })
    ).text()
    expect(text.length).toBeGreaterThan(5_000_000)
    expect(text).toMatch(/"signet_abort":true[^\n]*\n\ndata: \{"error":[^\n]*\n\ndata: \[DONE\]\n\n$/)
    const released = text
      .slice(PAD.length * 100 - 1, text.indexOf('"signet_abort"'))
      .replace(/: signet-receipt[^\n]*/g, '')
    expect(released).not.toMatch(/"(content|reasoning_content|whatever|arguments)":"/)
    const row = gate.rows().findLast(r => r['check_name'] === 'pipeline.inspection')
    expect(row).toMatchObject({ decision: 'block', metadata: { _code: 'marker', marker: MARKER } })
  })
})
