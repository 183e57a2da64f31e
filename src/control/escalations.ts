/**
 * The escalations' API: list, show, approve, deny, watch, evidence. Guarantees: nothing changes state but a POST that names the digest
 * it is about; who decides is who the credential proves, never what the body says; text that a model wrote is shown with
 * every control, bidirectional and invisible character escaped.
 */

import { ownerString } from '../core/owner.ts'
import { currentApprovers } from '../escalation/approvers.ts'
import type { Desk } from '../escalation/desk.ts'
import type { ApproverDecision, Escalation, EscalationState } from '../escalation/escalation.ts'
import { evidenceDigest } from '../escalation/evidence.ts'
import { evidenceDocument } from '../escalation/evidence-document.ts'
import type { Passkeys } from '../escalation/passkeys.ts'
import type { RefusedBecause } from '../escalation/transitions.ts'
import { escapeJson, escapeText } from '../text/visible.ts'
import { type Access, asPerson, isPerson, type Person } from './access.ts'
import { readMembers } from './body.ts'
import type { Changes } from './changes.ts'
import { BASE, readDecision } from './decision.ts'
import { type Answer, type ControlRequest, json, notFound, problem, type Route } from './listener.ts'
import { pageOf } from './page.ts'
import { isEscalationId, matchPath } from './path.ts'
import { BACKGROUND_HEADER } from './sessions.ts'

const STATES: readonly EscalationState[] = ['pending', 'approved', 'denied', 'expired', 'released']
const PAGE = 50
const MOST = 200
const BEAT_MS = 15_000

export interface EscalationsOptions {
  readonly desk: Desk
  readonly access: Access
  readonly changes: Changes
  /** `undefined`: none are in use. */
  readonly passkeys?: Passkeys | undefined
}

const ONE = `${BASE}/{id}`
const EVIDENCE = `${ONE}/evidence`

export function escalationRoutes(o: EscalationsOptions): readonly Route[] {
  const { access } = o
  const get = (path: string, answer: (request: ControlRequest, me: Person, id: string) => Promise<Answer>): Route => ({
    path,
    methods: ['GET'],
    takes: asked => matchPath(path, asked) !== undefined,
    answer: (asked, request) =>
      asPerson(access, request, 'viewer', me => answer(request, me, matchPath(path, asked) ?? '')),
  })
  const post = (decision: 'approve' | 'deny'): Route => {
    const path = `${ONE}/${decision}`
    return {
      path,
      methods: ['POST'],
      takes: asked => matchPath(path, asked) !== undefined,
      answer: (asked, request) =>
        asPerson(access, request, 'approver', me => decide(o, request, matchPath(path, asked) ?? '', decision, me)),
    }
  }
  return [
    get('/api/v1/me', async (_, me) =>
      json(200, {
        principal: me.principal,
        role: me.role,
        by: me.by,
        session_ends_at: me.sessionEndsAtMs === undefined ? null : new Date(me.sessionEndsAtMs).toISOString(),
      }),
    ),
    get(BASE, (request, me) => list(o, request, me)),
    get(`${BASE}/watch`, async (request, me) => watch(o, request, me)),
    get(ONE, async (_, me, id) => {
      const e = await o.desk.find(id)
      return e === undefined ? notFound() : json(200, shown(e, me))
    }),
    get(EVIDENCE, async (_, _me, id) => {
      const e = await o.desk.find(id)
      const document = e === undefined ? await o.passkeys?.kept(id) : evidenceDocument(e)
      return document === undefined ? notFound() : json(200, document)
    }),
    post('approve'),
    post('deny'),
  ]
}

async function list({ desk }: EscalationsOptions, { query }: ControlRequest, me: Person): Promise<Answer> {
  const states = query.getAll('state')
  const known = states.filter((s): s is EscalationState => STATES.some(state => state === s))
  const limit = query.get('limit') ?? String(PAGE)
  const before = query.get('before') ?? undefined
  if (known.length !== states.length)
    return problem(400, 'query_invalid', { description: `state: one of ${STATES.join(', ')}` })
  if (!/^[1-9][0-9]{0,2}$/.test(limit) || Number(limit) > MOST) {
    return problem(400, 'query_invalid', { description: `limit: a whole number from 1 to ${MOST}` })
  }
  if (before !== undefined && !isEscalationId(before))
    return problem(400, 'query_invalid', { description: 'before: an escalation id' })
  const args = query.get('arguments') ?? 'true'
  if (args !== 'true' && args !== 'false')
    return problem(400, 'query_invalid', { description: 'arguments: true or false' })
  const { found, isLast } = await pageOf(desk, {
    limit: Number(limit),
    ...(known.length === 0 ? {} : { states: known }),
    ...(before === undefined ? {} : { before }),
  })
  return json(200, {
    escalations: found.map(e => shown(e, me, args === 'true')),
    next: isLast ? null : (found.at(-1)?.id ?? null),
  })
}

