/** Several gates that share state in Redis, through their real listeners: one limit, one budget, one record, one owner's session. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyName } from '../../src/state/redis/keys.ts'
import { openRedisState, type RedisStateOptions } from '../../src/state/redis/open.ts'
import { type RedisServer, startRedis, until } from '../../src/state/redis/testing/server.test-support.ts'
import { TEST_CLOCK } from '../../src/state/redis/testing/subject.test-support.ts'
import { handUpstream } from '../faults/support.ts'
import { chat, startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'
import { CAP, CAPACITY, limitedChecks } from './checks.ts'

const ALICE = 'human:alice@example.com'
const QUESTION = { model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 10 }

const folder = mkdtempSync(join(tmpdir(), 'signet-shared-'))
let server: RedisServer
const children: ChildProcess[] = []
beforeAll(async () => {
  server = await startRedis()
})
beforeEach(() => server.command('FLUSHALL'))
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function gateProcess(upstreamUrl: string, clock = '', capacity = CAPACITY) {
  const script = fileURLToPath(new URL('./gate-child.ts', import.meta.url))
  const log = join(folder, `audit-${children.length}.jsonl`)
  const child = spawn(process.execPath, [script, log, upstreamUrl, server.url, clock, String(capacity)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const [line] = await once(child.stdout, 'data')
  return { url: String(line).trim(), child }
}

/** A gate of this process, on shared state that is opened for it. */
async function gateHere(options: TestGateOptions = {}, redis: Partial<RedisStateOptions> = {}) {
  const shared = await openRedisState({ url: server.url, ...redis })
  await until(() => shared.reachable(), 'a connection to Redis')
  const gate = await startTestGate({ checks: limitedChecks(), shared, ...options })
  return {
    gate,
    close: async () => {
      await gate.close()
      await shared.close()
    },
  }
}

const statusOf = async (asked: Promise<Response>): Promise<number> => {
  const res = await asked
  await res.text()
  return res.status
}
const ready = async (gate: Pick<TestGate, 'url'>) => {
  const res = await fetch(`${gate.url}/readyz`)
  return { status: res.status, body: await res.json() }
}

describe('one limit', () => {
  it('for three gates at once: as many as it holds, and not one more', { timeout: 120_000 }, async () => {
    const upstream = await handUpstream(call => call.unary('hello'))
    const gates = await Promise.all(Array.from({ length: 3 }, () => gateProcess(upstream.url)))
    const all = await Promise.all(
      gates.flatMap(gate => Array.from({ length: 40 }, () => statusOf(chat(gate, QUESTION)))),
    )
    expect(all.filter(s => s === 200)).toHaveLength(CAPACITY)
    expect(all.filter(s => s === 429)).toHaveLength(3 * 40 - CAPACITY)
    expect(upstream.calls).toHaveLength(CAPACITY)
    // Another owner has a bucket of its own, at every gate the same.
    const bob = { owner: 'human:bob' }
    const his = await Promise.all(
      gates.flatMap(gate => Array.from({ length: 5 }, () => statusOf(chat(gate, QUESTION, bob)))),
    )
    expect(his.filter(s => s === 200)).toHaveLength(CAPACITY)
    await upstream.close()
  })
})

describe('a gate that is killed with a reservation open', () => {
  it('leaves it charged until its window ends: not for ever, and not given back', { timeout: 120_000 }, async () => {
    const HOUR = 3_600_000
    await server.command('SET', 'test:now', String(HOUR))
    const upstream = await handUpstream(call => {
      if (call.body.includes('"short"')) call.unary('hello')
    })
    const doomed = await gateProcess(upstream.url, TEST_CLOCK, 1_000)
    const asked = chat(doomed, { ...QUESTION, max_tokens: CAP }).catch(() => 'cut off')
    await upstream.call()
    doomed.child.kill('SIGKILL')
    expect(await asked).toBe('cut off')

    const { gate, close } = await gateHere(
      { checks: limitedChecks(1_000), upstreamUrl: upstream.url },
      { serverTime: TEST_CLOCK },
    )
    const ask = (max_tokens: number) =>
      statusOf(chat(gate, { model: 'short', messages: QUESTION.messages, max_tokens }))
    expect(await ask(1)).toBe(429)
    expect(gate.rows().findLast(r => r['decision'] === 'block')).toMatchObject({
      metadata: { _code: 'token_budget_exceeded', budget_used: 0, budget_reserved: CAP },
    })
    await server.command('SET', 'test:now', String(2 * HOUR - 1))
    expect(await ask(1)).toBe(429)
    await server.command('SET', 'test:now', String(2 * HOUR))
    expect(await ask(CAP)).toBe(200)
    await close()
    await upstream.close()
  })
})

