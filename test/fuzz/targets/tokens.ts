/** Tokens, receipts and keys: nothing but the genuine one is believed, and nothing throws what it should not. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { CommandError } from '../../../src/cli/failure.ts'
import { readPublicKeys } from '../../../src/cli/receipt-keys.ts'
import { IssuerUnavailable, isRecord, readKeySet } from '../../../src/identity/issuer-documents.ts'
import { jwtIdentity } from '../../../src/identity/jwt.ts'
import { readClaims } from '../../../src/identity/jwt-claims.ts'
import { KeyError } from '../../../src/keys/ring.ts'
import { publicJwkOf, SigningKey } from '../../../src/keys/signing.ts'
import {
  buildJwks,
  findKey,
  findStreamReceipt,
  parseSignetV1,
  ReceiptInvalid,
  verifyReceipt,
  verifySignetV1,
  verifyStreamReceipt,
} from '../../../src/receipt/index.ts'
import { bytesOf, equal, must, refusing, type Target, textOf } from '../target.ts'
import { buildJson } from './json.ts'

const b64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** RFC 8032 section 7.1, test 1: a key everybody knows, so that the corpus can hold what it signed. */
const PRIVATE = SigningKey.fromPem(
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ).toString('base64')}\n-----END PRIVATE KEY-----\n`,
)
const JWKS = { keys: [{ ...PRIVATE.publicJwk }] }
const STRANGER = generateKeyPairSync('ed25519').privateKey

const CLAIMS = { iss: 'https://issuer.example', aud: 'gate', sub: 'alice@example.com', exp: 2_000_000_000, iat: 1 }
const strategy = jwtIdentity(
  { issuers: [{ issuer: CLAIMS.iss, audience: 'gate', jwks: JWKS }] },
  { now: () => 1_900_000_000_000 },
)
const HEADERS = [
  { alg: 'EdDSA', kid: PRIVATE.kid, typ: 'JWT' },
  { alg: 'none' },
  { alg: 'HS256', kid: PRIVATE.kid },
  { alg: 'EdDSA', kid: PRIVATE.kid, crit: ['x'], jwk: JWKS.keys[0] },
]

/** Signed by somebody else: whatever it says, it proves nothing. */
function foreign(header: unknown, payload: unknown): string {
  const input = `${b64(header)}.${b64(payload)}`
  return `${input}.${sign(null, Buffer.from(input), STRANGER).toString('base64url')}`
}

export const jwt: Target = {
  name: 'jwt',
  words: ['Bearer ', 'bearer  ', 'eyJhbGciOiJub25lIn0', '.', '..', '=', b64({ alg: 'none' })],
  build: random => bytesOf(`Bearer ${foreign(random.pick(HEADERS), random.chance(2) ? CLAIMS : buildJson(random))}`),
  check: async bytes => {
    const value = Buffer.from(bytes).toString('latin1')
    const rawHeaders = ['Authorization', value]
    const who = await strategy.identify({ rawHeaders, socketAddress: undefined, tls: undefined })
    must(who.kind === 'fault', 'what the issuer did not sign names nobody')
    const secret = value.trim().slice(7)
    must(secret.length < 8 || !JSON.stringify(who).includes(secret), 'a credential is not repeated')
  },
}

export const claims: Target = {
  name: 'claims',
  words: ['"sub":"a"', '"act":{"sub":"agent:x"}', '"email_verified":true', '"scope":"a b"', '"roles":["x"]'],
  build: random => bytesOf(JSON.stringify({ ...CLAIMS, act: buildJson(random), roles: buildJson(random) })),
  check: bytes => {
    let value: unknown
    try {
      value = JSON.parse(textOf(bytes))
    } catch {
      return
    }
    if (!isRecord(value)) return
    const read = readClaims(value, {
      owner: { claim: 'sub', type: 'human' },
      clearance: { claim: ['a', 'roles'], levels: { high: 'SECRET' } },
      approvalChain: { claim: 'approvers' },
      actor: { type: 'agent' },
    } as Parameters<typeof readClaims>[1])
    if ('problem' in read) must(/^[a-z_]+$/.test(read.problem), 'a problem is a word of this code')
    else must(read.id !== '' && !/[\p{C}]/u.test(read.id), 'an owner has a name')
  },
}

export const jwks: Target = {
  name: 'jwks',
  words: ['"kty":"OKP"', '"crv":"Ed25519"', `"x":"${JWKS.keys[0]?.x}"`, '"kid":"a"', '"d":"x"', '"keys":['],
  build: random => bytesOf(JSON.stringify(random.chance(2) ? JWKS : { keys: [JWKS.keys[0], buildJson(random)] })),
  check: async bytes => {
    let document: unknown
    try {
      document = JSON.parse(textOf(bytes))
    } catch {
      return
    }
    if (!isRecord(document)) return
    const set = refusing(() => readKeySet(document), IssuerUnavailable)
    must(set === undefined || set.keys.every(key => key.d === undefined), 'no private half is taken')
    const list = document['keys']
    if (!Array.isArray(list)) return
    const keys = list as readonly object[]
    const built = refusing(() => buildJwks(keys), ReceiptInvalid)
    must(built === undefined || !JSON.stringify(built).includes('"d"'), 'no private half is published')
    for (const kid of [PRIVATE.kid, 'a']) {
      try {
        const found = await findKey({ keys }, kid)
        must(found.kid === kid && /^[A-Za-z0-9_-]{43}$/.test(found.x), 'a key that was found is one')
      } catch (error) {
        if (!(error instanceof ReceiptInvalid)) throw error
      }
    }
  },
}

const REQ = `sha256:${createHash('sha256').update('request').digest('hex')}`
const RECEIPT = {
  iss: 'signet',
  iat: 1_900_000_000,
  jti: 'e',
  exchange: 'x',
  stage: 'complete',
  decision: 'allow',
  final: true,
  req: REQ,
  res: REQ,
  leaf: { v: 1, entry_id: 'e', exchange: 'x', ts_ns: '1', decision: 'allow', commit: 'a'.repeat(64) },
}

export const receipts: Target = {
  name: 'receipt',
  words: [
    '.',
    'eyJ',
    b64({ alg: 'EdDSA', typ: 'signet-receipt+jwt', kid: PRIVATE.kid }),
    ': signet-receipt ',
    'data: [DONE]\n\n',
  ],
  build: random =>
    bytesOf(
      foreign(
        random.pick([{ alg: 'EdDSA', typ: 'signet-receipt+jwt', kid: PRIVATE.kid }, ...HEADERS]),
        random.chance(2) ? RECEIPT : buildJson(random),
      ),
    ),
  check: async bytes => {
    const text = textOf(bytes)
    const options = { keys: JWKS, issuer: 'signet' }
    await mustFail(verifyReceipt(text, options))
    await mustFail(verifyStreamReceipt(bytes, options))
    const found = findStreamReceipt(bytes)
    if (found !== undefined) {
      const line = textOf(bytes.subarray(found.from, found.to))
      must(line === `: signet-receipt ${found.compact}`, 'a receipt in a stream is a whole line')
    }
  },
}

/** The corpus holds nothing that the key signed: all of it must be refused, in the one way. */
async function mustFail(asked: Promise<unknown>): Promise<void> {
  try {
    await asked
  } catch (error) {
    if (error instanceof ReceiptInvalid) return
    throw error
  }
  must(false, 'a receipt nobody signed is not genuine')
}

export const signetV1: Target = {
  name: 'signet-v1',
  words: [
    'signet=v1; ',
    'alg=ed25519; ',
    'alg=hmac-sha256; ',
    'entry=e; ',
    'key=k; ',
    'sig=',
    'ab'.repeat(64),
    ';',
    '=',
  ],
  build: random =>
    bytesOf(
      [
        'signet=v1',
        `alg=${random.pick(['ed25519', 'hmac-sha256', 'none'])}`,
        'entry=e',
        `key=${random.pick(['k', PRIVATE.kid])}`,
        `sig=${'ab'.repeat(random.pick([32, 64]))}`,
      ]
        .filter(() => !random.chance(8))
        .join('; '),
    ),
  check: async bytes => {
    const text = textOf(bytes)
    const parsed = parseSignetV1(text)
    // Written anew it may be longer than a header is read.
    if (parsed !== undefined && text.length < 2000) {
      const { alg, entry, key, sig } = parsed
      const again = parseSignetV1(`signet=v1; alg=${alg}; entry=${entry}; key=${key}; sig=${sig}`)
      equal(again, parsed, 'a header, written anew')
    }
    const row = bytesOf('{"entry_id":"e"}')
    for (const key of [
      { alg: 'ed25519', kid: parsed?.key ?? 'k', jwk: { x: PRIVATE.publicJwk.x } },
      { alg: 'hmac-sha256', kid: parsed?.key ?? 'k', secret: Buffer.alloc(32, 7) },
    ] as const)
      must(!(await verifySignetV1(text, row, key)).ok, 'a receipt nobody signed is not genuine')
  },
}

export const pem: Target = {
  name: 'pem',
  words: [
    '-----BEGIN PUBLIC KEY-----\n',
    '-----END PUBLIC KEY-----\n',
    '-----BEGIN PRIVATE KEY-----\n',
    'MCowBQYDK2VwAyEA',
  ],
  build: random =>
    bytesOf(
      random.pick([
        PRIVATE.publicPem(),
        PRIVATE.publicJwk.x,
        Buffer.from(PRIVATE.publicBytes()).toString('hex'),
        JSON.stringify(JWKS),
      ]),
    ),
  check: bytes => {
    const text = textOf(bytes)
    const key = refusing(() => SigningKey.fromPem(text), KeyError)
    must(key === undefined || key.publicJwk.x.length === 43, 'a key that was read is whole')
    const jwk = refusing(() => publicJwkOf(text), KeyError)
    must(jwk === undefined || jwk.x.length === 43, 'a public key that was read is whole')
    const set = refusing(() => readPublicKeys('file', text, undefined), CommandError, KeyError)
    must(set === undefined || Array.isArray(set.keys), 'a key set is a list')
  },
}
