import { randomBytes } from 'node:crypto'
import { fromBER } from 'asn1js'
import fc from 'fast-check'
import { TimeStampReq } from 'pkijs'
import { describe, expect, it } from 'vitest'
import { askAuthority } from './authority.ts'
import { AnchorInvalid } from './errors.ts'
import { loadStamper } from './load.ts'
import { type Lie, makeIdentity, makeTsa, POLICY, pemOf, respond, type Tsa } from './testing/tsa.test-support.ts'

const DATA = Buffer.from('gate.test/log\n3\nAAAA\n\n\u2014 gate.test/log AAAA\n')
const DAY = 86_400_000
const tsa = await makeTsa()
const stamper = await loadStamper(pemOf(tsa.root))

async function stamped(lie: Lie = {}, by: Tsa = tsa, policy?: string) {
  const request = await stamper.request(DATA, policy, randomBytes(16))
  return { request, response: await respond(by, request.bytes, lie) }
}

const asked = ({ nonce }: { nonce: Uint8Array }) => ({ nonce, atMs: Date.now() })

describe('a time stamp', () => {
  it('verifies, when it comes and when it is looked at again years later', async () => {
    const { request, response } = await stamped()
    const stamp = await stamper.verify(response, DATA, { nowMs: Date.now(), asked: asked(request) })
    expect(stamp).toMatchObject({ policy: POLICY, authority: 'Test TSA' })
    expect(Math.abs(stamp.time.getTime() - Date.now())).toBeLessThan(60_000)
    // The certificates have run out by then, and were valid when it was made.
    await expect(stamper.verify(response, DATA, { nowMs: Date.now() + 5000 * DAY })).resolves.toEqual(stamp)
  })

  it('verifies under the policy that was asked for, and with the older name of its certificate', async () => {
    const { request, response } = await stamped({}, tsa, '1.3.6.1.4.1.99999.1')
    const trust = { policy: '1.3.6.1.4.1.99999.1', nowMs: Date.now(), asked: asked(request) }
    await expect(stamper.verify(response, DATA, trust)).resolves.toMatchObject({ policy: '1.3.6.1.4.1.99999.1' })
    const older = await stamped({ v1: true })
    await expect(stamper.verify(older.response, DATA, { nowMs: Date.now() })).resolves.toMatchObject({ policy: POLICY })
  })

  it('granted with modifications counts as granted', async () => {
    const { response } = await stamped({ status: 1 })
    await expect(stamper.verify(response, DATA, { nowMs: Date.now() })).resolves.toMatchObject({ policy: POLICY })
  })

  it('is asked for with another number each time', async () => {
    const nonces = new Set<string>()
    const egress = {
      send: async ({ body }: { readonly body: string | Uint8Array }) => {
        const bytes = Buffer.from(body)
        const asked = new TimeStampReq({ schema: fromBER(bytes).result })
        nonces.add(Buffer.from(asked.nonce?.valueBlock.valueHexView ?? []).toString('hex'))
        return { status: 200, contentType: 'application/timestamp-reply', body: await respond(tsa, bytes) }
      },
    }
    const ports = { egress, stamper, nowMs: Date.now, random: randomBytes }
    for (let i = 0; i < 20; i++) {
      await askAuthority('http://127.0.0.1/', DATA, undefined, ports, new AbortController().signal)
    }
    expect(nonces.size).toBe(20)
    for (const nonce of nonces) expect(nonce).toMatch(/^[4-7][0-9a-f]{31}$/)
  })

  it('is asked for with a number that is positive and has one spelling, whatever the random bytes are', async () => {
    for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
      const { request, response } = await (async () => {
        const made = await stamper.request(DATA, undefined, new Uint8Array(16).fill(byte))
        return { request: made, response: await respond(tsa, made.bytes) }
      })()
      const trust = { nowMs: Date.now(), asked: asked(request) }
      await expect(stamper.verify(response, DATA, trust)).resolves.toMatchObject({ policy: POLICY })
    }
  })
})

const stranger = await makeTsa()
const wrongPurpose = await makeTsa({ purposes: ['1.3.6.1.5.5.7.3.1'] })
const twoPurposes = await makeTsa({ purposes: ['1.3.6.1.5.5.7.3.8', '1.3.6.1.5.5.7.3.1'] })
const anyPurpose = await makeTsa({ purposes: ['2.5.29.37.0'] })
const noPurpose = await makeTsa({ purposes: [] })
const uncritical = await makeTsa({ critical: false })
const wrongUsage = await makeTsa({ keyUsage: 0x20 })
const expired = await makeTsa({ notBefore: new Date(Date.now() - 20 * DAY), notAfter: new Date(Date.now() - 10 * DAY) })
const early = await makeTsa({ notBefore: new Date(Date.now() + 10 * DAY), notAfter: new Date(Date.now() + 20 * DAY) })

