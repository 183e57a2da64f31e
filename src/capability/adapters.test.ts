/** The adapters in the real frameworks, over real sockets. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { expressCapability } from './express.ts'
import { fastifyCapability } from './fastify.ts'
import { honoCapability } from './hono.ts'
import { capabilityTransport } from './mcp.ts'
import { MemoryReplayStore, type ReplayStore } from './replay.ts'
import { ARGUMENTS, executor, TOOL, tokenFor } from './testing/tokens.test-support.ts'
import type { ExecutorOptions, VerifiedCapability } from './verify.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** What a handler was run with. */
type Ran = { readonly args: unknown; readonly jti: string | undefined }
type Send = (
  token: string | undefined,
  body: string,
  more?: Record<string, string>,
) => Promise<{ status: number; code?: string }>
type Framework = (options: ExecutorOptions, ran: Ran[]) => Promise<Send>

function sending(url: string): Send {
  return async (token, body, more = {}) => {
    const headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { 'x-signet-capability': token }),
    }
    const res = await fetch(url, { method: 'POST', headers: { ...headers, ...more }, body })
    const said = (await res.json()) as { code?: string }
    return { status: res.status, ...(said.code === undefined ? {} : { code: said.code }) }
  }
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool`
}

const FRAMEWORKS: Readonly<Record<string, Framework>> = {
  async express(options, ran) {
    const app = express()
    app.post('/tool', expressCapability(TOOL, options), (req, res) => {
      const { signet } = req as unknown as { signet: VerifiedCapability }
      ran.push({ args: req.body, jti: signet.claims.jti })
      res.json({})
    })
    return sending(await listening(createServer(app)))
  },
  async 'express behind express.json'(options, ran) {
    const app = express()
    app.use(express.json())
    app.post('/tool', expressCapability(TOOL, options), (req, res) => {
      ran.push({ args: req.body, jti: (req as { signet?: VerifiedCapability }).signet?.claims.jti })
      res.json({})
    })
    return sending(await listening(createServer(app)))
  },
  hono(options, ran) {
    const app = new Hono<{ Variables: { signet: VerifiedCapability } }>()
    app.post('/tool', honoCapability(TOOL, options), c => {
      const { arguments: args, claims } = c.get('signet')
      ran.push({ args, jti: claims.jti })
      return c.json({})
    })
    return Promise.resolve(async (token, body, more) => {
      const headers = {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { 'x-signet-capability': token }),
      }
      const res = await app.request('/tool', { method: 'POST', headers: { ...headers, ...more }, body })
      const said = (await res.json()) as { code?: string }
      return { status: res.status, ...(said.code === undefined ? {} : { code: said.code }) }
    })
  },
  async fastify(options, ran) {
    const app = fastify()
    app.post('/tool', { preHandler: fastifyCapability(TOOL, options) }, (request, reply) => {
      ran.push({ args: request.body, jti: (request as { signet?: VerifiedCapability }).signet?.claims.jti })
      return reply.send({})
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    stops.push(() => app.close())
    return sending(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/tool`)
  },
}

describe.each(Object.keys(FRAMEWORKS))('%s', name => {
  const open = (options: ExecutorOptions, ran: Ran[]) => {
    const framework = FRAMEWORKS[name]
    if (framework === undefined) throw new Error(name)
    return framework(options, ran)
  }

  it('runs the handler once, with the verified arguments, after the use is remembered', async () => {
    const ran: Ran[] = []
    const memory = new MemoryReplayStore()
    const replay: ReplayStore = {
      use(use) {
        expect(ran).toEqual([])
        return memory.use(use)
      },
    }
    const send = await open(executor({ replay }), ran)
    const token = await tokenFor()
    expect(await send(token, '{"amount":5e1,"account":"X"}')).toEqual({ status: 200 })
    expect(ran).toEqual([{ args: { account: 'X', amount: 50 }, jti: expect.any(String) as unknown }])
    ran.length = 0
    expect(await send(token, ARGUMENTS)).toEqual({ status: 403, code: 'already_used' })
    expect(ran).toEqual([])
  })

  it('refuses everything else, and says why', async () => {
    const ran: Ran[] = []
    const send = await open(executor(), ran)
    const cases: readonly [string | undefined, string, string][] = [
      [undefined, ARGUMENTS, 'capability_missing'],
      ['nonsense', ARGUMENTS, 'capability_malformed'],
      [await tokenFor(), '{"account":"X","amount":51}', 'arguments_mismatch'],
      [await tokenFor(ARGUMENTS, { tool: 'other' }), ARGUMENTS, 'tool_wrong'],
      [await tokenFor(ARGUMENTS, { aud: 'other' }), ARGUMENTS, 'audience_wrong'],
      [await tokenFor(ARGUMENTS, { shadow: true }), ARGUMENTS, 'shadow_refused'],
    ]
    for (const [token, body, code] of cases) expect(await send(token, body)).toEqual({ status: 403, code })
    expect(ran).toEqual([])
  })

  it('reads no second meaning into duplicate keys', async () => {
    const ran: Ran[] = []
    const send = await open(executor(), ran)
    const { status } = await send(await tokenFor(), '{"account":"X","amount":50,"amount":5000}')
    expect(status).toBe(403)
    expect(ran).toEqual([])
  })

  it('lets one of a hundred through', async () => {
    const ran: Ran[] = []
    const send = await open(executor(), ran)
    const token = await tokenFor()
    const all = await Promise.all(Array.from({ length: 100 }, () => send(token, ARGUMENTS)))
    expect(all.filter(one => one.status === 200).length).toBe(1)
    expect(ran.length).toBe(1)
  })

  it('answers 503 when it cannot know', async () => {
    const ran: Ran[] = []
    const send = await open(executor({ replay: { use: () => Promise.reject(new Error('down')) } }), ran)
    expect(await send(await tokenFor(), ARGUMENTS)).toEqual({ status: 503, code: 'replay_unavailable' })
    expect(ran).toEqual([])
  })
})

