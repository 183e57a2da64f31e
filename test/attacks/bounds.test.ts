/** Work and memory that somebody else would like the gate to spend. Outcomes, not times: each of these is refused or linear. */

import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Check } from '../../src/core/check.ts'
import { ALLOW } from '../../src/core/verdict.ts'
import { RowWatch } from '../faults/support.ts'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'
import {
  asking,
  chunk,
  DONE,
  declared,
  KEY,
  type LyingUpstream,
  opening,
  startLyingUpstream,
  stream,
  typed,
} from './support.ts'

let upstream: LyingUpstream
let gate: TestGate
beforeAll(async () => {
  upstream = await startLyingUpstream()
  gate = await startTestGate({ upstreamUrl: upstream.url, settings: { maxHeldBytes: 1024 * 1024 } })
})
afterAll(async () => {
  expect(gate.running.gate.load).toEqual({ active: 0, heldBytes: 0 })
  await gate.close()
  await upstream.close()
})

describe('an answer made to be expensive', () => {
  it('tiny frames behind an undecided call count for more than their bytes', async () => {
    // 30,000 bytes of comments; each waits as an object.
    upstream.says(stream(chunk(opening('get_weather', '{')), ':\n\n'.repeat(10_000)))
    const text = await (await chat(gate, asking({ stream: true, tools: declared('get_weather') }))).text()
    expect(text).toContain('upstream_too_large')
  })

  it('values that are inspected one by one are bounded in number: keys of a body', async () => {
    const keys = Array.from({ length: 5000 }, (_, i) => `"k${i}":0`).join(',')
    upstream.says(typed('application/json', `{"choices":[],${keys}}`))
    const res = await chat(gate, asking())
    expect([res.status, await res.text()]).toEqual([502, expect.stringContaining('upstream_too_large')])
  })

  it('values that are inspected one by one are bounded in number: comments of an event', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `:${i % 2}\n`).join('')
    upstream.says(stream(chunk({ content: 'a' }), `${lines}\n`, chunk({}, 'stop'), DONE))
    expect(await (await chat(gate, asking({ stream: true }))).text()).toContain('upstream_too_large')
  })

  it('a body of millions of numbers is refused before it is millions of objects', async () => {
    upstream.says(typed('application/json', `{"choices":[],"x":[${'1,'.repeat(3_000_000)}1]}`))
    expect((await chat(gate, asking())).status).toBe(502)
  }, 20_000)

  it('one held frame of very many parts is not gone through for every frame behind it', async () => {
    const many = chunk({ content: [...Array<string>(60_000).fill('a'), ' SECRET//NOFO'] })
    upstream.says(stream(many, ':\n\n'.repeat(2000), chunk({}, 'stop'), DONE))
    const roomy = await startTestGate({ upstreamUrl: upstream.url })
    const text = await (await chat(roomy, asking({ stream: true }))).text()
    await roomy.close()
    expect(text).toContain('NOFO')
    expect(text).toMatch(/data: \[DONE\]\n\n$/)
  })

  it('very many redactions are all made, and their rows are bounded', async () => {
    const before = gate.rows().length
    upstream.says(stream(...Array.from({ length: 600 }, () => chunk({ content: `${KEY} ` })), chunk({}, 'stop'), DONE))
    const text = await (await chat(gate, asking({ stream: true }))).text()
    expect(text.match(/\[REDACTED\]/g)).toHaveLength(600)
    expect(text).not.toContain('sk-test')
    const rows = gate.rows().slice(before)
    expect(rows.filter(r => r['decision'] === 'redact')).toHaveLength(256)
    expect(rows.at(-1)).toMatchObject({ metadata: { decisions_unnoted: 344 } })
  })
})