/** Trusts the authority's own root, so that nothing but the lie is wrong. */
const lies: Record<string, { readonly code: string; readonly lie?: Lie; readonly by?: Tsa; readonly policy?: string }> =
  {
    'a rejected status': { code: 'rejected', lie: { status: 2, token: 'none', statusText: 'bad \u0007 algorithm' } },
    'a rejected status with a valid token': { code: 'rejected', lie: { status: 2 } },
    'a status of waiting': { code: 'rejected', lie: { status: 3, token: 'none' } },
    'no token': { code: 'malformed', lie: { token: 'none' } },
    'another imprint': { code: 'imprint_wrong', lie: { imprint: new Uint8Array(32) } },
    'an imprint of another length': { code: 'imprint_wrong', lie: { imprint: new Uint8Array(20) } },
    'an imprint by another algorithm': { code: 'imprint_wrong', lie: { imprintAlgorithm: '1.3.14.3.2.26' } },
    'another nonce': { code: 'nonce_wrong', lie: { nonce: new Uint8Array(16).fill(0x41) } },
    'no nonce': { code: 'nonce_wrong', lie: { nonce: 'none' } },
    'another policy than was asked for': { code: 'policy_wrong', policy: '1.2.3.4.5', lie: { policy: '1.2.3.4.6' } },
    'a time in the future': { code: 'time_wrong', lie: { time: new Date(Date.now() + 5 * 60_000) } },
    'a time before the request': { code: 'time_wrong', lie: { time: new Date(Date.now() - 5 * 60_000) } },
    'no name of its certificate': { code: 'signer_wrong', lie: { names: 'nobody' } },
    "the name of another's certificate": { code: 'signer_wrong', lie: { names: stranger } },
    "the older name of another's certificate": { code: 'signer_wrong', lie: { names: stranger, v1: true } },
    'no certificates': { code: 'signer_wrong', lie: { sends: [] } },
    'the certificates of its issuer only': { code: 'signer_wrong', lie: { sends: tsa.chain.slice(1) } },
    'two signatures': { code: 'signer_wrong', lie: { signers: 2 } },
    "another key's signature": {
      code: 'signature_invalid',
      lie: { signer: { certificate: tsa.certificate, key: stranger.key } },
    },
    'a signature over another time stamp': { code: 'signature_invalid', lie: { swapped: true } },
    'a signature over SHA-1': { code: 'signature_invalid', lie: { digest: 'SHA-1' } },
    'a signature over another kind of content': { code: 'content_wrong', lie: { contentType: '1.2.840.113549.1.7.1' } },
    'content of another kind': { code: 'content_wrong', lie: { eContentType: '1.2.840.113549.1.7.1' } },
    'a certificate for servers': { code: 'purpose_wrong', by: wrongPurpose },
    'a certificate for time-stamping and servers': { code: 'purpose_wrong', by: twoPurposes },
    'a certificate for any purpose': { code: 'purpose_wrong', by: anyPurpose },
    'a certificate that names no purpose': { code: 'purpose_wrong', by: noPurpose },
    'a certificate whose purpose is not critical': { code: 'purpose_wrong', by: uncritical },
    'a certificate whose key may not sign': { code: 'purpose_wrong', by: wrongUsage },
    'a certificate that had expired': { code: 'chain_untrusted', by: expired },
    'a certificate that was not valid yet': { code: 'chain_untrusted', by: early },
    'a chain with a piece missing': { code: 'chain_untrusted', lie: { sends: [tsa] } },
  }

