/**
 * `POST /signet/v1/redeem` and `POST /signet/v1/redeem/{jti}/outcome`: an executor uses a capability up, and says what came
 * of it.
 *
 * Guarantees: a capability is redeemed once, by an executor of its own audience, while it is valid; redemption and outcome
 * each have one row, durable before the executor is told. A store that cannot say whether it is the first time refuses, and
 * so does one that forgot with the process: it redeems only what this process has issued.
 * Does not guarantee: that a capability whose redemption was not answered is unused; it is used up.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CapabilityClaims, readClaims } from '../capability/claims.ts'
import { CapabilityInvalid } from '../capability/errors.ts'
import { checkCapability } from '../capability/verify.ts'
import { parsePrincipal, UNRESOLVED } from '../core/owner.ts'
import type { MetaValue, Row } from '../core/row.ts'
import { isFault, parseJson, toValue } from '../dialects/json.ts'
import { isThenable, within } from '../pipeline/guard.ts'
import type { Capabilities, Gate } from './gate.ts'
import { readBody } from './intake.ts'
import { json } from './json-answer.ts'
import { OUTCOME_PATH, REDEEM_PATH } from './redeemers.ts'

/** A capability is at most 16 KiB. */
const MAX_BODY_BYTES = 32 * 1024
const STATE_LIMIT_MS = 5_000
/** How long after its use an executor may say what came of it. */
const OUTCOME_MS = 3_600_000
const SKEW_MS = 5_000
const MAX_DETAIL = 256

export async function redeem(gate: Gate, req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
  const { capabilities } = gate
  // Asked first: whoever is not an executor learns nothing, and nothing is read for them.
  const audience = gate.duplicates(req.rawHeaders) === undefined ? capabilities?.redeemers.audienceOf(req) : undefined
  if (capabilities === undefined || audience === undefined) {
    res.setHeader('www-authenticate', 'Bearer realm="signet-redeem"')
    return told(res, 401, 'credential_invalid', "expected the executor's secret as Authorization: Bearer")
  }
  if (!gate.audit.ok) return told(res, 503, 'audit_unavailable', 'the audit log cannot be written')
  const body = await readBody(req, MAX_BODY_BYTES)
  if ('kind' in body) {
    if (body.code === 'client_disconnect') return
    return told(
      res,
      body.code === 'body_too_large' ? 413 : body.code === 'encoded_body' ? 415 : 400,
      body.code,
      body.message,
    )
  }
  const asked = readObject(body)
  if (asked === undefined) return told(res, 400, 'request_invalid', 'expected a JSON object')
  const [, jti] = OUTCOME_PATH.exec(path) ?? []
  try {
    await (jti === undefined
      ? useUp(gate, capabilities, audience, res, asked)
      : takeOutcome(gate, capabilities, audience, res, jti, asked))
  } catch {
    // The store or the log: whether it counts is not known, so it does not.
    if (!res.headersSent) told(res, 503, 'state_unavailable', 'this cannot be recorded just now')
  }
}

type Asked = Readonly<Record<string, unknown>>

async function useUp(gate: Gate, c: Capabilities, audience: string, res: ServerResponse, asked: Asked): Promise<void> {
  let claims: CapabilityClaims
  const now = gate.clock.now()
  try {
    const rules = {
      keys: { keys: c.keys.published(now) },
      issuer: c.issuer,
      audience,
      allowShadow: true,
      now: () => now,
    }
    ;({ claims } = await checkCapability(asked['capability'], rules))
  } catch (error) {
    if (!(error instanceof CapabilityInvalid)) throw error
    return told(res, 403, error.code, error.message)
  }
  if (!c.redemptions.durable && !(await answered(gate, c.issued.knows(claims.jti))))
    return told(res, 403, 'issued_elsewhere', 'this gate keeps uses in memory, and did not issue this since it started')
  const keptMs = Math.max(
    claims.exp * 1000 + SKEW_MS - now,
    OUTCOME_MS,
    claims.approval === undefined ? 0 : c.approvedMs,
  )
  const first = await answered(gate, c.redemptions.redeem(claims.jti, JSON.stringify(claims), now + keptMs, now))
  if (first !== true) return told(res, 409, 'already_used', 'the capability has been used')
  await gate.audit.append(row(gate, claims, 'capability.redeemed', true, 'an executor used a capability', {})).durable()
  json(res, 200, { status: 'redeemed', jti: claims.jti, outcome_url: `${REDEEM_PATH}/${claims.jti}/outcome` })
}

async function takeOutcome(
  gate: Gate,
  c: Capabilities,
  audience: string,
  res: ServerResponse,
  jti: string,
  { ok, detail = '' }: Asked,
): Promise<void> {
  if (typeof ok !== 'boolean' || typeof detail !== 'string')
    return told(res, 400, 'request_invalid', 'expected {"ok": true or false, "detail"?: text}')
  const facts = await answered(gate, c.redemptions.find(jti))
  const claims = facts === undefined ? undefined : readClaims(JSON.parse(facts))
  // Another executor's is not there, as far as this one can tell.
  if (claims?.aud !== audience) return told(res, 404, 'unknown', 'no such redemption for this executor')
  if ((await answered(gate, c.redemptions.settle(jti))) !== true)
    return told(res, 409, 'already_recorded', 'the outcome has been recorded')
  const reason = ok ? 'the executor says that the tool ran' : 'the executor says that the tool failed'
  const more: Readonly<Record<string, string>> = detail === '' ? {} : { _detail: oneLine(detail) }
  await gate.audit.append(row(gate, claims, 'capability.outcome', ok, reason, more)).durable()
  json(res, 200, { status: 'recorded', jti })
}

async function answered<T>(gate: Gate, said: T | Promise<T>): Promise<T> {
  return isThenable(said) ? within(gate.clock, STATE_LIMIT_MS, said) : said
}

/** The owner of the row is whose call it was. */
function row(
  gate: Gate,
  claims: CapabilityClaims,
  name: string,
  ok: boolean,
  reason: string,
  more: Readonly<Record<string, MetaValue>>,
): Row {
  const sub = parsePrincipal(claims.sub)
  return {
    entryId: gate.random.uuid(),
    owner: sub.ok ? { type: sub.type, id: sub.id, approvalChain: [], authenticatedBy: 'capability' } : UNRESOLVED,
    checkName: 'pipeline.execution',
    decision: ok ? 'allow' : 'block',
    reason,
    fingerprint: '',
    metadata: {
      ...more,
      _stage: 'execution',
      _check_name: name,
      _exchange_id: claims.exchange,
      _policy_digest: gate.pipeline.digest,
      _capability_jti: claims.jti,
      _audience: claims.aud.slice(0, 256),
      _tool: claims.tool.slice(0, 256),
      _call_id: claims.call,
      ...(claims.approval === undefined ? {} : { _escalation_id: claims.approval }),
      ...(claims.shadow === undefined ? {} : { shadow: true }),
    },
  }
}

function readObject(body: Uint8Array): Asked | undefined {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return undefined
  }
  const doc = parseJson(text)
  if (isFault(doc) || doc.root.kind !== 'object') return undefined
  const value = toValue(doc.root)
  return typeof value === 'object' && value !== null ? { ...value } : undefined
}

/** An executor wrote it, and an operator's terminal will show it. */
function oneLine(text: string): string {
  return text
    .replace(/[\s\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, MAX_DETAIL)
    .toWellFormed()
}

function told(res: ServerResponse, status: number, error: string, description: string): void {
  // What was not read must not be taken for the next request.
  if (!res.req.complete) res.setHeader('connection', 'close')
  json(res, status, { error, description })
}
