/** An identity provider on a real port: the issuer of the identity suites, with a page to sign in at and a token endpoint (OpenID Connect Core 1.0, RFC 7636, RFC 9207, RFC 7009). */
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Payload,
  signed,
  startIssuer,
  type TestIssuer,
  type TestKey,
} from '../../src/identity/tokens.test-support.ts'

export interface Grant {
  readonly person: string
  readonly nonce: string | undefined
  readonly challenge: string
  readonly redirectUri: string
}

export interface Provider extends TestIssuer {
  readonly clientId: string
  readonly clientSecret: string
  /** Redirect addresses that are registered for the client. */
  redirects: readonly string[]
  /** Claims of a person's tokens, besides those that every token has. */
  readonly people: Record<string, Payload>
  /** How long its tokens live. */
  lifeS: number
  /** Gives refresh tokens. */
  refreshes: boolean
  /** The last word about what it signs; by default as it should be. */
  idToken: (claims: Payload) => Promise<string>
  accessToken: (claims: Payload) => Promise<string>
  /** The last word about what the browser is sent back with. */
  back: (said: URLSearchParams) => URLSearchParams
  /** What the token endpoint answers instead, if anything. */
  tokenError: { readonly status: number; readonly error: string } | undefined
  /** Whole bodies of requests to the token endpoint. */
  readonly exchanged: URLSearchParams[]
  readonly revoked: string[]
  /** Refresh tokens that it takes. */
  readonly live: Map<string, Grant>
}

