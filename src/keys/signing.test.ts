import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { calculateJwkThumbprint } from 'jose'
import { describe, expect, it } from 'vitest'
import { KeyError } from './ring.ts'
import { publicJwkOf, SigningKey } from './signing.ts'

describe('a signing key', () => {
  it('signs what its public key verifies, and nothing else', async () => {
    const key = SigningKey.generate()
    const signature = await key.sign(Buffer.from('row'))
    const pub = createPublicKey(key.publicPem())
    expect(signature).toHaveLength(64)
    expect(verify(null, Buffer.from('row'), pub, signature)).toBe(true)
    expect(verify(null, Buffer.from('rov'), pub, signature)).toBe(false)
  })

  it('has the RFC 7638 thumbprint as its kid', async () => {
    const key = SigningKey.generate()
    const { kty, crv, x } = key.publicJwk
    expect(key.kid).toBe(await calculateJwkThumbprint({ kty, crv, x }))
    expect(publicJwkOf(key.publicPem())).toEqual(key.publicJwk)
    expect(key.publicBytes()).toHaveLength(32)
  })

  it('knows the key of RFC 8037 appendix A', () => {
    // d = nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A
    const pem = `-----BEGIN PRIVATE KEY-----\n${Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from('nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', 'base64url')]).toString('base64')}\n-----END PRIVATE KEY-----\n`
    const key = SigningKey.fromPem(pem)
    expect(key.publicJwk.x).toBe('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo')
    expect(key.kid).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })

  it('survives PEM, encrypted or not', () => {
    const key = SigningKey.generate()
    expect(SigningKey.fromPem(key.privatePem()).kid).toBe(key.kid)
    const { privateKey } = generateKeyPairSync('ed25519')
    const locked = privateKey
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' })
      .toString()
    expect(SigningKey.fromPem(locked, 'p').kid).toHaveLength(43)
    expect(() => SigningKey.fromPem(locked, 'q')).toThrow(KeyError)
    expect(() => SigningKey.fromPem(locked)).toThrow(KeyError)
  })

  it('refuses other key types and garbage, without quoting them', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
    expect(() => SigningKey.fromPem(ec.toString())).toThrow(/is ec; an Ed25519 key is needed/)
    expect(() => SigningKey.fromPem('hunter2')).toThrow(/not a readable PKCS #8 PEM/)
    expect(() => publicJwkOf('hunter2')).toThrow(/not a readable SPKI/)
  })

  it('prints no private part', () => {
    const key = SigningKey.generate()
    const inside = key.privatePem().split('\n')[1] ?? ''
    for (const shown of [`${key}`, JSON.stringify(key), inspect(key, { depth: 9, showHidden: true })]) {
      expect(shown).not.toContain(inside.slice(30))
    }
  })
})
