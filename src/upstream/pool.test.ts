import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import type { Fault } from '../core/wire.ts'
import { createUpstream, type UpstreamOptions } from './pool.ts'
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamHeaders } from './upstream.ts'

const cleanups: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** A server that answers every connection's first bytes with exactly these, and then does `after`. */
async function rawServer(bytes: string, after: (socket: Socket) => void = socket => socket.end()): Promise<number> {
  return listen(
    createServer(socket => {
      socket.once('data', () => {
        if (bytes !== '') socket.write(bytes, 'latin1')
        after(socket)
      })
    }),
  )
}

async function httpServer(listener: RequestListener): Promise<number> {
  return listen(createHttpServer(listener))
}

function upstream(port: number, options: Partial<UpstreamOptions> = {}): Upstream {
  const made = createUpstream({ url: `http://127.0.0.1:${String(port)}/v1/`, ...options })
  cleanups.push(() => made.destroy())
  return made
}

interface Seen {
  status: number | undefined
  headers: UpstreamHeaders
  body: string
  fault: Fault | undefined
  /** Names of the callbacks, in order. */
  calls: string[]
}

const POST = { method: 'POST', path: '/chat/completions', headers: ['content-type', 'application/json'] } as const

/** Runs one call to its terminal callback. */
function run(
  to: Upstream,
  hooks: (call: () => UpstreamCall) => Partial<UpstreamHandler> = () => ({}),
  body = '{}',
): Promise<Seen> {
  const seen: Seen = { status: undefined, headers: {}, body: '', fault: undefined, calls: [] }
  return new Promise(resolve => {
    const more = hooks(() => call)
    const call: UpstreamCall = to.forward(
      { ...POST, body: Buffer.from(body) },
      {
        onHead: (status, headers) => {
          seen.calls.push('head')
          seen.status = status
          seen.headers = headers
          more.onHead?.(status, headers)
        },
        onData: chunk => {
          if (seen.calls.at(-1) !== 'data') seen.calls.push('data')
          seen.body += Buffer.from(chunk).toString('latin1')
          more.onData?.(chunk)
        },
        onEnd: () => {
          seen.calls.push('end')
          more.onEnd?.()
          setImmediate(resolve, seen)
        },
        onError: fault => {
          seen.calls.push('error')
          seen.fault = fault
          setImmediate(resolve, seen)
        },
      },
    )
  })
}

/** Many turns of the event loop later: what the other side did by then has been read. */
function later(then: () => void, turns = 200): void {
  if (turns === 0) then()
  else setImmediate(() => later(then, turns - 1))
}

describe('a call that goes well', () => {
  it('sends the body as it is below the base path, asks for identity, and delivers head, data and end', async () => {
    let got: { url: string | undefined; raw: string[]; body: string } | undefined
    const port = await httpServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk as Buffer))
      request.on('end', () => {
        got = { url: request.url, raw: request.rawHeaders, body: Buffer.concat(chunks).toString() }
        response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'r1' })
        response.end('{"ok":true}')
      })
    })
    const seen = await run(upstream(port), undefined, '{"a": 12345678901234567890}')
    expect(seen.calls).toEqual(['head', 'data', 'end'])
    expect([seen.status, seen.body, seen.headers['x-request-id']]).toEqual([200, '{"ok":true}', 'r1'])
    expect(got?.url).toBe('/v1/chat/completions')
    expect(got?.body).toBe('{"a": 12345678901234567890}')
    expect(got?.raw.map(text => text.toLowerCase())).toEqual([
      'host',
      `127.0.0.1:${String(port)}`,
      'connection',
      'keep-alive',
      'content-type',
      'application/json',
      'accept-encoding',
      'identity',
      'content-length',
      '27',
    ])
  })

  it('relays 4xx and 5xx as answers, not as faults', async () => {
    for (const status of [400, 401, 429, 500, 503]) {
      const port = await httpServer((_, response) => response.writeHead(status).end('{"error":1}'))
      const seen = await run(upstream(port))
      expect([seen.status, seen.body, seen.fault]).toEqual([status, '{"error":1}', undefined])
    }
  })

  it('passes over 1xx announcements', async () => {
    const port = await rawServer(
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    )
    const seen = await run(upstream(port))
    expect(seen.calls).toEqual(['head', 'data', 'end'])
    expect(seen.status).toBe(200)
  })

  it('reuses one connection for calls that follow each other, and opens more for calls at once', async () => {
    let connections = 0
    const server = createHttpServer((_, response) => response.end('{}'))
    server.on('connection', () => connections++)
    const to = upstream(await listen(server))
    // Two, not one: a connection comes free one turn of the event loop after its answer has ended.
    for (let i = 0; i < 6; i++) await run(to)
    expect(connections).toBeLessThanOrEqual(2)
    await Promise.all(Array.from({ length: 5 }, () => run(to)))
    expect(connections).toBeLessThanOrEqual(7)
    expect(connections).toBeGreaterThanOrEqual(5)
    expect(to.active).toBe(0)
  })

  it('never calls back before forward has returned, even for what fails at once', async () => {
    const to = upstream(1)
    await to.destroy()
    let returned = false
    const fault = await new Promise<Fault>(resolve => {
      to.forward(
        { ...POST },
        {
          onHead: () => undefined,
          onData: () => undefined,
          onEnd: () => undefined,
          onError: found => {
            expect(returned).toBe(true)
            resolve(found)
          },
        },
      )
      returned = true
    })
    expect(fault.code).toBe('shutting_down')
    expect(to.active).toBe(0)
  })
})