describe('an authority that lies', () => {
  it.each(Object.keys(lies))('is refused by name: %s', async what => {
    const { code, lie, by = tsa, policy } = lies[what] ?? { code: '' }
    const own = by === tsa ? stamper : await loadStamper(pemOf(by.root))
    const { request, response } = await stamped(lie, by, policy)
    const refused = own.verify(response, DATA, { policy, nowMs: Date.now(), asked: asked(request) })
    await expect(refused).rejects.toMatchObject({ name: 'AnchorInvalid', code })
    await refused.catch((error: unknown) => {
      expect(error).toBeInstanceOf(AnchorInvalid)
      expect(String(error)).not.toMatch(/[\u0000-\u001f]/)
    })
  })

  it('under another root is refused, however its root is called', async () => {
    const { request, response } = await stamped({}, stranger)
    await expect(stamper.verify(response, DATA, { nowMs: Date.now(), asked: asked(request) })).rejects.toMatchObject({
      code: 'chain_untrusted',
    })
    // It sends its own root along: what comes with an answer is never trusted.
    const more = await stamped({ sends: [...stranger.chain, stranger.root] }, stranger)
    await expect(stamper.verify(more.response, DATA, { nowMs: Date.now() })).rejects.toMatchObject({
      code: 'chain_untrusted',
    })
  })

  it("with an honest answer to somebody else's request is refused", async () => {
    const other = await stamper.request(Buffer.from('other bytes'), undefined, randomBytes(16))
    const response = await respond(tsa, other.bytes)
    await expect(stamper.verify(response, DATA, { nowMs: Date.now() })).rejects.toMatchObject({ code: 'imprint_wrong' })
    const first = await stamped()
    const second = await stamped()
    await expect(
      stamper.verify(first.response, DATA, { nowMs: Date.now(), asked: asked(second.request) }),
    ).rejects.toMatchObject({ code: 'nonce_wrong' })
  })

  it('cannot make a certificate of anybody an authority, nor a path longer than one in it allows', async () => {
    const end = await makeIdentity({ name: 'No Authority', issuer: tsa.root })
    const under = await makeIdentity({ name: 'Under It', issuer: end })
    const forged = await stamped({ signer: under, sends: [under, end] })
    await expect(stamper.verify(forged.response, DATA, { nowMs: Date.now() })).rejects.toMatchObject({
      code: 'chain_untrusted',
    })
    const short = await makeIdentity({ name: 'Short', ca: true, pathLength: 0, issuer: tsa.root })
    const below = await makeIdentity({ name: 'Below', ca: true, issuer: short })
    const leaf = await makeIdentity({ name: 'Leaf', issuer: below })
    const long = await stamped({ signer: leaf, sends: [leaf, below, short] })
    await expect(stamper.verify(long.response, DATA, { nowMs: Date.now() })).rejects.toMatchObject({
      code: 'chain_untrusted',
      message: expect.stringContaining('longer than'),
    })
    const allowed = await makeIdentity({ name: 'Leaf', issuer: short })
    const fine = await stamped({ signer: allowed, sends: [allowed, short] })
    await expect(stamper.verify(fine.response, DATA, { nowMs: Date.now() })).resolves.toMatchObject({
      authority: 'Leaf',
    })
  })

  it('cannot keep the gate busy with authorities that issue each other', async () => {
    const a = await makeIdentity({ name: 'A', ca: true })
    const b = await makeIdentity({ name: 'B', ca: true, issuer: a })
    // A again, issued by B: neither leads anywhere.
    const round = await makeIdentity({ name: 'A', ca: true, issuer: b })
    const leaf = await makeIdentity({ name: 'Leaf', issuer: b })
    const { response } = await stamped({
      signer: leaf,
      sends: [leaf, ...Array.from({ length: 20 }, () => b), round, a],
    })
    await expect(stamper.verify(response, DATA, { nowMs: Date.now() })).rejects.toMatchObject({
      code: 'chain_untrusted',
    })
  })

  it('with anything but a response is refused as malformed, whatever the bytes', async () => {
    const { response } = await stamped()
    const refused = async (bytes: Uint8Array) => {
      await expect(stamper.verify(bytes, DATA, { nowMs: Date.now() })).rejects.toBeInstanceOf(AnchorInvalid)
    }
    await refused(new Uint8Array())
    await refused(Buffer.from('<html>'))
    await refused(new Uint8Array(60_000).fill(0x30))
    await refused(Buffer.concat([response, Buffer.from([0])]))
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), refused), { numRuns: 200 })
    for (let cut = 0; cut < response.length; cut += 37) await refused(response.subarray(0, cut))
  })

  it('is noticed whichever bit is flipped of what is signed', async () => {
    const { response } = await stamped()
    const at = fc.integer({ min: 0, max: response.length * 8 - 1 })
    const honest = await stamper.verify(response, DATA, { nowMs: Date.now() })
    let changed = 0
    await fc.assert(
      fc.asyncProperty(at, async bit => {
        const bytes = Uint8Array.from(response)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const outcome = await stamper.verify(bytes, DATA, { nowMs: Date.now() }).then(
          stamp => ({ stamp }),
          (error: unknown) => ({ error }),
        )
        // Some bits are read by nobody: of a certificate that is not needed, of a text. What is read says the same then.
        if ('stamp' in outcome) expect({ ...outcome.stamp, authority: honest.authority }).toEqual(honest)
        else {
          expect(outcome.error).toBeInstanceOf(AnchorInvalid)
          changed++
        }
      }),
      { numRuns: 300 },
    )
    expect(changed).toBeGreaterThan(200)
  })
})
