/**
 * The passkeys' API: invite, register, list, take away, and what a browser is asked to sign for a decision. Guarantees: a
 * person registers and lists their own and nobody else's; only an admin invites, and takes away what is not theirs.
 */
import { parsePrincipal } from '../core/owner.ts'
import type { Desk } from '../escalation/desk.ts'
import type { Passkey, Passkeys } from '../escalation/passkeys.ts'
import { escapeText } from '../text/visible.ts'
import { type Access, asPerson, type Person } from './access.ts'
import { type Members, optionalText, readMembers } from './body.ts'
import { BASE, readDecision } from './decision.ts'
import { type Answer, type ControlRequest, json, notFound, problem, type Route } from './listener.ts'
import { matchPath } from './path.ts'

export const PASSKEYS = '/api/v1/passkeys'
const ASK = `${BASE}/{id}/passkey`
const REVOKE = `${PASSKEYS}/{passkey}/revoke`
const MAX_NAME = 100
const INVITATION = /^[A-Za-z0-9_-]{43}$/

export interface PasskeysOptions {
  readonly passkeys: Passkeys
  readonly desk: Desk
  readonly access: Access
}

export function passkeyRoutes(o: PasskeysOptions): readonly Route[] {
  const at = (path: string) => (asked: string) => matchPath(path, asked) !== undefined
  return [
    {
      path: PASSKEYS,
      methods: ['GET', 'POST'],
      takes: at(PASSKEYS),
      answer: (_, request) =>
        request.method === 'GET'
          ? asPerson(o.access, request, 'approver', me => list(o, request, me))
          : asPerson(o.access, request, 'approver', me => register(o, request, me)),
    },
    {
      path: `${PASSKEYS}/invitations`,
      methods: ['POST'],
      takes: at(`${PASSKEYS}/invitations`),
      answer: (_, request) => asPerson(o.access, request, 'admin', me => invite(o, request, me)),
    },
    {
      path: `${PASSKEYS}/registration`,
      methods: ['POST'],
      takes: at(`${PASSKEYS}/registration`),
      answer: (_, request) => asPerson(o.access, request, 'approver', me => begin(o, request, me)),
    },
    {
      path: REVOKE,
      methods: ['POST'],
      takes: at(REVOKE),
      answer: (path, request) =>
        asPerson(o.access, request, 'approver', async me => {
          const body = await readMembers(request)
          if (typeof body === 'string') return invalid(body)
          const id = matchPath(REVOKE, path) ?? ''
          return (await o.passkeys.revoke(me, id, me.role !== 'admin')) ? json(200, { id }) : notFound()
        }),
    },
    {
      path: ASK,
      methods: ['POST'],
      takes: at(ASK),
      answer: (path, request) =>
        asPerson(o.access, request, 'approver', me => ask(o, request, matchPath(ASK, path) ?? '', me)),
    },
  ]
}

async function list({ passkeys }: PasskeysOptions, { query }: ControlRequest, me: Person): Promise<Answer> {
  const asked = query.get('principal')
  if (asked === null) return json(200, { passkeys: (await passkeys.list(me.principal)).map(shown) })
  const principal = principalOf(asked)
  if (principal === undefined) return invalid('principal: expected one such as human:bob@example.com')
  if (me.role !== 'admin' && principal !== me.principal)
    return problem(403, 'not_allowed', { description: 'only admins see the passkeys of others' })
  return json(200, { passkeys: (await passkeys.list(principal)).map(shown) })
}

async function invite({ passkeys }: PasskeysOptions, request: ControlRequest, me: Person): Promise<Answer> {
  const body = await readMembers(request, 'principal')
  if (typeof body === 'string') return invalid(body)
  const principal = typeof body['principal'] === 'string' ? principalOf(body['principal']) : undefined
  if (principal === undefined) return invalid('principal: expected one such as human:bob@example.com')
  const { invitation, expiresAtMs } = await passkeys.invite(me, principal)
  return json(201, { principal, invitation, expires_at: new Date(expiresAtMs).toISOString() })
}