describe('a request made to be expensive', () => {
  it('thousands of redactions in one request are all made', async () => {
    let seen = ''
    upstream.says((res, _req, body) => {
      seen = body
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}')
    })
    const content = Array.from({ length: 20_000 }, () => ({ type: 'text', text: 'hunter2' }))
    const calls = Array.from({ length: 5_000 }, () => ({
      id: 'c',
      type: 'function',
      function: { name: 'f', arguments: '{"pw":"hunter2"}' },
    }))
    const messages = [
      { role: 'user', content },
      { role: 'assistant', tool_calls: calls },
    ]
    expect((await chat(gate, { model: 'm', messages })).status).toBe(200)
    expect(seen).not.toContain('hunter2')
    expect(seen.match(/\[REDACTED\]/g)).toHaveLength(25_000)
  }, 20_000)

  it('an escaped twin in call arguments still blocks among many that are not', async () => {
    const call = (args: string) => ({ id: 'c', type: 'function', function: { name: 'f', arguments: args } })
    const calls = [...Array.from({ length: 50 }, () => call('{"pw":"hunter2"}')), call('{"pw":"\\u0068unter2"}')]
    const res = await chat(gate, { model: 'm', messages: [{ role: 'assistant', tool_calls: calls }] })
    expect(res.status).toBe(403)
  })

  it('more separate texts than a request has is refused', async () => {
    const content = Array.from({ length: 70_000 }, (_, i) => String(i))
    const res = await chat(gate, { model: 'm', messages: [{ role: 'user', content }] })
    expect([res.status, await res.json()]).toMatchObject([400, { error: 'request_invalid' }])
  })
})

describe('a caller that does not read', () => {
  it('is cut off when its connection stands still, and upstream with it', async () => {
    let left = false
    upstream.says(res => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.on('close', () => {
        left = true
      })
      const write = () => {
        while (!res.destroyed)
          if (!res.write(chunk({ content: 'word '.repeat(4000) }))) return void res.once('drain', write)
      }
      write()
    })
    const stuck = await startTestGate({ upstreamUrl: upstream.url })
    const server = new Promise<Socket>(resolve => stuck.running.server.once('connection', resolve))
    const client = connect(stuck.running.port, '127.0.0.1')
    client.on('error', () => undefined)
    client.pause()
    const body = JSON.stringify(asking({ stream: true }))
    client.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Commit-Owner: human:m\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    const socket = await server
    // While an answer waits for the caller, the connection has a time limit; while it waits for the model it has none.
    while (!(socket.timeout === 60_000 && socket.writableLength > 0)) await turn()
    expect(stuck.running.gate.load.active).toBe(1)
    socket.emit('timeout')
    while (stuck.running.gate.load.active > 0) await turn()
    while (!left) await turn()
    expect(stuck.rows().at(-1)).toMatchObject({ metadata: { _code: 'client_disconnect' } })
    client.destroy()
    await stuck.close()
  })

  it('gets no limit while the model thinks', async () => {
    let answer: () => void = () => undefined
    upstream.says(res => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write(chunk({ content: 'a' }))
      answer = () => void res.end(chunk({}, 'stop') + DONE)
    })
    const patient = await startTestGate({ upstreamUrl: upstream.url })
    const server = new Promise<Socket>(resolve => patient.running.server.once('connection', resolve))
    const res = await chat(patient, asking({ stream: true }))
    const reader = res.body?.getReader()
    await reader?.read()
    expect((await server).timeout ?? 0).toBe(0)
    answer()
    while (!(await reader?.read())?.done) {}
    await patient.close()
  })
})

describe('a caller that leaves while a check is deciding', () => {
  it('leaves nothing counted as held, and no row behind the last', async () => {
    let asked: () => void = () => undefined
    let answer: (verdict: typeof ALLOW) => void = () => undefined
    const deciding = new Promise<void>(resolve => {
      asked = resolve
    })
    const slow: Check = {
      name: 'slow',
      priority: 1,
      timeLimitMs: 60_000,
      describe: () => ({}),
      commit: () =>
        new Promise(resolve => {
          answer = resolve
          asked()
        }),
    }
    upstream.says(res => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write(chunk(opening('get_weather', '{}')) + chunk({}, 'tool_calls') + chunk(opening('later', '{', 1)))
    })
    const watch = new RowWatch()
    const g = await startTestGate({ upstreamUrl: upstream.url, checks: [slow], wrapAudit: watch.wrap })
    const server = new Promise<Socket>(resolve => g.running.server.once('connection', resolve))
    const leaving = new AbortController()
    const body = JSON.stringify(asking({ stream: true }))
    const gone = fetch(`${g.url}/v1/chat/completions`, { method: 'POST', body, signal: leaving.signal })
    await deciding
    leaving.abort()
    await expect(gone).rejects.toThrow()
    const socket = await server
    while (!socket.destroyed || g.running.gate.load.active > 0) await turn()
    const rows = watch.rows.length
    answer(ALLOW)
    for (let i = 0; i < 10; i += 1) await turn()
    expect(g.running.gate.load).toEqual({ active: 0, heldBytes: 0 })
    expect(watch.rows).toHaveLength(rows)
    await g.close()
  })
})
