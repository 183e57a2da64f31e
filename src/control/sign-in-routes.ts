/**
 * Signing in at an identity provider, and coming back with a session.
 *
 * Guarantees: the browser comes back to the page it left, at this origin, and nowhere else: where, is made of the request's own
 * `Origin`, which the listener has compared with its `Host`; the session's token is in the body of an answer to the page that began,
 * never in an address; who the token of the issuer proves, and what they may do, is asked of the same strategy as for a token that
 * was pasted. A sign-in that was begun here and came to nothing is a row.
 */
import type { Random } from '../core/clock.ts'
import type { AuditWriter } from '../core/row.ts'
import { headerValue } from '../identity/headers.ts'
import { IssuerUnavailable } from '../identity/issuer-documents.ts'
import { type Access, isPerson, orNotCounted } from './access.ts'
import { readMembers } from './body.ts'
import { type Answer, type ControlRequest, json, notFound, problem, type Route } from './listener.ts'
import type { OidcClient, OidcProblem, Tokens } from './oidc-client.ts'
import { Renewal } from './renewal.ts'
import { withCredential } from './session-access.ts'
import { opened, type SessionsOptions, sessionRow } from './session-routes.ts'
import { SignIns } from './sign-ins.ts'

export const SIGN_IN = '/api/v1/sign-in'

export interface SignInOptions extends SessionsOptions {
  /** `undefined`: people paste tokens. */
  readonly oidc: OidcClient | undefined
}

/** The page that people come back to: the console itself. */
const BACK = '/console/'
/** A response of an issuer is an address's query, and short. */
const MOST = 8192

export function signInRoutes({ oidc, ...o }: SignInOptions, access: Access): readonly Route[] {
  const signIns = new SignIns(o.sessions.clock, o.random)
  const route = (
    path: string,
    method: 'GET' | 'POST',
    answer: (request: ControlRequest) => Promise<Answer>,
  ): Route => ({
    path,
    methods: [method],
    takes: asked => asked === path,
    answer: (_, request) => orNotCounted(() => answer(request)),
  })
  return [
    route(SIGN_IN, 'GET', async () => json(200, { issuer: oidc?.name ?? null })),
    route(`${SIGN_IN}/begin`, 'POST', async request => {
      const members = await readMembers(request)
      if (typeof members === 'string') return problem(400, 'body_invalid', { description: members })
      if (oidc === undefined) return notFound()
      const back = pageOf(request)
      if (back === undefined) {
        return problem(403, 'origin_not_allowed', {
          description: 'expected a page of this control plane, over https or on this machine',
        })
      }
      try {
        const { location, flow } = await oidc.begin(back)
        const { binding, untilMs } = signIns.begin(flow)
        return json(201, { location, binding, expires_at: new Date(untilMs).toISOString() })
      } catch (error) {
        if (error instanceof IssuerUnavailable) return unreachable()
        throw error
      }
    }),
    route(`${SIGN_IN}/complete`, 'POST', async request => {
      const members = await readMembers(request, 'binding', 'response')
      if (typeof members === 'string') return problem(400, 'body_invalid', { description: members })
      const { binding, response } = members
      if (typeof binding !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(binding))
        return problem(400, 'body_invalid', { description: 'binding: expected what begin has given' })
      if (typeof response !== 'string' || response.length > MOST)
        return problem(400, 'body_invalid', { description: `response: expected at most ${MOST} characters` })
      const flow = signIns.take(binding)
      if (oidc === undefined || flow === undefined) {
        return problem(409, 'sign_in_unknown', {
          description: 'this sign-in was not begun here, is over, or took too long; begin again',
        })
      }
      const got = await oidc.finish(flow, new URLSearchParams(response))
      switch (got.kind) {
        case 'tokens':
          return enter({ ...o, oidc }, access, request, got)
        case 'refused': {
          const said = plainCode(got.said)
          await refused(o, undefined, got.problem, said)
          return problem(STATUS[got.problem], got.problem, {
            description: WORDS[got.problem],
            ...(said === undefined ? {} : { issuer_error: said }),
          })
        }
        case 'unreachable':
          await refused(o, undefined, 'identity_unavailable')
          return unreachable()
      }
    }),
  ]
}

async function enter(
  o: SessionsOptions & { readonly oidc: OidcClient },
  access: Access,
  request: ControlRequest,
  { credential, endsAtMs, refresh }: Tokens,
): Promise<Answer> {
  const { sessions, audit, random, oidc } = o
  const shown = withCredential(request, access, credential)
  const me = await access.require(shown, 'viewer')
  if (!isPerson(me)) {
    if (refresh !== undefined) void oidc.revoke(refresh)
    await refused(o, await access.provenBy(shown), REFUSED[me.status] ?? 'identity_unavailable')
    return me
  }
  const how = 'somebody signed in to the console at their identity provider'
  await audit.append(sessionRow('session.opened', me.principal, me.by, how, random)).durable()
  const renewal = refresh === undefined ? undefined : new Renewal(oidc, sessions.clock, refresh, endsAtMs)
  return opened(sessions, me, sessions.open(me.principal, credential, { endsAtMs, renewal }))
}

const REFUSED: Readonly<Record<number, string>> = { 401: 'credential_invalid', 403: 'not_allowed' }

async function refused(
  { audit, random }: { readonly audit: AuditWriter; readonly random: Random },
  principal: string | undefined,
  problem: string,
  said?: string,
): Promise<void> {
  const why = { _problem: problem, ...(said === undefined ? {} : { _issuer_error: said }) }
  await audit
    .append(
      sessionRow('session.refused', principal ?? '', 'oidc', 'a sign-in at the console came to nothing', random, why),
    )
    .durable()
}

/** Where the page that asks is. Plain http is for this machine: elsewhere the code would be anybody's to read. */
function pageOf({ rawHeaders }: ControlRequest): string | undefined {
  const origin = headerValue(rawHeaders, 'origin')
  const url = origin !== undefined && URL.canParse(origin) ? new URL(origin) : undefined
  if (url === undefined || url.origin !== origin) return undefined
  const here = url.hostname === 'localhost' || url.hostname === '127.0.0.1' || url.hostname === '[::1]'
  return url.protocol === 'https:' || here ? `${origin}${BACK}` : undefined
}

/** RFC 6749 4.1.2.1: a word. What else an issuer says is in nobody's language, and anybody may have written it. */
function plainCode(said: string | undefined): string | undefined {
  return said !== undefined && /^[a-z0-9_]{1,64}$/.test(said) ? said : undefined
}

function unreachable(): Answer {
  return problem(503, 'identity_unavailable', { description: 'the issuer of credentials cannot be reached' })
}

const STATUS: Readonly<Record<OidcProblem, number>> = {
  state_mismatch: 409,
  issuer_mismatch: 403,
  issuer_refused: 403,
  response_invalid: 403,
  code_refused: 403,
  tokens_invalid: 403,
}

const WORDS: Readonly<Record<OidcProblem, string>> = {
  state_mismatch: 'this is not the answer to the sign-in that was begun; begin again',
  issuer_mismatch: 'the answer comes from another issuer than the one that was asked',
  issuer_refused: 'the issuer did not sign anybody in',
  response_invalid: 'the answer of the issuer is not understood',
  code_refused: 'the issuer gave no tokens for its code',
  tokens_invalid: 'the tokens of the issuer do not hold for this gate',
}