describe('Redis killed and started again under load', () => {
  it('refuses with 503, never lets one through, and recovers by itself', { timeout: 120_000 }, async () => {
    const upstream = await handUpstream(call => call.unary('hello'))
    const { gate, close } = await gateHere({ upstreamUrl: upstream.url }, { timeoutMs: 500 })
    // Without the probes of /readyz.
    const calls = () => upstream.calls.filter(c => c.req.method === 'POST').length
    const seen = new Map<number, number>()
    const count = (status: number) => seen.get(status) ?? 0
    let going = true
    let owners = 0
    let session = 0
    const load = Array.from({ length: 8 }, async () => {
      while (going) {
        const owner = `human:load-${++owners}`
        const status = await statusOf(
          chat(gate, QUESTION, { owner, headers: { 'x-signet-session': `s${++session % 5}` } }),
        )
        seen.set(status, count(status) + 1)
      }
    })
    await until(() => count(200) > 50, 'answers')
    expect(await ready(gate)).toMatchObject({ status: 200 })
    for (let round = 0; round < 3; round++) {
      await server.kill()
      // Those under way may still end well; then nothing does.
      await until(async () => (await ready(gate)).status === 503, 'red')
      expect((await ready(gate)).body).toEqual({ status: 'not_ready', reason: 'the shared state cannot be used' })
      const [before, called] = [count(503), calls()]
      await until(() => count(503) > before + 40, 'refusals')
      expect(calls()).toBeLessThanOrEqual(called + 8)
      const answered = count(200)
      await server.start()
      await until(() => count(200) > answered + 50, 'answers again')
      expect(await ready(gate)).toMatchObject({ status: 200 })
    }
    going = false
    await Promise.all(load)
    expect([...seen.keys()].sort()).toEqual([200, 503])
    expect(calls()).toBe(count(200))
    const refused = gate.rows().filter(r => r['decision'] === 'block')
    const codes = new Set(refused.map(r => (r['metadata'] as Record<string, unknown>)['_code']))
    expect([...codes]).toEqual(['state_unavailable'])
    expect((await gate.verify()).ok).toBe(true)
    await close()
    await upstream.close()
  })

  it('slow Redis reaches the time limit: 503, then 503 at once, then recovery', async () => {
    const { gate, close } = await gateHere({}, { timeoutMs: 100 })
    expect(await statusOf(chat(gate, QUESTION))).toBe(200)
    await server.command('CLIENT', 'PAUSE', '100000', 'WRITE')
    expect(await statusOf(chat(gate, QUESTION))).toBe(503)
    const before = gate.upstreamRequests()
    const all = await Promise.all(Array.from({ length: 50 }, () => statusOf(chat(gate, QUESTION))))
    expect(new Set(all)).toEqual(new Set([503]))
    expect((await ready(gate)).status).toBe(503)
    expect(gate.upstreamRequests()).toBe(before)
    await server.command('CLIENT', 'UNPAUSE')
    await until(async () => (await ready(gate)).status === 200, 'green')
    expect(await statusOf(chat(gate, QUESTION))).toBe(200)
    await close()
  })

  it('a gate that starts without Redis starts red, and turns green by itself', async () => {
    await server.kill()
    const shared = await openRedisState({ url: server.url })
    const gate = await startTestGate({ checks: limitedChecks(), shared })
    expect((await ready(gate)).status).toBe(503)
    const refused = await chat(gate, QUESTION)
    expect([refused.status, await refused.json()]).toMatchObject([503, { check: 'rate_limit', stage: 'admission' }])
    expect((await fetch(`${gate.url}/healthz`)).status).toBe(200)
    await server.start()
    await until(async () => (await ready(gate)).status === 200, 'green')
    expect(await statusOf(chat(gate, QUESTION))).toBe(200)
    await gate.close()
    await shared.close()
  })
})