describe('an upstream that cannot be reached', () => {
  it('refused connection', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise(resolve => server.close(resolve))
    const seen = await run(upstream(port))
    expect(seen.calls).toEqual(['error'])
    expect(seen.fault).toMatchObject({
      code: 'upstream_unreachable',
      details: { exception: 'ECONNREFUSED', phase: 'head' },
    })
  })

  it('name that does not resolve', async () => {
    const to = createUpstream({ url: 'http://nowhere.invalid/v1' })
    cleanups.push(() => to.destroy())
    const seen = await run(to)
    expect(seen.calls).toEqual(['error'])
    expect(seen.fault?.code).toBe('upstream_unreachable')
  })

  it('TLS spoken to a clear-text server', async () => {
    const port = await rawServer('HTTP/1.1 400 Bad Request\r\n\r\n')
    const to = createUpstream({ url: `https://127.0.0.1:${String(port)}` })
    cleanups.push(() => to.destroy())
    expect((await run(to)).fault?.code).toBe('upstream_unreachable')
  })

  it('connection closed without a byte of answer', async () => {
    const seen = await run(upstream(await rawServer('')))
    expect(seen.calls).toEqual(['error'])
    expect(seen.fault).toMatchObject({ code: 'upstream_unreachable', details: { phase: 'head' } })
  })

  it('a POST is written once: a dead kept-alive connection is a fault, not a second request', async () => {
    let requests = 0
    const port = await httpServer((request, response) => {
      requests++
      request.resume()
      if (requests === 1) response.end('{}')
      else request.socket.destroy()
    })
    const to = upstream(port)
    expect((await run(to)).status).toBe(200)
    expect((await run(to)).fault?.code).toBe('upstream_unreachable')
    expect(requests).toBe(2)
  })
})

describe('certificates', () => {
  const pem = JSON.parse(readFileSync(new URL('./testdata/localhost.json', import.meta.url), 'utf8')) as {
    key: string
    cert: string
  }

  async function tlsServer(): Promise<number> {
    return listen(createHttpsServer(pem, (_, response) => response.end('{}')))
  }

  it('an untrusted certificate is refused, also with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    const port = await tlsServer()
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    cleanups.push(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    })
    const to = createUpstream({ url: `https://localhost:${String(port)}` })
    cleanups.push(() => to.destroy())
    const seen = await run(to)
    expect(seen.calls).toEqual(['error'])
    expect(seen.fault).toMatchObject({
      code: 'upstream_unreachable',
      details: { exception: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    })
  })

  it('a certificate the operator trusts is accepted, for its own name only', async () => {
    const port = await tlsServer()
    const named = createUpstream({ url: `https://localhost:${String(port)}`, ca: [pem.cert] })
    const other = createUpstream({ url: `https://127.0.0.1:${String(port)}`, ca: [pem.cert] })
    cleanups.push(
      () => named.destroy(),
      () => other.destroy(),
    )
    expect((await run(named)).status).toBe(200)
    expect((await run(other)).fault).toMatchObject({
      code: 'upstream_unreachable',
      details: { exception: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    })
  })

  it('certificates that the environment adds are not trusted', async () => {
    const port = await tlsServer()
    const folder = await mkdtemp(join(tmpdir(), 'signet-ca-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const file = join(folder, 'ca.pem')
    await writeFile(file, pem.cert)
    // Read by Node at its start, so a process of its own.
    const script = `
      import { createUpstream } from ${JSON.stringify(new URL('./pool.ts', import.meta.url).href)}
      import { request } from 'node:https'
      const url = 'https://localhost:${String(port)}'
      request(url, response => {
        const to = createUpstream({ url })
        to.forward({ method: 'POST', path: '/', headers: [] }, {
          onHead: status => process.stdout.write(String(status)),
          onData: () => undefined,
          onEnd: () => process.exit(),
          onError: fault => process.stdout.write(response.statusCode + ' ' + fault.code, () => process.exit()),
        })
      }).end()`
    for (const env of [{ NODE_EXTRA_CA_CERTS: file }, { SSL_CERT_FILE: file, NODE_OPTIONS: '--use-openssl-ca' }]) {
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
        env: { PATH: process.env['PATH'], ...env },
      })
      // Node's own client is taken in (200); the pool is not.
      expect(stdout).toBe('200 upstream_unreachable')
    }
  })

  it('proxy variables are not read', async () => {
    const port = await httpServer((_, response) => response.end('{"direct":true}'))
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'] as const
    for (const name of names) {
      const before = process.env[name]
      process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : 'http://127.0.0.1:1'
      cleanups.push(() => {
        if (before === undefined) delete process.env[name]
        else process.env[name] = before
      })
    }
    expect((await run(upstream(port))).body).toBe('{"direct":true}')
  })
})