/** Server-sent events: every change of any escalation, and a comment now and then. */
function watch({ access, changes }: EscalationsOptions, request: ControlRequest, me: Person): Answer {
  const { signal } = request
  async function* events(): AsyncIterable<Uint8Array> {
    yield Buffer.from(': watching\n\n')
    for await (const e of changes.follow(signal, BEAT_MS)) {
      // Whoever may no longer look is told nothing more: a session ends, a token expires, a key is taken away.
      if (!isPerson(await access.require(byItself(request), 'viewer'))) return
      yield Buffer.from(
        e === undefined ? ': still watching\n\n' : `event: escalation\ndata: ${JSON.stringify(shown(e, me))}\n\n`,
      )
    }
  }
  return { status: 200, headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }, body: events() }
}

/** Looking on keeps no session open. */
function byItself(request: ControlRequest): ControlRequest {
  return { ...request, rawHeaders: [...request.rawHeaders, BACKGROUND_HEADER, '1'] }
}

async function decide(
  { desk, passkeys }: EscalationsOptions,
  request: ControlRequest,
  id: string,
  decision: 'approve' | 'deny',
  me: Person,
): Promise<Answer> {
  const members = await readMembers(request, 'digest', 'reason', 'passkey', 'seen_decisions')
  const read = typeof members === 'string' ? members : readDecision(members, decision)
  if (typeof read === 'string' || typeof members === 'string')
    return problem(400, 'body_invalid', { description: typeof read === 'string' ? read : '' })
  const e = await desk.find(id)
  if (e === undefined) return notFound()
  const said: Omit<ApproverDecision, 'atMs'> = {
    approver: me.principal,
    decision,
    by: me.by,
    digest: read.digest,
    ...(read.reason === undefined ? {} : { reason: read.reason }),
  }
  const signed = members['passkey'] === undefined ? said : await withPasskey(passkeys, id, said, members['passkey'])
  if ('problem' in signed) {
    await desk.notCounted(e, said, 'passkey_refused')
    return problem(403, 'passkey_refused', {
      description: `the passkey's signature is not one over this decision (${signed.problem})`,
      escalation: shown(e, me),
    })
  }
  const decided = await desk.decide(id, signed, read.seen)
  switch (decided.kind) {
    case 'unknown':
      return notFound()
    case 'decided':
      // It has counted whatever comes of this; what is not kept now is at the next start.
      await passkeys?.keep(decided.escalation).catch(() => undefined)
      return json(200, shown(decided.escalation, me))
    case 'refused':
      return problem(REFUSED[decided.because], decided.because, {
        description: decided.message,
        escalation: shown(decided.escalation, me),
      })
  }
}

async function withPasskey(
  passkeys: Passkeys | undefined,
  id: string,
  said: Omit<ApproverDecision, 'atMs'>,
  response: unknown,
): Promise<Omit<ApproverDecision, 'atMs'> | { readonly problem: string }> {
  if (passkeys === undefined) return { problem: 'no_passkeys' }
  const proved = await passkeys.evidence({ ...said, escalation: id }, response)
  return proved.ok ? { ...said, by: `${said.by}, passkey`, evidence: proved.evidence } : { problem: proved.problem }
}

const REFUSED: Readonly<Record<RefusedBecause, number>> = {
  digest_mismatch: 409,
  own_request: 403,
  not_an_approver: 403,
  passkey_required: 403,
  passkey_refused: 403,
  not_your_turn: 409,
  already_decided: 409,
  not_pending: 409,
  not_approved: 409,
  changed: 409,
  expired: 410,
}

/** As an approver is shown it. Everything a model or a caller chose is escaped; the digest covers what it was before. */
export function shown(e: Escalation, me: Person, withArguments = true) {
  const asked = currentApprovers(e)
  return {
    id: e.id,
    state: e.state,
    stage: e.stage,
    exchange: e.exchange,
    owner: escapeText(ownerString(e.owner)),
    owner_authenticated_by: escapeText(e.owner.authenticatedBy),
    surface: e.surface,
    upstream: escapeText(e.upstream),
    check: escapeText(e.check),
    reason: escapeText(e.reason),
    policy_digest: e.policyDigest,
    request_digest: e.requestDigest,
    digest: e.digest,
    created_at: new Date(e.createdAtMs).toISOString(),
    expires_at: new Date(e.expiresAtMs).toISOString(),
    rule: e.rule,
    passkey_required: e.rule.auth === 'passkey',
    current_approvers: asked,
    may_decide: asked.includes(me.principal),
    calls: e.calls.map(c => ({
      id: escapeText(c.id),
      tool: escapeText(c.tool),
      tier: c.tier === undefined ? null : escapeText(c.tier),
      /** The model's own text, escaped. Left out for who looks at what there is, and then at one of them. */
      ...(withArguments ? { arguments: escapeJson(c.argumentsText) } : {}),
      arguments_digest: c.argumentsDigest,
      audience: c.audience ?? null,
    })),
    decisions: e.decisions.map(d => ({
      approver: d.approver,
      decision: d.decision,
      by: d.by,
      at: new Date(d.atMs).toISOString(),
      reason: d.reason === undefined ? null : escapeText(d.reason),
      evidence_digest: d.evidence === undefined ? null : evidenceDigest(d.evidence),
    })),
  }
}
