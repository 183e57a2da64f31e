import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { EgressFailed, egressUrl, openEgress } from './egress.ts'

const egress = openEgress()
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})
afterAll(() => egress.close())

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const limits = { timeoutMs: 5000, maxBytes: 1000 }
async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(EgressFailed)
  return (error as EgressFailed).code
}

describe('egress', () => {
  it('sends what it is told and hands back status, type and bytes', async () => {
    const url = await serve((req, res) => {
      let body = ''
      req.on('data', piece => {
        body += piece
      })
      req.on('end', () =>
        res
          .writeHead(201, { 'content-type': 'text/plain' })
          .end(`${req.method} ${req.headers['x-key']} ${req.headers['accept-encoding']} ${body}`),
      )
    })
    const answer = await egress.send({ ...limits, url, method: 'POST', headers: { 'x-key': 'k' }, body: 'hello' })
    expect(answer).toMatchObject({ status: 201, contentType: 'text/plain' })
    expect(Buffer.from(answer.body).toString()).toBe('POST k identity hello')
  })

  it.each([
    'http://judge.example/',
    'http://127.0.0.1.evil.example/',
    'http://2130706433.example/',
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
    'https://user:secret@judge.example/',
    '/relative',
    '',
  ])('does not call %j', async url => {
    expect(await codeOf(egress.send({ ...limits, url, method: 'GET' }))).toBe('address_not_allowed')
    expect(() => egressUrl(url)).not.toThrow('secret')
  })

  it('hands a redirect back and does not follow it', async () => {
    let asked = 0
    const other = await serve((_, res) => {
      asked++
      res.end()
    })
    const url = await serve((_, res) => res.writeHead(307, { location: other }).end())
    expect((await egress.send({ ...limits, url, method: 'POST', body: 'x' })).status).toBe(307)
    expect(asked).toBe(0)
  })

  it('stops at its limits of size and time, and when the caller goes away', async () => {
    const endless = await serve((_, res) => {
      const more = () => {
        while (res.write('x'.repeat(1000)));
        res.once('drain', more)
      }
      more()
    })
    expect(await codeOf(egress.send({ ...limits, url: endless, method: 'GET' }))).toBe('too_large')
    const silent = await serve(() => {})
    expect(await codeOf(egress.send({ ...limits, url: silent, method: 'GET', timeoutMs: 20 }))).toBe('timeout')
    const trickle = await serve((_, res) => res.write('{'))
    expect(await codeOf(egress.send({ ...limits, url: trickle, method: 'GET', timeoutMs: 20 }))).toBe('timeout')
    expect(await codeOf(egress.send({ ...limits, url: silent, method: 'GET', signal: AbortSignal.abort() }))).toBe(
      'cancelled',
    )
    const rude = await serve((_, res) => res.socket?.destroy())
    expect(await codeOf(egress.send({ ...limits, url: rude, method: 'GET' }))).toBe('unreachable')
  })
})