describe('an upstream that is too slow', () => {
  it('no head in time', async () => {
    const port = await httpServer(() => undefined)
    const seen = await run(upstream(port, { requestTimeoutMs: 60 }))
    expect(seen.calls).toEqual(['error'])
    expect(seen.fault).toMatchObject({ code: 'upstream_timeout', details: { phase: 'head' } })
  })

  it('silence in the middle of the body', async () => {
    const port = await httpServer((_, response) => {
      response.write('data: 1\n\n')
    })
    const seen = await run(upstream(port, { idleTimeoutMs: 60 }))
    expect(seen.calls).toEqual(['head', 'data', 'error'])
    expect(seen.fault).toMatchObject({ code: 'upstream_timeout', details: { phase: 'body' } })
  })

  it('no connection free in time', async () => {
    const port = await httpServer((_, response) => {
      response.write('data: 1\n\n')
    })
    const to = upstream(port, { connections: 1, requestTimeoutMs: 60, idleTimeoutMs: 60_000 })
    await new Promise<void>(resolve => {
      void run(to, () => ({ onData: () => resolve() }))
    })
    expect((await run(to)).fault).toMatchObject({ code: 'upstream_timeout', details: { phase: 'queue' } })
  })

  it('more waiting calls than allowed are refused at once, also when those before them were given up', async () => {
    const port = await httpServer((_, response) => {
      response.write('data: 1\n\n')
    })
    const to = upstream(port, { connections: 1, maxWaiting: 2 })
    const first = await new Promise<UpstreamCall>(resolve => {
      void run(to, call => ({ onData: () => resolve(call()) }))
    })
    const silent = {
      onHead: () => undefined,
      onData: () => undefined,
      onEnd: () => undefined,
      onError: () => undefined,
    }
    for (let i = 0; i < 2; i++) to.forward({ ...POST }, silent).cancel()
    expect((await run(to)).fault?.code).toBe('overloaded')
    first.cancel()
    // The connection is gone, the two that were given up are dropped, and there is room again.
    while (to.active > 0) await new Promise(setImmediate)
    await new Promise<void>(resolve => {
      void run(to, () => ({ onData: () => resolve() }))
    })
    expect(to.active).toBe(1)
  })
})

