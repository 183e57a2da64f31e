import { createHash, createHmac, generateKeyPairSync, sign as nodeSign, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { leafText, type ReceiptClaims } from './claims.ts'
import { ReceiptInvalid } from './errors.ts'
import { issueReceipt, type ReceiptSigner } from './issue.ts'
import { buildJwks, type JwksDocument } from './jwks.ts'
import { verifyReceipt } from './verify.ts'

const ISSUER = 'https://gate.example'
const REQUEST = Buffer.from('{"model":"m","messages":[]}')
const RESPONSE = Buffer.from('{"choices":[]}')

const { signer, jwk } = newKey('r1')
const keys = buildJwks([jwk])
const options = { keys, issuer: ISSUER }

function newKey(kid: string) {
  const pair = generateKeyPairSync('ed25519')
  const signer: ReceiptSigner = {
    kid,
    alg: 'EdDSA',
    sign: data =>
      new Promise((resolve, reject) =>
        nodeSign(null, data, pair.privateKey, (error, signature) => (error ? reject(error) : resolve(signature))),
      ),
  }
  const jwk = { ...pair.publicKey.export({ format: 'jwk' }), kid }
  return { signer, jwk, pair }
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function claims(over: Partial<ReceiptClaims> = {}): ReceiptClaims {
  return {
    iss: ISSUER,
    iat: 1_763_000_000,
    jti: '0199a0de-0000-7000-8000-000000000001',
    exchange: '0199a0de-0000-7000-8000-0000000000ff',
    stage: 'complete',
    decision: 'allow',
    final: true,
    req: sha256(REQUEST),
    res: sha256(RESPONSE),
    leaf: {
      v: 1,
      entry_id: '0199a0de-0000-7000-8000-000000000001',
      exchange: '0199a0de-0000-7000-8000-0000000000ff',
      ts_ns: '1763000000123456789',
      decision: 'allow',
      commit: 'ab'.repeat(32),
    },
    ...over,
  }
}

/** Sign any header and payload at all, as an attacker with a key of their own (or a careless issuer) would. */
async function forge(
  header: unknown,
  payload: unknown,
  sign: (data: Uint8Array) => Uint8Array | Promise<Uint8Array> = data => signer.sign(data),
): Promise<string> {
  const input = [header, payload].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${Buffer.from(await sign(Buffer.from(input))).toString('base64url')}`
}

const HEADER = { alg: 'EdDSA', typ: 'signet-receipt+jwt', kid: 'r1' }

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(ReceiptInvalid)
  return (error as ReceiptInvalid).code
}

describe('a good receipt', () => {
  it('verifies against request and response bytes and gives back every claim', async () => {
    const all = claims({ owner: 'human:alice@example.com', check: 'scope_drift' })
    const verified = await verifyReceipt(await issueReceipt(all, signer), {
      ...options,
      requestBytes: REQUEST,
      responseBytes: RESPONSE,
      exchange: all.exchange,
      requireFinal: true,
    })
    expect(verified.claims).toEqual(all)
    expect(verified.kid).toBe('r1')
    expect(verified.covers).toEqual({ request: true, response: true })
  })

  it('is an ordinary JWS: jose alone accepts it', async () => {
    const { payload, protectedHeader } = await jwtVerify(await issueReceipt(claims(), signer), newKeyObject(), {
      issuer: ISSUER,
      typ: 'signet-receipt+jwt',
      algorithms: ['EdDSA'],
    })
    expect(payload).toEqual(claims())
    expect(protectedHeader).toEqual(HEADER)
  })

  it('carries the log entry byte for byte: members sorted, no spaces, nanoseconds exact', async () => {
    const { leaf } = await verifyReceipt(await issueReceipt(claims(), signer), options)
    expect(Buffer.from(leaf).toString()).toBe(
      `{"commit":"${'ab'.repeat(32)}","decision":"allow","entry_id":"0199a0de-0000-7000-8000-000000000001",` +
        `"exchange":"0199a0de-0000-7000-8000-0000000000ff","ts_ns":"1763000000123456789","v":1}`,
    )
  })

  it('keeps any text in any claim intact', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', minLength: 1 }).filter(s => s.isWellFormed()),
        async text => {
          const given = claims({ owner: text, check: text, iss: text })
          const { claims: read } = await verifyReceipt(await issueReceipt(given, signer), { keys, issuer: text })
          expect(read).toEqual(given)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('of an admission covers the request and no response', async () => {
    const { res: _, ...rest } = claims({ final: false, stage: 'admission' })
    const compact = await issueReceipt(rest, signer)
    const { covers } = await verifyReceipt(compact, { ...options, requestBytes: REQUEST })
    expect(covers).toEqual({ request: true, response: false })
    expect(await codeOf(verifyReceipt(compact, { ...options, responseBytes: RESPONSE }))).toBe('not_final')
    expect(await codeOf(verifyReceipt(compact, { ...options, requireFinal: true }))).toBe('not_final')
  })

  it('is never issued half signed, nor final without a response digest', async () => {
    const short: ReceiptSigner = { kid: 'r1', alg: 'EdDSA', sign: async () => new Uint8Array(63) }
    await expect(issueReceipt(claims(), short)).rejects.toThrow('64 bytes')
    const { res: _, ...rest } = claims()
    await expect(issueReceipt(rest, signer)).rejects.toThrow('exactly when it is final')
    const broken: ReceiptSigner = { kid: 'r1', alg: 'EdDSA', sign: () => Promise.reject(new Error('no key')) }
    await expect(issueReceipt(claims(), broken)).rejects.toThrow('no key')
  })
})

describe('header attacks', () => {
  it('alg none, with and without a signature', async () => {
    const none = await forge({ ...HEADER, alg: 'none' }, claims())
    expect(await codeOf(verifyReceipt(none, options))).toBe('receipt_alg_not_allowed')
    expect(await codeOf(verifyReceipt(`${none.slice(0, none.lastIndexOf('.'))}.`, options))).toBe('receipt_malformed')
  })

  it('HS256 with the public key as the secret', async () => {
    const secrets = [Buffer.from(jwk.x ?? '', 'base64url'), Buffer.from(jwk.x ?? ''), Buffer.from(JSON.stringify(jwk))]
    for (const secret of secrets) {
      const hs = (data: Uint8Array) => createHmac('sha256', secret).update(data).digest()
      expect(await codeOf(verifyReceipt(await forge({ ...HEADER, alg: 'HS256' }, claims(), hs), options))).toBe(
        'receipt_alg_not_allowed',
      )
      expect(await codeOf(verifyReceipt(await forge(HEADER, claims(), hs), options))).toBe('receipt_signature_invalid')
    }
  })

  it.each(['eddsa', 'Ed25519', 'ES256', 'RS256', '', null, ['EdDSA'], undefined])('alg %j', async alg => {
    expect(await codeOf(verifyReceipt(await forge({ ...HEADER, alg }, claims()), options))).toBe(
      'receipt_alg_not_allowed',
    )
  })

  it.each(['signet-capability+jwt', 'JWT', 'SIGNET-RECEIPT+JWT', 'application/signet-receipt+jwt', '', undefined, 1])(
    'typ %j',
    async typ => {
      expect(await codeOf(verifyReceipt(await forge({ ...HEADER, typ }, claims()), options))).toBe('receipt_typ_wrong')
    },
  )

  it.each([undefined, '', 1, null, ['r1']])('kid %j', async kid => {
    expect(await codeOf(verifyReceipt(await forge({ ...HEADER, kid }, claims()), options))).toBe('receipt_kid_missing')
  })

  it('a key id that the key set does not have, or only its prototype has', async () => {
    for (const kid of ['r2', 'R1', 'constructor', '__proto__'])
      expect(await codeOf(verifyReceipt(await forge({ ...HEADER, kid }, claims()), options))).toBe('key_unknown')
  })

  it("brings its own key: jwk, jku, x5u, x5c are refused, signed by the attacker or by the gate's key", async () => {
    const mallory = newKey('r1')
    const extras: readonly Record<string, unknown>[] = [
      { jwk: mallory.jwk },
      { jku: 'https://evil.example/jwks.json' },
      { x5u: 'https://evil.example/cert.pem' },
      { x5c: ['MIIB'] },
      { crit: ['exp'] },
      { crit: ['b64'], b64: false },
      { zip: 'DEF' },
    ]
    for (const extra of extras)
      for (const by of [mallory.signer, signer])
        expect(
          await codeOf(verifyReceipt(await forge({ ...HEADER, ...extra }, claims(), data => by.sign(data)), options)),
        ).toBe('receipt_header_forbidden')
  })

  it("another key under the gate's key id", async () => {
    const mallory = newKey('r1')
    expect(await codeOf(verifyReceipt(await issueReceipt(claims(), mallory.signer), options))).toBe(
      'receipt_signature_invalid',
    )
  })

  it('the older form offered in place of a receipt', async () => {
    const v1 = `signet=v1; alg=ed25519; entry=e; key=r1; sig=${'00'.repeat(64)}`
    expect(await codeOf(verifyReceipt(v1, options))).toBe('receipt_legacy_form')
  })

  it.each(['', 'a.b', 'a.b.c.d', '..', 'a b.c.d', 'eyJ9.e30.AA', 'bnVsbA.e30.AA', '{"payload":"","signatures":[]}'])(
    'malformed text %j',
    async compact => {
      expect(await codeOf(verifyReceipt(compact, options))).toBe('receipt_malformed')
    },
  )

  it('a very long text is refused before it is read', async () => {
    expect(await codeOf(verifyReceipt(`${'A'.repeat(1_000_000)}.AA.AA`, options))).toBe('receipt_too_long')
  })
})

describe('tampering', () => {
  it('any changed character of any segment is refused', async () => {
    const compact = await issueReceipt(claims(), signer)
    await fc.assert(
      fc.asyncProperty(fc.nat(compact.length - 1), fc.constantFrom(...'AQgw09-_'), async (at, other) => {
        fc.pre(compact[at] !== '.' && compact[at] !== other)
        await expect(
          verifyReceipt(compact.slice(0, at) + other + compact.slice(at + 1), options),
        ).rejects.toBeInstanceOf(ReceiptInvalid)
      }),
      { numRuns: 200 },
    )
  })

  it('the signature has one spelling only', async () => {
    const compact = await issueReceipt(claims(), signer)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(compact.at(-1) ?? '')
    for (const spare of [1, 7, 15]) {
      const respelt = compact.slice(0, -1) + alphabet[last | spare]
      expect(Buffer.from(respelt.split('.')[2] ?? '', 'base64url')).toEqual(
        Buffer.from(compact.split('.')[2] ?? '', 'base64url'),
      )
      expect(await codeOf(verifyReceipt(respelt, options))).toBe('receipt_signature_invalid')
    }
  })

  it('a payload exchanged for another one', async () => {
    const [header, , signature] = (await issueReceipt(claims({ decision: 'allow' }), signer)).split('.')
    const payload = Buffer.from(JSON.stringify(claims({ iss: 'https://gate.example', iat: 1 }))).toString('base64url')
    expect(await codeOf(verifyReceipt(`${header}.${payload}.${signature}`, options))).toBe('receipt_signature_invalid')
  })

  it('another request, another response, one byte more', async () => {
    const compact = await issueReceipt(claims(), signer)
    for (const requestBytes of [Buffer.alloc(0), Buffer.concat([REQUEST, Buffer.from(' ')]), RESPONSE])
      expect(await codeOf(verifyReceipt(compact, { ...options, requestBytes }))).toBe('request_mismatch')
    for (const responseBytes of [Buffer.alloc(0), RESPONSE.subarray(1), REQUEST])
      expect(await codeOf(verifyReceipt(compact, { ...options, responseBytes }))).toBe('response_mismatch')
  })

  it("another exchange's receipt", async () => {
    const compact = await issueReceipt(claims(), signer)
    expect(await codeOf(verifyReceipt(compact, { ...options, exchange: randomBytes(16).toString('hex') }))).toBe(
      'exchange_wrong',
    )
  })
})

describe('claims', () => {
  it.each(['https://gate.example/', 'HTTPS://gate.example', 'https://gate.example.evil', 'gate.example'])(
    'issuer must be exact, not %s',
    async iss => {
      expect(await codeOf(verifyReceipt(await issueReceipt(claims({ iss }), signer), options))).toBe('issuer_wrong')
    },
  )

  it('a shadow decision is refused unless told', async () => {
    const compact = await issueReceipt(claims({ shadow: true }), signer)
    expect(await codeOf(verifyReceipt(compact, options))).toBe('shadow_refused')
    expect((await verifyReceipt(compact, { ...options, allowShadow: true })).claims.shadow).toBe(true)
  })

  it('the leaf must be about the same row, exchange and decision', async () => {
    for (const over of [{ jti: 'other' }, { exchange: 'other' }, { decision: 'block' as const }])
      expect(await codeOf(verifyReceipt(await forge(HEADER, claims(over)), options))).toBe('claims_inconsistent')
  })

  it.each<[string, unknown]>([
    ['a list', []],
    ['null', null],
    ['a string', 'x'],
    ['no leaf', { ...claims(), leaf: undefined }],
    ['final without res', { ...claims(), res: undefined }],
    ['res without final', { ...claims(), final: false }],
    ['final as text', { ...claims(), final: 'true' }],
    ['shadow as text', { ...claims(), shadow: 'false' }],
    ['shadow false', { ...claims(), shadow: false }],
    ['iat as text', { ...claims(), iat: '1' }],
    ['iat negative', { ...claims(), iat: -1 }],
    ['an unknown decision', { ...claims(), decision: 'permit' }],
    ['an unknown stage', { ...claims(), stage: 'constructor' }],
    ['an upper-case digest', { ...claims(), req: `sha256:${'AB'.repeat(32)}` }],
    ['a bare digest', { ...claims(), req: 'ab'.repeat(32) }],
    ['a numeric timestamp', { ...claims(), leaf: { ...claims().leaf, ts_ns: 1763000000000 } }],
    ['a leaf of another version', { ...claims(), leaf: { ...claims().leaf, v: 2 } }],
    ['an empty jti', { ...claims(), jti: '' }],
  ])('signed but wrong: %s', async (_, payload) => {
    expect(await codeOf(verifyReceipt(await forge(HEADER, payload), options))).toBe('claims_malformed')
  })

  it('claims of a later version are dropped, not refused', async () => {
    const verified = await verifyReceipt(await forge(HEADER, { ...claims(), later: { x: 1 } }), options)
    expect(verified.claims).toEqual(claims())
  })

  it('the leaf text is the same whatever order the leaf was built in', () => {
    const { v, commit, ...rest } = claims().leaf
    expect(leafText({ commit, ...rest, v })).toBe(leafText(claims().leaf))
  })
})

describe('key sets', () => {
  it.each<[string, string, unknown]>([
    ['not an object', 'jwks_invalid', null],
    ['no list', 'jwks_invalid', { keys: 'r1' }],
    ['a list of other things', 'jwks_invalid', { keys: [null] }],
    ['two keys of one id', 'jwks_invalid', { keys: [jwk, newKey('r1').jwk] }],
    ['an encryption key', 'key_unusable', { keys: [{ ...jwk, use: 'enc' }] }],
    ['a key for another algorithm', 'key_unusable', { keys: [{ ...jwk, alg: 'ES256' }] }],
    ['another curve', 'key_unusable', { keys: [{ ...jwk, crv: 'X25519' }] }],
    ['a symmetric key', 'key_unusable', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'r1' }] }],
    ['a key of the wrong length', 'key_unusable', { keys: [{ ...jwk, x: 'AAAA' }] }],
  ])('%s', async (_, code, document) => {
    const compact = await issueReceipt(claims(), signer)
    expect(await codeOf(verifyReceipt(compact, { ...options, keys: document as JwksDocument }))).toBe(code)
  })

  it.each([
    ['before it began', { nbf: claims().iat + 1 }, 'key_not_valid'],
    ['after it ended', { exp: claims().iat }, 'key_not_valid'],
    ['at its first moment', { nbf: claims().iat }, undefined],
    ['in its last second', { exp: claims().iat + 1 }, undefined],
    ['of times that are none', { nbf: 'soon' }, 'jwks_invalid'],
    ['of a fraction', { exp: 1.5 }, 'jwks_invalid'],
  ])('a receipt dated %s', async (_, period, code) => {
    const compact = await issueReceipt(claims(), signer)
    const verifying = verifyReceipt(compact, { ...options, keys: { keys: [{ ...jwk, ...period }] } })
    if (code === undefined) expect((await verifying).claims).toEqual(claims())
    else expect(await codeOf(verifying)).toBe(code)
  })

  it('publishes when a key is valid', () => {
    expect(buildJwks([{ ...jwk, nbf: 5, exp: 9 }]).keys[0]).toMatchObject({ kid: 'r1', nbf: 5, exp: 9 })
  })

  it('publishes public members only and refuses a private key or two of one id', () => {
    const { pair } = newKey('p')
    expect(() => buildJwks([{ ...pair.privateKey.export({ format: 'jwk' }), kid: 'p' }])).toThrow('private')
    expect(() => buildJwks([jwk, newKey('r1').jwk])).toThrow('unique')
    expect(buildJwks([{ ...jwk, note: 'internal' }])).toEqual({
      keys: [{ kty: 'OKP', crv: 'Ed25519', x: jwk.x, kid: 'r1', alg: 'EdDSA', use: 'sig' }],
    })
  })
})

function newKeyObject() {
  return { ...jwk, alg: 'EdDSA' }
}