export async function startProvider(
  key: TestKey,
  people: Record<string, Payload>,
  nowS = () => Math.floor(Date.now() / 1000),
): Promise<Provider> {
  const issuer = await startIssuer([key.jwk])
  const codes = new Map<string, Grant>()
  const provider: Provider = Object.assign(issuer, {
    clientId: 'signet-console',
    clientSecret: 'a secret: of the client + more',
    redirects: [] as readonly string[],
    people,
    lifeS: 300,
    refreshes: true,
    idToken: (claims: Payload) => signed(key, claims),
    accessToken: (claims: Payload) => signed(key, claims, { typ: 'at+jwt' }),
    back: (said: URLSearchParams) => said,
    tokenError: undefined,
    exchanged: [],
    revoked: [],
    live: new Map<string, Grant>(),
  })
  const plain = issuer.answer

  const authorize = (asked: URLSearchParams, res: ServerResponse): void => {
    const redirectUri = asked.get('redirect_uri') ?? ''
    // RFC 9700 2.1: compared exactly, and nobody is sent anywhere else.
    if (asked.get('client_id') !== provider.clientId || !provider.redirects.includes(redirectUri)) {
      res.writeHead(400, { 'content-type': 'text/plain' }).end('this redirect address is not registered')
      return
    }
    const sound =
      asked.get('response_type') === 'code' &&
      asked.get('code_challenge_method') === 'S256' &&
      (asked.get('scope') ?? '').split(' ').includes('openid')
    const person = asked.get('as')
    if (person === null) {
      const links = [...Object.keys(people), 'cancel'].map(name => {
        const to = new URLSearchParams([...asked, ['as', name]])
        return `<p><a href="/authorize?${to.toString().replaceAll('&', '&amp;')}">${name}</a></p>`
      })
      res.setHeader('content-type', 'text/html; charset=utf-8')
      res.end(`<!doctype html><title>Sign in</title><h1>Who are you?</h1>${links.join('')}`)
      return
    }
    const said = new URLSearchParams({ state: asked.get('state') ?? '', iss: provider.url })
    if (!sound) said.set('error', 'invalid_request')
    else if (people[person] === undefined) said.set('error', 'access_denied')
    else {
      const code = randomBytes(16).toString('base64url')
      codes.set(code, {
        person,
        nonce: asked.get('nonce') ?? undefined,
        challenge: asked.get('code_challenge') ?? '',
        redirectUri,
      })
      said.set('code', code)
    }
    res.writeHead(302, { location: `${redirectUri}?${provider.back(said)}` }).end()
  }

  const token = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = new URLSearchParams(await textOf(req))
    provider.exchanged.push(body)
    const refuse = (status: number, error: string) =>
      res
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error, error_description: '<b>no</b>' }))
    if (provider.tokenError !== undefined) return void refuse(provider.tokenError.status, provider.tokenError.error)
    if (!isClient(req, provider)) return void refuse(401, 'invalid_client')
    const given = body.get('refresh_token') ?? ''
    let grant: Grant | undefined
    if (body.get('grant_type') === 'refresh_token') {
      grant = provider.live.get(given)
      // RFC 9700 4.14.2: rotated, so one that was used is none.
      provider.live.delete(given)
    } else {
      const code = body.get('code') ?? ''
      grant = codes.get(code)
      codes.delete(code)
      const challenge = createHash('sha256')
        .update(body.get('code_verifier') ?? '')
        .digest('base64url')
      if (grant?.challenge !== challenge || grant.redirectUri !== body.get('redirect_uri')) grant = undefined
    }
    if (grant === undefined) return void refuse(400, 'invalid_grant')
    const now = nowS()
    const claims = {
      iss: provider.url,
      aud: provider.clientId,
      sub: `sub-${grant.person}`,
      iat: now,
      exp: now + provider.lifeS,
      ...people[grant.person],
    }
    const refresh = randomBytes(16).toString('base64url')
    if (provider.refreshes) provider.live.set(refresh, grant)
    res.setHeader('content-type', 'application/json')
    res.end(
      JSON.stringify({
        token_type: 'Bearer',
        expires_in: Math.max(0, provider.lifeS),
        access_token: await provider.accessToken({ ...claims, aud: 'signet-control' }),
        id_token: await provider.idToken({ ...claims, ...(grant.nonce === undefined ? {} : { nonce: grant.nonce }) }),
        ...(provider.refreshes ? { refresh_token: refresh } : {}),
      }),
    )
  }

  provider.answer = (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', provider.url)
    switch (pathname) {
      case '/.well-known/openid-configuration':
        res.setHeader('content-type', 'application/json').end(
          JSON.stringify({
            issuer: provider.url,
            jwks_uri: `${provider.url}/keys`,
            authorization_endpoint: `${provider.url}/authorize`,
            token_endpoint: `${provider.url}/token`,
            revocation_endpoint: `${provider.url}/revoke`,
            id_token_signing_alg_values_supported: ['RS256', 'none', 'HS256'],
            token_endpoint_auth_methods_supported: ['client_secret_basic'],
            code_challenge_methods_supported: ['S256'],
            authorization_response_iss_parameter_supported: true,
          }),
        )
        break
      case '/authorize':
        authorize(searchParams, res)
        break
      case '/token':
        void token(req, res)
        break
      case '/revoke':
        void textOf(req).then(body => {
          const revoked = new URLSearchParams(body).get('token') ?? ''
          provider.live.delete(revoked)
          provider.revoked.push(revoked)
          res.end()
        })
        break
      default:
        plain(req, res)
    }
  }
  return provider
}

/** RFC 6749 2.3.1: both halves are form-encoded before they are joined. */
function isClient(req: IncomingMessage, { clientId, clientSecret }: Provider): boolean {
  const got = req.headers.authorization ?? ''
  const decoded = Buffer.from(got.slice(6), 'base64').toString()
  const [id = '', secret = ''] = decoded.split(':').map(half => new URLSearchParams(`v=${half}`).get('v') ?? '')
  return got.startsWith('Basic ') && id === clientId && secret === clientSecret
}

async function textOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Goes to the issuer as a browser would, and signs in as this person; the query that one is sent back with. */
export async function signInAt(location: string, person: string): Promise<string> {
  const res = await fetch(`${location}&as=${encodeURIComponent(person)}`, { redirect: 'manual' })
  const to = res.headers.get('location')
  if (to === null) throw new Error(`the issuer answered ${res.status}: ${await res.text()}`)
  return new URL(to).search.slice(1)
}
