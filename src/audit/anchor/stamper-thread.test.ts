import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { loadStamper } from './load.ts'
import { openStamper } from './stamper-thread.ts'
import { type Lie, makeTsa, pemOf, respond } from './testing/tsa.test-support.ts'

const DATA = Buffer.from('gate.test/log\n3\nAAAA\n\n\u2014 gate.test/log AAAA\n')
const tsa = await makeTsa()
const stamper = await openStamper(pemOf(tsa.root))
afterAll(() => stamper.close())

describe('a stamper in a thread', () => {
  it('asks and verifies as one without a thread', async () => {
    const plain = await loadStamper(pemOf(tsa.root))
    const nonce = randomBytes(16)
    for (const policy of [undefined, '1.3.6.1.4.1.99999.1']) {
      const request = await stamper.request(DATA, policy, nonce)
      expect(request).toEqual(await plain.request(DATA, policy, nonce))
      const response = await respond(tsa, request.bytes)
      const trust = { policy, nowMs: Date.now(), asked: { nonce: request.nonce, atMs: Date.now() } }
      const stamp = await stamper.verify(response, DATA, trust)
      expect(stamp).toEqual(await plain.verify(response, DATA, trust))
      expect(stamp.time).toBeInstanceOf(Date)
    }
  })

  it.each<[string, Lie]>([
    ['other bytes', { imprint: Buffer.alloc(32) }],
    ['a refusal', { status: 2 }],
    ['a statement that was not signed', { swapped: true }],
  ])('refuses as one without a thread does, by the same name: %s', async (_what, lie) => {
    const plain = await loadStamper(pemOf(tsa.root))
    const { bytes } = await stamper.request(DATA, undefined, randomBytes(16))
    const response = await respond(tsa, bytes, lie)
    const failure = await plain.verify(response, DATA, { nowMs: Date.now() }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'AnchorInvalid' })
    const { code, message } = failure as Error & { code: string }
    await expect(stamper.verify(response, DATA, { nowMs: Date.now() })).rejects.toMatchObject({
      name: 'AnchorInvalid',
      code,
      message,
    })
  })

  it('does not open over roots that are none', async () => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    await expect(openStamper(broken)).rejects.toMatchObject({
      name: 'AnchorInvalid',
      code: 'malformed',
      message: 'expected a certificate',
    })
  })
})
