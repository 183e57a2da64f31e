import { createHmac, generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ReceiptSigner } from './issue.ts'
import { issueSignetV1, parseSignetV1, type SignetV1Key, verifySignetV1 } from './signet-v1.ts'

/** Golden row of the Python implementation: key id k1, secret 00…1f. */
const ENTRY = '00000000-0000-4000-8000-000000000002'
const ROW = Buffer.from(
  `{"approval_chain":[],"check_name":"pipeline.complete","decision":"allow","entry_id":"${ENTRY}",` +
    '"metadata":{"_anchor":{"backend":"noop","success":true},"_signing_key_id":"k1"},"owner_id":"",' +
    '"owner_type":"unresolved","prev_hmac":"4cc7b63c062c385177b01552151ac242f71eb9511506986edc83113d1c3b3300",' +
    '"reason":"request completed","request_fingerprint":"","ts_ns":1747000000123456790}',
)
const MAC = '070690970a37af931fa37617d5cdb6c82248a85a61b405f7506d937e49e4a3a4'
const SECRET = Uint8Array.from({ length: 32 }, (_, n) => n)
const hmac: SignetV1Key = { alg: 'hmac-sha256', kid: 'k1', secret: SECRET }

const pair = generateKeyPairSync('ed25519')
const x = pair.publicKey.export({ format: 'jwk' }).x ?? ''
const signer: ReceiptSigner = { kid: 'e1', alg: 'EdDSA', sign: async data => nodeSign(null, data, pair.privateKey) }
const ed25519: SignetV1Key = { alg: 'ed25519', kid: 'e1', jwk: { x } }

describe('signet=v1 receipts', () => {
  it('issues the header form and verifies it with the public key', async () => {
    const header = await issueSignetV1(ENTRY, ROW, signer)
    expect(header).toMatch(new RegExp(`^signet=v1; alg=ed25519; entry=${ENTRY}; key=e1; sig=[0-9a-f]{128}$`))
    expect(await verifySignetV1(header, ROW, ed25519)).toEqual({ ok: true, entryId: ENTRY })
  })

  it("verifies the Python implementation's golden HMAC receipt", async () => {
    expect(createHmac('sha256', SECRET).update(ROW).digest('hex')).toBe(MAC)
    const header = `signet=v1; alg=hmac-sha256; entry=${ENTRY}; key=k1; sig=${MAC}`
    expect(await verifySignetV1(header, ROW, hmac)).toEqual({ ok: true, entryId: ENTRY })
  })

  it('cannot be talked down to another algorithm: changed, absent or doubled alg', async () => {
    const good = await issueSignetV1(ENTRY, ROW, signer)
    // The public key used as an HMAC secret, as in the classic confusion.
    const confused = createHmac('sha256', Buffer.from(x, 'base64url')).update(ROW).digest('hex')
    for (const header of [
      `signet=v1; alg=hmac-sha256; entry=${ENTRY}; key=e1; sig=${confused}`,
      `signet=v1; entry=${ENTRY}; key=e1; sig=${confused}`,
      good.replace('alg=ed25519', 'alg=hmac-sha256'),
      good.replace('alg=ed25519; ', ''),
      good.replace('alg=ed25519', 'alg=ED25519'),
      `${good}; alg=none`,
    ])
      expect(await verifySignetV1(header, ROW, ed25519)).toEqual({ ok: false, code: 'alg_wrong' })
    expect(await verifySignetV1(good.replace('key=e1', 'key=k1'), ROW, hmac)).toEqual({ ok: false, code: 'alg_wrong' })
  })

  it('refuses another key id, another entry, a changed row and a changed signature', async () => {
    const good = await issueSignetV1(ENTRY, ROW, signer)
    const with_ = (from: string, to: string) => verifySignetV1(good.replace(from, to), ROW, ed25519)
    expect(await with_('key=e1', 'key=e2')).toEqual({ ok: false, code: 'key_wrong' })
    expect(await with_(ENTRY, ENTRY.replace('2', '3'))).toEqual({ ok: false, code: 'entry_wrong' })
    const changed = Buffer.from(ROW.toString().replace('"allow"', '"block"'))
    expect(await verifySignetV1(good, changed, ed25519)).toEqual({ ok: false, code: 'signature_invalid' })
    const sig = parseSignetV1(good)?.sig ?? ''
    const flipped = (sig.startsWith('0') ? '1' : '0') + sig.slice(1)
    for (const bad of [sig.toUpperCase(), sig.slice(2), `${sig}00`, flipped, 'zz'.repeat(64)])
      expect(await with_(sig, bad)).toEqual({ ok: false, code: 'signature_invalid' })
    expect(await verifySignetV1(good, Buffer.from('not json'), ed25519)).toEqual({ ok: false, code: 'entry_wrong' })
  })

  it('parses as the Python implementation does', () => {
    const receipt = { alg: 'hmac-sha256', entry: 'e', key: 'k', sig: 's' }
    expect(parseSignetV1('signet=v1;entry=e;key=k;sig=s')).toEqual(receipt)
    expect(parseSignetV1('  sig = s ;; junk ; key=k; entry=e ; signet=v1 ')).toEqual(receipt)
    expect(parseSignetV1('signet=v1; entry=a; entry=e; key=k; sig=s')).toEqual(receipt)
    for (const bad of [
      '',
      'signet=v2; entry=e; key=k; sig=s',
      'entry=e; key=k; sig=s',
      'signet=v1; key=k; sig=s',
      'signet=v1; entry=e; sig=s',
      'signet=v1; entry=e; key=k',
      'signet=v1; entry=; key=k; sig=s',
      'x'.repeat(5000),
    ])
      expect(parseSignetV1(bad)).toBeUndefined()
  })

  it('never writes ids that would break out of the header', async () => {
    for (const id of ['', 'a; sig=00', 'a\r\nX-Evil: 1', 'é', 'a'.repeat(257)])
      await expect(issueSignetV1(id, ROW, signer)).rejects.toThrow('ids must be')
  })
})
