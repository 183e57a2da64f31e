/** Issuers and tokens for tests: real keys, tokens of any shape, and an issuer on a real port. */
import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export interface TestKey {
  readonly kid: string
  readonly alg: string
  readonly private: CryptoKey
  readonly jwk: JWK
}

export async function testKey(alg: string, kid: string = randomUUID()): Promise<TestKey> {
  const pair = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, private: pair.privateKey, jwk: { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' } }
}

export const NOW_S = 1_800_000_000
export const ISSUER = 'https://issuer.example/realms/acme'
export const AUDIENCE = 'https://gate.example'

export const CLAIMS = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'alice@example.com',
  iat: NOW_S - 10,
  exp: NOW_S + 300,
} as const

export type Payload = Readonly<Record<string, unknown>>

export function signed(
  key: Pick<TestKey, 'private' | 'alg' | 'kid'>,
  claims: Payload = CLAIMS,
  header: Payload = {},
): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
    .sign(key.private)
}

/** A token of exactly these parts, signed with Ed25519: what no library would write. */
export function signedText(key: KeyObject, header: string, payload: string): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
}

export async function privateKeyObject(key: TestKey): Promise<KeyObject> {
  return createPrivateKey({ key: { ...(await exportJWK(key.private)) }, format: 'jwk' })
}

export const base64url = (text: string): string => Buffer.from(text).toString('base64url')

export interface TestIssuer {
  readonly url: string
  /** Paths asked for, in order. */
  readonly asked: string[]
  /** What it answers; by default a discovery document and `keys`. */
  answer: (req: IncomingMessage, res: ServerResponse) => void
  keys: readonly JWK[]
  stop(): Promise<void>
  start(): Promise<void>
}

export async function startIssuer(keys: readonly JWK[]): Promise<TestIssuer> {
  let server: Server | undefined
  let port = 0
  const json = (res: ServerResponse, value: unknown): void => {
    res.setHeader('content-type', 'application/json').end(JSON.stringify(value))
  }
  const issuer = {
    url: '',
    asked: [] as string[],
    keys,
    answer(req: IncomingMessage, res: ServerResponse) {
      if (req.url === '/.well-known/openid-configuration')
        json(res, { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` })
      else if (req.url === '/keys') json(res, { keys: issuer.keys })
      else res.writeHead(404).end()
    },
    async start() {
      const started = createServer((req, res) => {
        issuer.asked.push(req.url ?? '')
        issuer.answer(req, res)
      })
      await new Promise<void>(resolve => started.listen(port, '127.0.0.1', resolve))
      server = started
      port = (started.address() as AddressInfo).port
      issuer.url = `http://127.0.0.1:${String(port)}`
    },
    async stop() {
      const stopping = server
      server = undefined
      if (stopping === undefined) return
      stopping.closeAllConnections()
      await new Promise<void>(resolve => stopping.close(() => resolve()))
    },
  }
  await issuer.start()
  return issuer
}
