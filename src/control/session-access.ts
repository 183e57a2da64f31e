/** Access for whoever shows a session: as for whoever shows the credential that it was opened with. */
import type { Access } from './access.ts'
import { isPerson } from './access.ts'
import { type ControlRequest, problem } from './listener.ts'
import { BACKGROUND_HEADER, type Sessions, sessionToken } from './sessions.ts'

export function withSessions(access: Access, sessions: Sessions): Access {
  return {
    credentialOf: request => access.credentialOf(request),
    provenBy: request => access.provenBy(request),
    async require(request, role) {
      const token = sessionToken(request.rawHeaders)
      // Two credentials are refused below, before either is looked at.
      if (token === undefined || timesOf(request.rawHeaders, 'authorization') > 1) return access.require(request, role)
      const session = sessions.find(token, timesOf(request.rawHeaders, BACKGROUND_HEADER) === 0)
      if (session === undefined) return ended()
      const kept = (await session.renewal?.keep(session)) ?? 'kept'
      if (kept === 'unreachable')
        return problem(503, 'identity_unavailable', { description: 'the issuer of credentials cannot be reached' })
      if (kept === 'over') {
        sessions.lose(token)
        return ended()
      }
      const me = await access.require(withCredential(request, access, session.credential), role)
      if (!isPerson(me)) {
        // Its credential is no longer one: the session is over too.
        if (me.status === 401) sessions.lose(token)
        return me.status === 401 ? ended() : me
      }
      if (me.principal !== session.principal) {
        sessions.lose(token)
        return ended()
      }
      return { ...me, sessionEndsAtMs: sessions.endsAtMs(session) }
    },
  }
}

function ended() {
  const answer = problem(401, 'session_ended', { description: 'sign in again' })
  const challenge = 'Bearer realm="signet control", error="invalid_token"'
  return { ...answer, headers: { ...answer.headers, 'www-authenticate': challenge } }
}

/** The request with this credential in the place of whatever it shows. */
export function withCredential<R extends Pick<ControlRequest, 'rawHeaders'>>(
  request: R,
  access: Pick<Access, 'credentialOf'>,
  credential: readonly string[],
): R {
  const { rawHeaders } = request
  const shown = new Set<string>()
  for (let i = 0; i < credential.length; i += 2) shown.add((credential[i] ?? '').toLowerCase())
  for (let i = 0, own = access.credentialOf({ rawHeaders }); i < own.length; i += 2)
    shown.add((own[i] ?? '').toLowerCase())
  const rest: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (!shown.has(name.toLowerCase())) rest.push(name, rawHeaders[i + 1] ?? '')
  }
  return { ...request, rawHeaders: [...rest, ...credential] }
}

function timesOf(rawHeaders: readonly string[], name: string): number {
  let times = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if ((rawHeaders[i] ?? '').toLowerCase() === name) times++
  return times
}
