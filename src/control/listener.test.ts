/** The shell around the control plane's routes: what a caller that does not read can hold. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { createListenerRule } from '../identity/host.ts'
import { type Answer, createControlListener } from './listener.ts'

const MiB = 1024 * 1024

async function* pieces(): AsyncIterable<Uint8Array> {
  for (let i = 0; i < 64; i += 1) yield new Uint8Array(MiB)
}

it.each<[string, () => Answer['body']]>([
  ['whole', () => new Uint8Array(64 * MiB)],
  ['in pieces', () => pieces()],
])('a caller that asks and never reads an answer (%s) is cut off', async (_, body) => {
  const route = {
    methods: ['GET'],
    takes: () => true,
    answer: async () => ({ status: 200, headers: {}, body: body() }),
  }
  const server = createControlListener(createListenerRule(), [route], 50)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a port')
  const accepted = once(server, 'connection')
  const caller = connect(address.port, '127.0.0.1')
  caller.on('error', () => undefined)
  caller.pause()
  caller.write('GET /console/assets/big.js HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [socket] = await accepted
  await once(socket, 'close')
  expect(server.maxConnections).toBeGreaterThan(0)
  caller.destroy()
  server.close()
  await once(server, 'close')
})