async function begin({ passkeys }: PasskeysOptions, request: ControlRequest, me: Person): Promise<Answer> {
  const body = await readMembers(request, 'invitation')
  if (typeof body === 'string') return invalid(body)
  const invitation = invitationOf(body)
  if (typeof invitation === 'object') return invalid(invitation.problem)
  const begun = await passkeys.begin(me, invitation)
  return begun.ok ? json(200, begun.options) : notRegistered(begun.problem)
}

async function register({ passkeys }: PasskeysOptions, request: ControlRequest, me: Person): Promise<Answer> {
  const body = await readMembers(request, 'invitation', 'name', 'response')
  if (typeof body === 'string') return invalid(body)
  const invitation = invitationOf(body)
  if (typeof invitation === 'object') return invalid(invitation.problem)
  const name = optionalText(body, 'name', MAX_NAME)
  if (typeof name === 'object') return invalid(name.problem)
  const { response } = body
  if (typeof response !== 'object' || response === null || Array.isArray(response))
    return invalid('response: expected what navigator.credentials.create gave, as toJSON() writes it')
  const made = await passkeys.register(me, {
    ...(invitation === undefined ? {} : { invitation }),
    name: name ?? 'passkey',
    response,
  })
  return made.ok ? json(201, shown(made.passkey)) : notRegistered(made.problem)
}

async function ask({ passkeys, desk }: PasskeysOptions, request: ControlRequest, id: string, me: Person) {
  const body = await readMembers(request, 'decision', 'digest', 'reason')
  if (typeof body === 'string') return invalid(body)
  const { decision, ...rest } = body
  if (decision !== 'approve' && decision !== 'deny') return invalid('decision: expected approve or deny')
  const said = readDecision(rest, decision)
  if (typeof said === 'string') return invalid(said)
  const e = await desk.find(id)
  if (e === undefined) return notFound()
  const { digest, reason } = said
  if (e.digest !== digest)
    return problem(409, 'digest_mismatch', { description: 'it has another digest than this; look at it again' })
  const options = await passkeys.ask({
    escalation: id,
    approver: me.principal,
    decision,
    digest,
    ...(reason === undefined ? {} : { reason }),
  })
  return options === undefined
    ? problem(409, 'no_passkey', { description: 'you have no passkey here; register one first' })
    : json(200, options)
}

function notRegistered(why: string): Answer {
  const status = why === 'not_invited' ? 403 : why === 'taken' || why === 'too_many' || why === 'not_begun' ? 409 : 400
  return problem(status, 'not_registered', { description: WHY[why] ?? `the passkey was not accepted (${why})` })
}

const WHY: Readonly<Record<string, string>> = {
  not_invited: 'an admin has to invite you first; the invitation is for you, once, and for a day',
  not_begun: 'begin anew: the registration was not begun, or its time is over',
  taken: 'this passkey is registered already',
  too_many: 'you have as many passkeys as one person may have; take one away first',
}

function invitationOf(body: Members): string | undefined | { readonly problem: string } {
  const { invitation } = body
  if (invitation === undefined || (typeof invitation === 'string' && INVITATION.test(invitation))) return invitation
  return { problem: 'invitation: expected the text that an admin was given' }
}

function principalOf(text: string): string | undefined {
  const parsed = parsePrincipal(text)
  return parsed.ok ? `${parsed.type}:${parsed.id}` : undefined
}

function invalid(description: string): Answer {
  return problem(400, 'request_invalid', { description })
}

function shown(p: Passkey) {
  return {
    id: p.credentialId,
    principal: p.principal,
    name: escapeText(p.name),
    created_at: new Date(p.createdAtMs).toISOString(),
    aaguid: p.aaguid,
    synced: p.synced,
    transports: p.transports,
  }
}