it('express reads a body to its bound only', async () => {
  const ran: Ran[] = []
  const send = await FRAMEWORKS['express']?.(executor(), ran)
  const long = JSON.stringify({ account: 'X'.repeat(1024 * 1024 + 1) })
  expect(await send?.(await tokenFor(long), long)).toEqual({ status: 403, code: 'arguments_mismatch' })
  expect(ran).toEqual([])
})

describe('an MCP server', () => {
  async function connected(options: ExecutorOptions) {
    const ran: unknown[] = []
    const server = new McpServer({ name: 's', version: '1' })
    const inputSchema = { account: z.string(), amount: z.number() }
    server.registerTool(TOOL, { inputSchema }, args => {
      ran.push(args)
      if (args.amount === 13) throw new Error('no')
      return { content: [{ type: 'text', text: 'paid' }] }
    })
    const [near, far] = InMemoryTransport.createLinkedPair()
    await server.connect(capabilityTransport(far, options))
    const client = new Client({ name: 'c', version: '1' })
    await client.connect(near)
    stops.push(() => client.close())
    const call = (
      capability: string | undefined,
      args: Record<string, unknown> = { amount: 50, account: 'X' },
      name = TOOL,
    ) =>
      client.callTool({
        name,
        arguments: args,
        ...(capability === undefined ? {} : { _meta: { signet: { capability } } }),
      })
    return { client, near, ran, call }
  }
  const codeOf = (result: unknown) => (result as { _meta?: { signet?: { code?: string } } })._meta?.signet?.code

  it('runs a call with its capability once; everything but calls passes', async () => {
    const { client, ran, call } = await connected(executor())
    expect((await client.listTools()).tools.map(t => t.name)).toEqual([TOOL])
    const token = await tokenFor()
    expect(await call(token)).toMatchObject({ content: [{ type: 'text', text: 'paid' }] })
    expect(ran).toEqual([{ account: 'X', amount: 50 }])
    const again = await call(token)
    expect([again.isError, codeOf(again)]).toEqual([true, 'already_used'])
    expect(ran.length).toBe(1)
  })

  it('refuses every other call before the server sees it', async () => {
    const { ran, call } = await connected(executor())
    expect(codeOf(await call(undefined))).toBe('capability_missing')
    expect(codeOf(await call(await tokenFor(), { amount: 51, account: 'X' }))).toBe('arguments_mismatch')
    expect(codeOf(await call(await tokenFor(ARGUMENTS, { tool: 'other' })))).toBe('tool_wrong')
    expect(codeOf(await call(await tokenFor(), undefined, 'other'))).toBe('tool_wrong')
    const down = await connected(
      executor({
        replay: {
          use: () => {
            throw new Error('down')
          },
        },
      }),
    )
    expect(codeOf(await down.call(await tokenFor()))).toBe('replay_unavailable')
    expect([...ran, ...down.ran]).toEqual([])
  })

  it('sees no call without an id, and none in a batch that was not verified', async () => {
    const { near, ran, call } = await connected(executor())
    const params = { name: TOOL, arguments: { account: 'X', amount: 50 } }
    const bare = { jsonrpc: '2.0', method: 'tools/call', params }
    await near.send(bare as Parameters<typeof near.send>[0])
    await near.send([{ ...bare, id: 900 }, bare] as unknown as Parameters<typeof near.send>[0])
    // Whatever those led to was before this.
    await call(await tokenFor())
    expect(ran.length).toBe(1)
  })

  it('passes on how a call went', async () => {
    const told: unknown[] = []
    const replay: ReplayStore = { use: () => true, report: (_jti, outcome) => Promise.resolve(void told.push(outcome)) }
    const { call } = await connected(executor({ replay }))
    await call(await tokenFor())
    const failing = '{"account":"X","amount":13}'
    await call(await tokenFor(failing), { account: 'X', amount: 13 })
    expect(told).toEqual([{ ok: true }, { ok: false }])
  })
})