describe('an upstream that lies', () => {
  it.each([300, 301, 302, 303, 304, 305, 306, 307, 308, 399])(
    '%i is never followed and never relayed',
    async status => {
      let followed = 0
      const target = await httpServer((_, response) => {
        followed++
        response.end()
      })
      const port = await httpServer((_, response) =>
        response.writeHead(status, { location: `http://127.0.0.1:${String(target)}/v1?token=x` }).end('secret'),
      )
      const seen = await run(upstream(port))
      expect(seen.calls).toEqual(['error'])
      expect(seen.fault?.code).toBe('upstream_redirect')
      expect(seen.fault?.details).toEqual({
        upstream_status: status,
        upstream_location_host: `127.0.0.1:${String(target)}`,
      })
      expect(followed).toBe(0)
    },
  )

  it.each([
    ['https://user:pass@evil.example:8443/path?q=secret#f', 'evil.example:8443'],
    ['HTTPS://user@EVIL.example/', 'evil.example'],
    ['/v1/elsewhere', undefined],
    ['//evil.example/', undefined],
    ['javascript:alert(1)', undefined],
    ['https://', undefined],
    [undefined, undefined],
  ])('only the host of Location %s is told', async (location, host) => {
    const port = await rawServer(
      `HTTP/1.1 302 Found\r\ncontent-length: 0\r\n${location === undefined ? '' : `location: ${location}\r\n`}\r\n`,
    )
    const seen = await run(upstream(port))
    expect(seen.fault?.details?.['upstream_location_host']).toBe(host)
    expect(JSON.stringify(seen.fault)).not.toMatch(/pass|secret|user/)
  })

  it.each([
    ['gzip', 'content-encoding: gzip'],
    ['two codings', 'content-encoding: identity, br'],
    ['two headers', 'content-encoding: identity\r\ncontent-encoding: zstd'],
    ['transfer coding', 'transfer-encoding: gzip, chunked'],
    ['two content types', 'content-type: application/json\r\ncontent-type: text/event-stream'],
  ])('%s is a protocol violation', async (_, header) => {
    const port = await rawServer(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n2\r\nok\r\n0\r\n\r\n`)
    const seen = await run(upstream(port))
    expect(seen.calls).toEqual(['error'])
    expect(seen.fault?.code).toBe('upstream_protocol_violation')
  })

  it('identity spelled out is fine', async () => {
    const port = await rawServer('HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\nok')
    expect((await run(upstream(port))).body).toBe('ok')
  })

  it.each([
    ['content length not reached', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"half":'],
    [
      'content length not reached on a closing connection',
      'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{"half":',
    ],
    ['last chunk missing', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{"half":\r\n'],
    [
      'last chunk missing on a closing connection',
      'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{"half":\r\n',
    ],
  ])('%s is truncation, never an end', async (_, bytes) => {
    const seen = await run(upstream(await rawServer(bytes)))
    expect(seen.calls).toEqual(['head', 'data', 'error'])
    expect(seen.fault).toMatchObject({ code: 'upstream_truncated', details: { phase: 'body' } })
  })

  it('a connection reset in the middle of the body is truncation', async () => {
    const port = await rawServer('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n', socket => {
      setImmediate(() => socket.resetAndDestroy())
    })
    const seen = await run(upstream(port))
    expect(seen.calls.at(-1)).toBe('error')
    expect(['upstream_truncated', 'upstream_unreachable']).toContain(seen.fault?.code)
  })

  it.each([
    ['not HTTP', 'SSH-2.0-OpenSSH_9\r\n'],
    ['bad chunk size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n'],
    ['length and chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n'],
    ['head without end', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(40_000)}`],
  ])('%s is a protocol violation', async (_, bytes) => {
    const seen = await run(upstream(await rawServer(bytes, () => undefined)))
    expect(seen.calls.at(-1)).toBe('error')
    expect(seen.fault?.code).toBe('upstream_protocol_violation')
  })

  it('no upstream bytes are in a fault', async () => {
    const port = await rawServer('HTTP/1.1 200 OK\r\ncontent-length: 100\r\nx-secret: hunter2\r\n\r\nhunter2')
    expect(JSON.stringify((await run(upstream(port))).fault)).not.toContain('hunter2')
  })
})