describe('somebody else’s data', () => {
  for (const stream of [false, true])
    it.each([
      ['the bucket', ['LPUSH', keyName('signet:', 'ratelimit', ALICE), 'x'], {}],
      ['the ledger', ['SET', keyName('signet:', 'budget', `hour:${ALICE}`), 'x'], {}],
      ['the sessions', ['SET', keyName('signet:', 'session', ALICE), 'x'], { 'x-signet-session': 's1' }],
    ])(`under %s refuses, ${stream ? 'streamed' : 'unary'}, and only its owner`, async (_what, command, headers) => {
      const { gate, close } = await gateHere()
      await server.command(...command)
      expect(await statusOf(chat(gate, { ...QUESTION, stream }, { headers }))).toBe(503)
      expect(gate.upstreamRequests()).toBe(0)
      expect(await statusOf(chat(gate, { ...QUESTION, stream }, { headers, owner: 'human:bob' }))).toBe(200)
      expect((await ready(gate)).status).toBe(200)
      await close()
    })
})

describe('sessions', () => {
  it('count at every gate, for their owner alone', async () => {
    const [one, other] = [await gateHere(), await gateHere()]
    const ask = (gate: TestGate, owner: string) =>
      statusOf(chat(gate, QUESTION, { owner, headers: { 'x-signet-session': 'shared-name' } }))
    for (const gate of [one.gate, other.gate, one.gate]) expect(await ask(gate, ALICE)).toBe(200)
    expect(await ask(other.gate, 'human:mallory')).toBe(200)
    const state = await openRedisState({ url: server.url })
    await until(() => state.reachable(), 'a connection')
    expect(await state.sessions.touch(ALICE, 'shared-name', 0)).toMatchObject({ requestCount: 4, owner: ALICE })
    expect(await state.sessions.touch('human:mallory', 'shared-name', 0)).toMatchObject({ requestCount: 2 })
    await state.close()
    await one.close()
    await other.close()
  })
})

describe('the record of upstream state', () => {
  it('holds at every gate as soon as the answer has ended, for its owner and level', async () => {
    let made = 0
    const upstream = createServer((req, res) => {
      req.resume().on('end', () => {
        res.setHeader('content-type', 'application/json')
        const text = { type: 'output_text', text: 'ok', annotations: [] }
        const message = {
          id: `msg_${++made}`,
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [text],
        }
        res.end(
          JSON.stringify({
            id: `resp_${made}`,
            object: 'response',
            status: 'completed',
            model: 'm',
            output: [message],
          }),
        )
      })
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`
    const [one, other] = [
      await gateHere({ upstreamUrl, checks: limitedChecks(1_000) }),
      await gateHere({ upstreamUrl, checks: limitedChecks(1_000) }),
    ]
    const respond = async (gate: TestGate, previous?: string, owner = ALICE) => {
      const res = await fetch(`${gate.url}/v1/responses`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-commit-owner': owner },
        body: JSON.stringify({
          model: 'm',
          input: 'hi',
          ...(previous === undefined ? {} : { previous_response_id: previous }),
        }),
      })
      return { status: res.status, body: (await res.json()) as Record<string, unknown> }
    }
    let last: string | undefined
    for (let i = 0; i < 40; i++) {
      const answer = await respond((i % 2 === 0 ? one : other).gate, last)
      expect(answer.status).toBe(200)
      last = String(answer.body['id'])
    }
    expect(await respond(other.gate, last, 'human:mallory')).toMatchObject({
      status: 403,
      body: { check: 'references' },
    })
    expect((await respond(other.gate, 'resp_never')).status).toBe(403)
    await server.command('SET', keyName('signet:', 'reference', ALICE), 'x')
    expect((await respond(one.gate, last)).status).toBe(503)
    await one.close()
    await other.close()
    upstream.close()
  })
})
