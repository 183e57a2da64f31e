/** Signing in to the console and out again. Each is a row; a session that ran out gets one when it is noticed. */
import type { Random } from '../core/clock.ts'
import type { Owner } from '../core/exchange.ts'
import { parsePrincipal } from '../core/owner.ts'
import type { AuditWriter, Row } from '../core/row.ts'
import { type Access, asPerson, type Person } from './access.ts'
import { readMembers } from './body.ts'
import { type Answer, type ControlRequest, json, problem, type Route } from './listener.ts'
import { type Session, type Sessions, sessionToken } from './sessions.ts'

export const SESSION = '/api/v1/session'

export interface SessionsOptions {
  readonly sessions: Sessions
  readonly audit: AuditWriter
  readonly random: Random
}

export function sessionRoutes({ sessions, audit, random }: SessionsOptions, access: Access): readonly Route[] {
  const post = (path: string, answer: (request: ControlRequest, me: Person) => Promise<Answer>): Route => ({
    path,
    methods: ['POST'],
    takes: asked => asked === path,
    answer: (_, request) =>
      asPerson(access, request, 'viewer', async me => {
        const members = await readMembers(request)
        return typeof members === 'string'
          ? problem(400, 'body_invalid', { description: members })
          : answer(request, me)
      }),
  })
  return [
    post(SESSION, async (request, me) => {
      if (sessionToken(request.rawHeaders) !== undefined) {
        return problem(409, 'session_open', { description: 'a session opens no other; show the credential itself' })
      }
      await audit
        .append(sessionRow('session.opened', me.principal, me.by, 'somebody signed in to the console', random))
        .durable()
      return opened(sessions, me, sessions.open(me.principal, access.credentialOf(request)))
    }),
    post(`${SESSION}/close`, async (request, me) => {
      const token = sessionToken(request.rawHeaders)
      if (token === undefined) {
        return problem(409, 'no_session', { description: 'the credential itself was shown, and no session' })
      }
      // Ended whether or not it can be written down.
      sessions.close(token)
      await audit
        .append(sessionRow('session.closed', me.principal, me.by, 'somebody signed out of the console', random))
        .durable()
      return json(200, { closed: true })
    }),
  ]
}

/** Told once. */
export function opened(sessions: Sessions, me: Person, { token, session }: ReturnType<Sessions['open']>): Answer {
  return json(201, {
    token,
    principal: me.principal,
    role: me.role,
    by: me.by,
    expires_at: new Date(session.expiresAtMs).toISOString(),
    idle_s: Math.floor(sessions.times.idleMs / 1000),
  })
}

export function expiredSessionRow({ principal }: Session, random: Random): Row {
  return sessionRow('session.expired', principal, 'session', 'a session of the console was over', random)
}

/** `principal`: empty where nobody was proved. */
export function sessionRow(
  name: string,
  principal: string,
  by: string,
  reason: string,
  random: Random,
  refused: Readonly<Record<string, string>> | undefined = undefined,
): Row {
  const who = parsePrincipal(principal)
  const owner: Owner = who.ok
    ? { type: who.type, id: who.id, approvalChain: [], authenticatedBy: by }
    : { type: 'policy', id: 'control', approvalChain: [], authenticatedBy: 'gate' }
  return {
    entryId: random.uuid(),
    owner,
    checkName: 'pipeline.control',
    decision: refused === undefined ? 'allow' : 'block',
    reason,
    fingerprint: '',
    metadata: { _stage: 'record', _check_name: name, _owner_authenticated_by: owner.authenticatedBy, ...refused },
  }
}
