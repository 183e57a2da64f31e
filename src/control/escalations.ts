/**
 * The escalations' API: list, show, approve, deny, watch. Guarantees: nothing changes state but a POST that names the digest
 * it is about; who decides is who the credential proves, never what the body says; text that a model wrote is shown with
 * every control, bidirectional and invisible character escaped.
 */

import { ownerString } from '../core/owner.ts'
import { AuditUnavailable } from '../core/row.ts'
import { isFault, readJson, toValue } from '../dialects/json.ts'
import { currentApprovers } from '../escalation/approvers.ts'
import type { Desk } from '../escalation/desk.ts'
import type { Escalation, EscalationState } from '../escalation/escalation.ts'
import { escapeJson, escapeText } from '../text/visible.ts'
import { type Access, isPerson, type Person } from './access.ts'
import type { Changes } from './changes.ts'
import { type Answer, type ControlRequest, json, notFound, problem, type Route } from './listener.ts'

export const BASE = '/api/v1/escalations'
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const STATES: readonly EscalationState[] = ['pending', 'approved', 'denied', 'expired', 'released']
const PAGE = 50
const MOST = 200
const MAX_REASON = 1000
const BEAT_MS = 15_000

export interface EscalationsOptions {
  readonly desk: Desk
  readonly access: Access
  readonly changes: Changes
}

export function escalationRoutes(o: EscalationsOptions): readonly Route[] {
  return [
    {
      methods: ['GET'],
      takes: path => path === '/api/v1/me',
      answer: (_, request) =>
        as(o, request, 'viewer', async me => json(200, { principal: me.principal, role: me.role })),
    },
    {
      methods: ['GET'],
      takes: path => path === BASE,
      answer: (_, request) => as(o, request, 'viewer', me => list(o, request, me)),
    },
    {
      methods: ['GET'],
      takes: path => path === `${BASE}/watch`,
      answer: (_, request) => as(o, request, 'viewer', async me => watch(o, request, me)),
    },
    {
      methods: ['GET'],
      takes: path => ID.test(path.slice(BASE.length + 1)) && path.startsWith(`${BASE}/`),
      answer: (path, request) => as(o, request, 'viewer', me => show(o, path.slice(BASE.length + 1), me)),
    },
    {
      methods: ['POST'],
      takes: path => decision(path) !== undefined,
      answer: (path, request) => as(o, request, 'approver', me => decide(o, request, path, me)),
    },
  ]
}

async function as(
  { access }: EscalationsOptions,
  request: ControlRequest,
  role: Person['role'],
  then: (me: Person) => Promise<Answer>,
): Promise<Answer> {
  const me = await access.require(request, role)
  return isPerson(me) ? then(me) : me
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
  if (before !== undefined && !ID.test(before))
    return problem(400, 'query_invalid', { description: 'before: an escalation id' })
  const found = await desk.list({
    limit: Number(limit),
    ...(known.length === 0 ? {} : { states: known }),
    ...(before === undefined ? {} : { before }),
  })
  return json(200, {
    escalations: found.map(e => shown(e, me)),
    next: found.length < Number(limit) ? null : found.at(-1)?.id,
  })
}

async function show({ desk }: EscalationsOptions, id: string, me: Person): Promise<Answer> {
  const e = await desk.find(id)
  return e === undefined ? notFound() : json(200, shown(e, me))
}

/** Server-sent events: every change of any escalation, and a comment now and then. */
function watch({ changes }: EscalationsOptions, { signal }: ControlRequest, me: Person): Answer {
  async function* events(): AsyncIterable<Uint8Array> {
    yield Buffer.from(': watching\n\n')
    for await (const e of changes.follow(signal, BEAT_MS)) {
      yield Buffer.from(
        e === undefined ? ': still watching\n\n' : `event: escalation\ndata: ${JSON.stringify(shown(e, me))}\n\n`,
      )
    }
  }
  return { status: 200, headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }, body: events() }
}

async function decide(
  { desk }: EscalationsOptions,
  request: ControlRequest,
  path: string,
  me: Person,
): Promise<Answer> {
  const asked = decision(path)
  if (asked === undefined) return notFound()
  const body = readDecision(await request.body())
  if (typeof body === 'string') return problem(400, 'body_invalid', { description: body })
  if (asked.decision === 'deny' && body.reason === undefined) {
    return problem(400, 'body_invalid', { description: 'reason: say why, in a sentence' })
  }
  try {
    const said = await desk.decide(asked.id, {
      approver: me.principal,
      decision: asked.decision,
      by: me.by,
      digest: body.digest,
      ...(body.reason === undefined ? {} : { reason: body.reason }),
    })
    switch (said.kind) {
      case 'unknown':
        return notFound()
      case 'decided':
        return json(200, shown(said.escalation, me))
      case 'refused':
        return problem(REFUSED[said.because] ?? 409, said.because, {
          description: said.message,
          escalation: shown(said.escalation, me),
        })
    }
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error
    return problem(503, 'audit_unavailable', {
      description: 'the decision could not be written down, and did not count',
    })
  }
}

const REFUSED: Readonly<Record<string, number>> = {
  digest_mismatch: 409,
  own_request: 403,
  not_an_approver: 403,
  method_not_accepted: 403,
  not_your_turn: 409,
  already_decided: 409,
  not_pending: 409,
  expired: 410,
}

function decision(path: string): { readonly id: string; readonly decision: 'approve' | 'deny' } | undefined {
  if (!path.startsWith(`${BASE}/`)) return undefined
  const [id = '', what, ...more] = path.slice(BASE.length + 1).split('/')
  return ID.test(id) && more.length === 0 && (what === 'approve' || what === 'deny')
    ? { id, decision: what }
    : undefined
}

/** What is wrong with it, or what it says. */
function readDecision(bytes: Uint8Array): string | { readonly digest: string; readonly reason: string | undefined } {
  const doc = readJson(bytes)
  if (isFault(doc)) return `expected a JSON object (${doc.code})`
  const value = toValue(doc.root)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'expected a JSON object'
  const { digest, reason, ...more }: Record<string, unknown> = { ...value }
  if (Object.keys(more).length > 0) return 'expected nothing but digest and reason'
  if (typeof digest !== 'string') return 'digest: expected the digest that was shown'
  if (reason !== undefined && (typeof reason !== 'string' || reason.trim() === '' || reason.length > MAX_REASON)) {
    return `reason: expected text of at most ${MAX_REASON} characters`
  }
  return { digest, reason: typeof reason === 'string' ? reason : undefined }
}

/** As an approver is shown it. Everything a model or a caller chose is escaped; the digest covers what it was before. */
export function shown(e: Escalation, me: Person) {
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
    current_approvers: asked,
    may_decide: asked.includes(me.principal),
    calls: e.calls.map(c => ({
      id: escapeText(c.id),
      tool: escapeText(c.tool),
      tier: c.tier ?? null,
      /** The model's own text, escaped. */
      arguments: escapeJson(c.argumentsText),
      arguments_digest: c.argumentsDigest,
      audience: c.audience ?? null,
    })),
    decisions: e.decisions.map(d => ({
      approver: d.approver,
      decision: d.decision,
      by: d.by,
      at: new Date(d.atMs).toISOString(),
      reason: d.reason === undefined ? null : escapeText(d.reason),
    })),
  }
}
