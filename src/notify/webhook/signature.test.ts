import { createHmac, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { createWebhookSigner, webhookPublicKey } from './signature.ts'

const secret = (byte: number, length = 32) => `whsec_${Buffer.alloc(length, byte).toString('base64')}`

/** From a key pair that Node made, as Standard Webhooks writes it. */
function pair(): { readonly seed: Buffer; readonly publicBytes: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    seed: privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
    publicBytes: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
  }
}

describe('signatures of webhooks', () => {
  it('are those of the specification', () => {
    // From the specification's own verifier libraries: secret, id, time and payload of their shared test.
    const signer = createWebhookSigner(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])
    expect(signer.sign('msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}')).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    )
  })

  it('are accepted by the reference library, with any secret of a rotation and for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.uint8Array({ minLength: 24, maxLength: 64 }), (text, bytes) => {
        const body = JSON.stringify({ text: text.toWellFormed() })
        const older = `whsec_${Buffer.from(bytes).toString('base64')}`
        const now = Math.floor(Date.now() / 1000)
        const signature = createWebhookSigner([secret(1), older]).sign('evt_1', now, body)
        const headers = { 'webhook-id': 'evt_1', 'webhook-timestamp': String(now), 'webhook-signature': signature }
        for (const known of [secret(1), older])
          expect(new Webhook(known).verify(body, headers)).toEqual(JSON.parse(body))
        expect(() => new Webhook(secret(2)).verify(body, headers)).toThrow('No matching signature')
        expect(() => new Webhook(secret(1)).verify(`${body} `, headers)).toThrow('No matching signature')
      }),
      { numRuns: 50 },
    )
  })

  it('of an Ed25519 key verify with the public key that receivers are given', () => {
    const { seed, publicBytes } = pair()
    for (const bytes of [seed, Buffer.concat([seed, publicBytes])]) {
      const whsk = `whsk_${bytes.toString('base64')}`
      const whpk = webhookPublicKey(whsk)
      expect(whpk).toBe(`whpk_${publicBytes.toString('base64')}`)
      const [kind, signature = ''] = createWebhookSigner([whsk]).sign('evt_1', 5, '{}').split(',')
      expect(kind).toBe('v1a')
      const key = createPublicKey({
        key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicBytes]),
        format: 'der',
        type: 'spki',
      })
      expect(verify(null, Buffer.from('evt_1.5.{}'), key, Buffer.from(signature, 'base64'))).toBe(true)
    }
    const both = createWebhookSigner([secret(1), `whsk_${seed.toString('base64')}`]).sign('evt_1', 5, '{}')
    expect(both).toMatch(/^v1,[A-Za-z0-9+/=]+ v1a,[A-Za-z0-9+/=]+$/)
    const hmac = createHmac('sha256', Buffer.alloc(32, 1)).update('evt_1.5.{}').digest('base64')
    expect(both.split(' ')[0]).toBe(`v1,${hmac}`)
  })

  it.each([
    ['none', []],
    ['no prefix', ['MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']],
    ['another prefix', ['whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']],
    ['too short', [secret(1, 23)]],
    ['too long', [secret(1, 65)]],
    ['no base64', ['whsec_####']],
    ['halves that do not belong together', [`whsk_${Buffer.alloc(64, 3).toString('base64')}`]],
    ['a key of another length', [`whsk_${Buffer.alloc(33, 3).toString('base64')}`]],
  ])('are not made with %s, and the error does not repeat it', (_, secrets) => {
    const make = () => createWebhookSigner(secrets)
    expect(make).toThrow(TypeError)
    for (const s of secrets) expect(make).not.toThrow(s.slice(6))
  })
})
