/**
 * The gate as a client of the identity provider: the authorization code flow (OpenID Connect Core 1.0 section 3.1) with PKCE
 * (RFC 7636), and renewal (section 12). The browser is only ever sent to the issuer; codes and tokens are exchanged here.
 *
 * Guarantees: state, nonce and verifier are this gate's own, of 256 bits; a response counts when its state and its issuer (RFC 9207)
 * are right; an ID token when its signature, issuer, audience, times and nonce are. What comes of it is a credential like any
 * other: who it proves and what they may do is for the identity strategy, which verifies it again. Does not: keep anything
 * but the issuer's own documents.
 */
import { createHash } from 'node:crypto'
import type { AuthorizationServer, Client, ClientAuth, JWKSCacheInput, TokenEndpointResponse } from 'oauth4webapi'
import type { ConsoleOidc } from '../config/console-oidc.ts'
import type { Clock, Random } from '../core/clock.ts'
import { discovery, type IssuerDocument, IssuerUnavailable, isRecord } from '../identity/issuer-documents.ts'
import type { Egress } from '../plugins/egress.ts'
import { isOidcError, type OidcLibrary, reachedBy } from './oidc-library.ts'

export interface OidcPorts {
  readonly egress: Egress
  readonly clock: Clock
  readonly random: Random
}

/** What is remembered between the two halves of a sign-in. */
export interface Flow {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly redirectUri: string
}

/** Why a sign-in came to nothing. */
export type OidcProblem =
  | 'state_mismatch'
  | 'issuer_mismatch'
  | 'issuer_refused'
  | 'response_invalid'
  | 'code_refused'
  | 'tokens_invalid'

export interface Tokens {
  readonly kind: 'tokens'
  /** Headers, as node:http gives them. */
  readonly credential: readonly string[]
  /** By the credential's own word; the strategy has the last one. */
  readonly endsAtMs: number
  /** `undefined`: it cannot be renewed. */
  readonly refresh: Refresh | undefined
}

/** What renews a credential, and whose it has to be. */
export interface Refresh {
  readonly token: string
  readonly subject: string
}

export type Exchanged =
  | Tokens
  | { readonly kind: 'refused'; readonly problem: OidcProblem; readonly said?: string }
  | { readonly kind: 'unreachable'; readonly message: string }

/** Issuers move their endpoints as seldom as their keys. */
const DOCUMENT_MS = 600_000
/** Nobody waits for a silent issuer again sooner. */
const RETRY_MS = 5_000

interface Known {
  readonly as: AuthorizationServer
  readonly authorize: URL
}

export class OidcClient {
  readonly #o: ConsoleOidc
  readonly #p: OidcPorts
  readonly #lib: OidcLibrary
  readonly #discover: () => Promise<Known>
  /** The library's own cache of the issuer's keys. */
  readonly #keys: JWKSCacheInput = {}