describe('back-pressure and giving up', () => {
  it('a paused call reads no more than a socket buffer, and all of it arrives after resume', async () => {
    const total = 32 * 1024 * 1024
    let written = 0
    const port = await httpServer((_, response) => {
      const piece = Buffer.alloc(64 * 1024, 120)
      const write = () => {
        while (written < total) {
          written += piece.length
          if (!response.write(piece)) {
            response.once('drain', write)
            return
          }
        }
        response.end()
      }
      write()
    })
    let received = 0
    let ended: Promise<Seen> | undefined
    const paused = await new Promise<UpstreamCall>(resolve => {
      ended = run(upstream(port), call => ({
        onData: chunk => {
          const first = received === 0
          received += chunk.length
          if (!first) return
          call().pause()
          resolve(call())
        },
      }))
    })
    // Let the server write until every buffer between the two is full: it then waits for 'drain'.
    await settled(() => written)
    const held = received
    expect(written).toBeLessThan(total)
    expect(received).toBeLessThan(256 * 1024)
    await settled(() => received)
    expect(received).toBe(held)
    paused.resume()
    expect((await ended)?.calls.at(-1)).toBe('end')
    expect(received).toBe(total)
  })
  it.each([
    ['its length', 'Content-Length: 4\r\n\r\nbody', 'end'],
    ['the end of the connection', '\r\nbody', 'end'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n', 'end'],
    ['a length that is too long', 'Content-Length: 9\r\n\r\nbody', 'error'],
  ])(
    'a connection that ends while the call is paused ends the call, and not the process: an answer framed by %s',
    async (_, rest, last) => {
      const port = await rawServer('', socket => socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n${rest}`))
      const seen = await run(upstream(port), call => ({
        onData: () => {
          call().pause()
          // Long after the end of the connection has been read.
          later(() => call().resume())
        },
      }))
      expect([seen.body, seen.calls.at(-1)]).toEqual(['body', last])
    },
  )

  it('a connection reset while the call is paused ends the call, and not the process', async () => {
    const reset: (() => void)[] = []
    const port = await rawServer('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody', socket => {
      reset.push(() => socket.resetAndDestroy())
    })
    const seen = await run(upstream(port), call => ({
      onData: () => {
        call().pause()
        for (const now of reset) now()
        later(() => call().resume())
      },
    }))
    expect([seen.body, seen.calls.length]).toEqual(['body', 3])
  })

  it('pause and resume inside a callback, before the head and repeatedly, lose nothing', async () => {
    const port = await httpServer((_, response) => {
      response.write('a'.repeat(100_000))
      response.write('b'.repeat(100_000))
      response.end('c')
    })
    const seen = await run(upstream(port), call => ({
      onHead: () => {
        call().pause()
        call().pause()
        call().resume()
      },
      onData: () => {
        call().pause()
        setImmediate(() => {
          call().resume()
          call().resume()
        })
      },
    }))
    expect(seen.body.length).toBe(200_001)
    expect(seen.calls.filter(name => name === 'end')).toHaveLength(1)
  })

  it('a call may be resumed from within another call', async () => {
    const port = await httpServer((_, response) => response.end('x'.repeat(200_000)))
    const to = upstream(port)
    const first = await new Promise<{ call: UpstreamCall; done: Promise<Seen> }>(resolve => {
      const done = run(to, call => ({
        onHead: () => {
          call().pause()
          setImmediate(() => resolve({ call: call(), done }))
        },
      }))
    })
    const second = await run(to, () => ({ onData: () => first.call.resume() }))
    expect(second.body.length).toBe(200_000)
    expect((await first.done).body.length).toBe(200_000)
  })

  it('cancel closes the connection to upstream, and no callback follows', async () => {
    let closed: (() => void) | undefined
    const upstreamClosed = new Promise<void>(resolve => {
      closed = resolve
    })
    const port = await httpServer((_, response) => {
      response.write('data: 1\n\n')
      response.once('close', () => closed?.())
    })
    const to = upstream(port)
    const calls: string[] = []
    void run(to, call => ({
      onData: () => {
        calls.push('data')
        call().cancel()
        call().cancel()
      },
      onEnd: () => calls.push('end'),
    })).then(() => calls.push('terminal'))
    await upstreamClosed
    await new Promise(setImmediate)
    expect(calls).toEqual(['data'])
    expect(to.active).toBe(0)
  })

  it('cancel before the connection stands sends nothing', async () => {
    let requests = 0
    const port = await httpServer((_, response) => {
      requests++
      response.end('{}')
    })
    const to = upstream(port)
    const called: string[] = []
    to.forward(
      { ...POST },
      {
        onHead: () => called.push('head'),
        onData: () => called.push('data'),
        onEnd: () => called.push('end'),
        onError: () => called.push('error'),
      },
    ).cancel()
    expect((await run(to)).status).toBe(200)
    expect(requests).toBe(1)
    expect(called).toEqual([])
    expect(to.active).toBe(0)
  })

  it('cancel while connecting to nobody gives its place back', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise(resolve => server.close(resolve))
    const to = upstream(port)
    const called: string[] = []
    to.forward(
      { ...POST },
      {
        onHead: () => called.push('head'),
        onData: () => called.push('data'),
        onEnd: () => called.push('end'),
        onError: () => called.push('error'),
      },
    ).cancel()
    expect((await run(to)).fault?.code).toBe('upstream_unreachable')
    expect(called).toEqual([])
    expect(to.active).toBe(0)
  })

  it.each(['onHead', 'onData'] as const)('a handler that throws in %s gets one error and no more', async name => {
    const port = await httpServer((_, response) => response.end('{}'))
    const seen = await run(upstream(port), () => ({
      [name]: () => {
        throw new TypeError('bug')
      },
    }))
    expect(seen.calls.filter(call => call === 'error' || call === 'end')).toEqual(['error'])
    expect(seen.fault).toMatchObject({ code: 'upstream_exception', details: { exception: 'TypeError' } })
  })

  it('a handler that throws in onEnd is told so', async () => {
    const port = await httpServer((_, response) => response.end('{}'))
    const seen = await run(upstream(port), () => ({
      onEnd: () => {
        throw new TypeError('bug')
      },
    }))
    expect(seen.calls.slice(-2)).toEqual(['end', 'error'])
  })

  it('destroy ends running calls as shutting_down', async () => {
    const port = await httpServer((_, response) => {
      response.write('data: 1\n\n')
    })
    const to = upstream(port)
    const seen = await run(to, () => ({ onData: () => void to.destroy() }))
    expect(seen.calls.at(-1)).toBe('error')
    expect(seen.fault?.code).toBe('shutting_down')
    expect(to.active).toBe(0)
  })
})

/** Waits until a count has stopped changing over many turns of the event loop. */
async function settled(count: () => number): Promise<void> {
  let last = -1
  let same = 0
  while (same < 200) {
    await new Promise(setImmediate)
    same = count() === last ? same + 1 : 0
    last = count()
  }
}

describe('probe', () => {
  it.each([
    [200, true],
    [401, true],
    [404, true],
    [302, true],
    [500, false],
    [503, false],
  ])('status %i: ready is %s', async (status, ready) => {
    let path: string | undefined
    let headers: string[] = []
    const port = await httpServer((request, response) => {
      path = request.url
      headers = request.rawHeaders
      response.writeHead(status).end('{}')
    })
    const probe = await upstream(port).probe()
    expect(probe).toMatchObject({ ready, status })
    expect(path).toBe('/v1/models')
    expect(headers.map(name => name.toLowerCase())).not.toContain('authorization')
  })

  it('a dead upstream is not ready, and the reason names no address', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise(resolve => server.close(resolve))
    expect(await upstream(port).probe()).toEqual({ ready: false, reason: 'upstream unreachable: ECONNREFUSED' })
  })

  it('a silent upstream is not ready', async () => {
    const probe = await upstream(await rawServer('', () => undefined), { probeTimeoutMs: 40 }).probe()
    expect(probe).toEqual({ ready: false, reason: 'upstream unreachable: no answer within 40 ms' })
  })

  it('works while every connection is busy, and many at once ask upstream once', async () => {
    let probes = 0
    const port = await httpServer((request, response) => {
      if (request.method === 'GET') {
        probes++
        response.end('{}')
      } else response.write('data: 1\n\n')
    })
    const to = upstream(port, { connections: 1 })
    await new Promise<void>(resolve => {
      void run(to, () => ({ onData: () => resolve() }))
    })
    const all = await Promise.all([to.probe(), to.probe(), to.probe()])
    expect(all.map(probe => probe.ready)).toEqual([true, true, true])
    expect(probes).toBe(1)
    expect(await to.probe()).toEqual({ ready: true, status: 200 })
  })
})

describe('settings', () => {
  it.each([
    [{ connections: 0 }, /connections/],
    [{ connections: 1.5 }, /connections/],
    [{ maxWaiting: -1 }, /maxWaiting/],
    [{ requestTimeoutMs: 0 }, /requestTimeoutMs/],
    [{ requestTimeoutMs: Number.NaN }, /requestTimeoutMs/],
    [{ connectTimeoutMs: Number.POSITIVE_INFINITY }, /connectTimeoutMs/],
    [{ keepAliveMs: 0 }, /keepAliveMs/],
    [{ label: 'a\r\nx: y' }, /label/],
    [{ label: 'https://user:pass@host' }, /label/],
    [{ url: 'https://host', ca: [] }, /ca/],
    [{ url: 'https://host', ca: ['nonsense'] }, /ca/],
  ])('%o is refused by name', (options, message) => {
    expect(() => createUpstream({ url: 'http://127.0.0.1:1', ...options })).toThrow(message)
  })

  it('the label is host and port, or the operator’s own', () => {
    expect(upstream(4321).label).toBe('127.0.0.1:4321')
    expect(upstream(4321, { label: 'the model' }).label).toBe('the model')
  })
})