  constructor(options: ConsoleOidc, ports: OidcPorts, library: OidcLibrary) {
    this.#o = options
    this.#p = ports
    this.#lib = library
    const look = discovery(options.issuer, 'controlIdentity.jwt', ports.egress)
    this.#discover = kept(ports.clock, async () => {
      const document = await look()
      return { as: serverOf(document, options), authorize: document.at('authorization_endpoint') }
    })
  }

  /** What people know it by. */
  get name(): string {
    return new URL(this.#o.issuer).host
  }

  /** Rejects with `IssuerUnavailable`. */
  async begin(redirectUri: string): Promise<{ readonly location: string; readonly flow: Flow }> {
    const { authorize } = await this.#discover()
    const flow: Flow = { state: this.#secret(), nonce: this.#secret(), verifier: this.#secret(), redirectUri }
    const url = new URL(authorize)
    for (const [name, value] of [
      ['response_type', 'code'],
      ['client_id', this.#o.clientId],
      ['redirect_uri', redirectUri],
      ['scope', this.#o.scopes.join(' ')],
      ['state', flow.state],
      ['nonce', flow.nonce],
      ['code_challenge', createHash('sha256').update(flow.verifier).digest('base64url')],
      ['code_challenge_method', 'S256'],
    ] as const)
      url.searchParams.set(name, value)
    return { location: url.href, flow }
  }

  async finish(flow: Flow, response: URLSearchParams): Promise<Exchanged> {
    if (response.get('state') !== flow.state) return { kind: 'refused', problem: 'state_mismatch' }
    return this.#exchange(async (as, client, auth, calls) => {
      let checked: URLSearchParams
      try {
        checked = this.#lib.validateAuthResponse(as, client, response, flow.state)
      } catch (error) {
        return refusedResponse(this.#lib, error, response, as.issuer)
      }
      const res = await this.#lib.authorizationCodeGrantRequest(
        as,
        client,
        auth,
        checked,
        flow.redirectUri,
        flow.verifier,
        calls,
      )
      const tokens = await this.#lib.processAuthorizationCodeResponse(as, client, res, {
        expectedNonce: flow.nonce,
        requireIdToken: true,
      })
      await this.#lib.validateApplicationLevelSignature(as, res, { ...calls, [this.#lib.jwksCache]: this.#keys })
      return this.#read(tokens, undefined)
    })
  }

  /** `refused`: the issuer renews it no more. */
  async renew(refresh: Refresh): Promise<Exchanged> {
    return this.#exchange(async (as, client, auth, calls) => {
      const res = await this.#lib.refreshTokenGrantRequest(as, client, auth, refresh.token, calls)
      const tokens = await this.#lib.processRefreshTokenResponse(as, client, res)
      if (tokens.id_token !== undefined)
        await this.#lib.validateApplicationLevelSignature(as, res, { ...calls, [this.#lib.jwksCache]: this.#keys })
      return this.#read(tokens, refresh)
    })
  }

  /** Tells the issuer that it will not be used again (RFC 7009), where it wants to know. Never fails. */
  async revoke({ token }: Refresh): Promise<void> {
    await this.#exchange(async (as, client, auth, calls) => {
      if (as.revocation_endpoint !== undefined)
        await this.#lib.revocationRequest(as, client, auth, token, {
          ...calls,
          additionalParameters: { token_type_hint: 'refresh_token' },
        })
      return { kind: 'refused', problem: 'code_refused' }
    })
  }

  #read(tokens: TokenEndpointResponse, before: Refresh | undefined): Exchanged {
    const claims = this.#lib.getValidatedIdTokenClaims(tokens)
    // Core 12.2: a renewed ID token is about the same person.
    if (before !== undefined && claims !== undefined && claims.sub !== before.subject)
      return { kind: 'refused', problem: 'tokens_invalid' }
    const credential = tokens[this.#o.token]
    const subject = claims?.sub ?? before?.subject
    // Core 12.2: an issuer need not renew the ID token. Then the session ends with the one it has.
    if (credential === undefined || subject === undefined) return { kind: 'refused', problem: 'tokens_invalid' }
    const { exp, sub } = unverified(credential)
    // An access token is no proof of who signed in: it has to be about whom the ID token proves.
    if (typeof exp !== 'number' || (sub !== undefined && sub !== subject))
      return { kind: 'refused', problem: 'tokens_invalid' }
    // RFC 6749 6: without a new one, the old one stays good.
    const token = tokens.refresh_token ?? before?.token
    const value = this.#o.header === 'authorization' ? `Bearer ${credential}` : credential
    return {
      kind: 'tokens',
      credential: [this.#o.header, value],
      endsAtMs: exp * 1000,
      refresh: token === undefined ? undefined : { token, subject },
    }
  }

  async #exchange(
    then: (
      as: AuthorizationServer,
      client: Client,
      auth: ClientAuth,
      calls: ReturnType<typeof reachedBy>,
    ) => Promise<Exchanged>,
  ): Promise<Exchanged> {
    try {
      const { as } = await this.#discover()
      return await then(as, this.#client(), this.#auth(as), reachedBy(this.#lib, this.#p.egress))
    } catch (error) {
      if (error instanceof IssuerUnavailable) return { kind: 'unreachable', message: error.message }
      if (error instanceof this.#lib.ResponseBodyError)
        return { kind: 'refused', problem: 'code_refused', said: error.error }
      if (error instanceof this.#lib.WWWAuthenticateChallengeError) return { kind: 'refused', problem: 'code_refused' }
      if (isOidcError(this.#lib, error)) return { kind: 'refused', problem: 'tokens_invalid' }
      throw error
    }
  }

  #client(): Client {
    return {
      client_id: this.#o.clientId,
      // The library reads the clock of the process; this turns it into the one that was given.
      [this.#lib.clockSkew]: Math.round((this.#p.clock.now() - Date.now()) / 1000),
      [this.#lib.clockTolerance]: this.#o.clockToleranceS,
    }
  }

  #auth(as: AuthorizationServer): ClientAuth {
    const { clientSecret } = this.#o
    if (clientSecret === undefined) return this.#lib.None()
    // Discovery 1.0 section 3: client_secret_basic where nothing is said.
    const methods = as.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    return methods.includes('client_secret_basic') || !methods.includes('client_secret_post')
      ? this.#lib.ClientSecretBasic(clientSecret)
      : this.#lib.ClientSecretPost(clientSecret)
  }

  #secret(): string {
    return Buffer.from(this.#p.random.bytes(32)).toString('base64url')
  }
}

/** What of an issuer's document counts here. */
function serverOf({ members, at }: IssuerDocument, { issuer, algorithms }: ConsoleOidc): AuthorizationServer {
  const listed = (name: string): readonly string[] | undefined => {
    const value = members[name]
    return Array.isArray(value) ? value.filter(entry => typeof entry === 'string') : undefined
  }
  const methods = listed('token_endpoint_auth_methods_supported')
  return {
    issuer,
    token_endpoint: at('token_endpoint').href,
    jwks_uri: at('jwks_uri').href,
    ...(members['revocation_endpoint'] === undefined ? {} : { revocation_endpoint: at('revocation_endpoint').href }),
    ...(methods === undefined ? {} : { token_endpoint_auth_methods_supported: [...methods] }),
    // Discovery 1.0 section 3: RS256 where nothing is said. What the operator does not allow, the issuer cannot.
    id_token_signing_alg_values_supported: (listed('id_token_signing_alg_values_supported') ?? ['RS256']).filter(alg =>
      algorithms.includes(alg),
    ),
    // RFC 9207 section 2.4: an issuer that says it names itself has to.
    authorization_response_iss_parameter_supported: members['authorization_response_iss_parameter_supported'] === true,
  }
}

function refusedResponse(lib: OidcLibrary, error: unknown, response: URLSearchParams, issuer: string): Exchanged {
  if (error instanceof lib.AuthorizationResponseError)
    return { kind: 'refused', problem: 'issuer_refused', said: error.error }
  if (!isOidcError(lib, error)) throw error
  const isOther = response.get('iss') !== null && response.get('iss') !== issuer
  return { kind: 'refused', problem: isOther ? 'issuer_mismatch' : 'response_invalid' }
}

/** Of a token that the strategy is yet to verify: when to renew it, and whose it should be. */
function unverified(token: string): { readonly exp: unknown; readonly sub: unknown } {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    if (!isRecord(claims)) return UNREADABLE
    return { exp: claims['exp'], sub: claims['sub'] }
  } catch {
    return UNREADABLE
  }
}
const UNREADABLE = Object.freeze({ exp: undefined, sub: undefined })

/** One look-up at a time; its result is kept, and so, shortly, is that it failed. */
function kept<T>(clock: Clock, look: () => Promise<T>): () => Promise<T> {
  let last: { readonly result: Promise<T>; untilMs: number; readonly sinceMs: number } | undefined
  return () => {
    const now = clock.now()
    if (last !== undefined && now >= last.sinceMs && now < last.untilMs) return last.result
    const mine = { result: look(), sinceMs: now, untilMs: now + DOCUMENT_MS }
    last = mine
    mine.result.catch(() => {
      mine.untilMs = clock.now() + RETRY_MS
    })
    return mine.result
  }
}
