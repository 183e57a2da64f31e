/**
 * One gated exchange, top to bottom: body, identity, request, admission, upstream, delivery, record. Nothing goes around
 * it: upstream is called from here only, with what admission made of the request.
 */
import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Decision, Outcome, Owner } from '../core/exchange.ts'
import { ownerString, UNRESOLVED } from '../core/owner.ts'
import { type Because, because } from '../core/verdict.ts'
import type { Dialect, Fault, Route } from '../core/wire.ts'
import { challengeFor } from '../identity/credential.ts'
import { readSession } from '../identity/session.ts'
import { type Admission, admit } from '../pipeline/admit.ts'
import { errorClass, isThenable, within } from '../pipeline/guard.ts'
import { decisionRow, preflightRow } from '../pipeline/rows.ts'
import { Settlement } from '../pipeline/settle.ts'
import { type Asked, refuse, unavailable } from './answer.ts'
import { close } from './close.ts'
import type { Gate } from './gate.ts'
import { identify } from './identify.ts'
import { readBody } from './intake.ts'
import { judge } from './judge.ts'
import { receiptsReady } from './receipts.ts'
import { readResubmission } from './resubmit.ts'
import { inRounds, type Round } from './rounds.ts'
import { shadowHeaders } from './shadow.ts'
import { statusOf } from './status.ts'
import { LONGEST_WAIT_MS, preferredWaitMs } from './wait-for-human.ts'

/** State that does not answer for longer counts as unavailable. */
const STATE_LIMIT_MS = 5_000

export async function serve(
  gate: Gate,
  req: IncomingMessage,
  res: ServerResponse,
  dialect: Dialect,
  route: Route,
  asked: Asked,
): Promise<void> {
  const receivedAtNs = gate.clock.nowNs()
  const target = gate.targets[dialect.provider]
  const newId = () => gate.random.uuid()
  const preflight = (fault: Fault, owner: Owner = UNRESOLVED): Promise<void> =>
    preflightRefusal(gate, res, dialect, asked, fault, owner)

  // No row, no release, and no receipt where one is due: without them there is nothing to decide.
  if (!gate.audit.ok || !receiptsReady(gate)) return unavailable(gate, res, dialect, asked)
  if (gate.load.active >= gate.settings.maxConcurrent) return preflight(OVERLOADED)
  gate.load.active += 1
  try {
    const duplicate = gate.duplicates(req.rawHeaders)
    if (duplicate !== undefined) return await preflight(duplicate)

    const body = await readBody(req, gate.settings.maxBodyBytes)
    if ('kind' in body) {
      if (body.code === 'client_disconnect') {
        asked.outcome = 'disconnected'
        gate.audit.append(preflightRow(subject(gate, asked, UNRESOLVED, dialect), faultBecause(body), 0, newId))
        return
      }
      return await preflight(body)
    }
    const requestDigest = `sha256:${hash('sha256', body, 'hex')}`
    asked.requestDigest = requestDigest

    const peerAddress = gate.peer(req.socket.remoteAddress, req.rawHeaders)
    const who = await identify(gate, req)
    if (who.kind === 'fault') return await preflight(who)
    const session = readSession(req.rawHeaders)
    if (typeof session === 'object') return await preflight(session, who.owner)
    const resubmission = readResubmission(req.rawHeaders)
    if (resubmission !== undefined && 'kind' in resubmission) return await preflight(resubmission, who.owner)
    asked.waitMs = preferredWaitMs(req.rawHeaders) ?? (gate.settings.onEscalate === 'hold' ? LONGEST_WAIT_MS : 0)
    const headers = target.requestHeaders.outgoing(req.rawHeaders, {
      contentType: route.method === 'GET' ? undefined : 'application/json',
      accept: 'application/json, text/event-stream',
      usedForIdentity: who.usedHeaders,
    })
    if ('kind' in headers) return await preflight(headers, who.owner)

    const view = dialect.readRequest(body)
    if ('kind' in view) return await preflight(view, who.owner)

    if (session !== undefined && who.owner.type !== 'unresolved') {
      try {
        const touched = gate.sessions.touch(ownerString(who.owner), session, gate.clock.now())
        if (isThenable(touched)) await within(gate.clock, STATE_LIMIT_MS, touched)
      } catch {
        return await preflight(SESSIONS_DOWN, who.owner)
      }
    }

    const leaving = new Leaving()
    const signal = () => leaving.signal
    res.on('close', () => leaving.now())
    const settlement = new Settlement(gate.clock)
    const draft = {
      id: asked.id,
      surface: dialect.name,
      receivedAtNs,
      owner: who.owner,
      peerAddress,
      declared: who.declared,
      levels: undefined,
      session,
      request: view,
      requestDigest,
    }
    let outcome: Outcome | undefined
    let last: Pick<Round, 'admission' | 'settlement'> | undefined
    try {
      const admission = await admit(gate.pipeline, draft, { signal, settlement })
      const x = admission.exchange
      asked.owner = x.owner.type === 'unresolved' ? undefined : ownerString(x.owner)

      const judged = await judge(gate, res, dialect, asked, admission, resubmission)
      asked.shadowHeaders = shadowHeaders(x.decisions, asked.id, gate.settings.strict)
      switch (judged.kind) {
        case 'admitted': {
          const to = { method: route.method, path: upstreamPath(route, req.url ?? '') }
          const round = { draft, admission, exchange: judged.exchange, settlement, shadowed: false }
          const done = await inRounds({ gate, res, dialect, asked, to, headers, signal }, round)
          outcome = done.outcome
          last = done.round
          break
        }
        case 'refused':
          outcome = await refused(gate, res, dialect, asked, admission, judged.refusal)
          break
        case 'answered':
          outcome = judged.outcome
          break
      }
      const ended = last ?? { admission, settlement }
      gate.counter.exchange(outcome.kind)
      asked.outcome = outcome.kind
      asked.told ??= { decision: wasRedacted(ended.admission) ? 'redact' : 'allow' }
      await close(gate, ended.admission, ended.settlement, outcome)
    } catch (error) {
      // A verdict that cannot even be read, or a defect: whatever was reserved comes back, and nothing is let through.
      if (outcome === undefined) gate.counter.exchange('faulted')
      await settlement.settle(outcome ?? { kind: 'faulted', forwarded: false, outputChars: 0, outputComplete: false })
      if (outcome !== undefined) throw error
      const x = { ...draft, policyDigest: gate.pipeline.digest, decisions: [] }
      const why = because('check_error', 'signet failed while it decided', { error_class: errorClass(error) })
      const verdict = { kind: 'block', because: why } as const
      const decision = { stage: 'admission', check: 'pipeline', verdict, effect: verdict, shadow: false } as const
      const row = decisionRow(x, decision, newId)
      await refuse(gate, res, dialect, asked, { because: why, stage: 'admission', decision: 'block', row })
    } finally {
      leaving.now()
    }
  } finally {
    gate.load.active -= 1
  }
}

/** What is known of an exchange before anything of it has been read. */
export function newAsked(gate: Gate, dialect: Dialect): Asked {
  return {
    id: gate.random.uuid(),
    upstreamLabel: gate.targets[dialect.provider].upstream.label,
    requestDigest: undefined,
    owner: undefined,
    waitMs: 0,
    shadowHeaders: {},
    told: undefined,
    outcome: undefined,
  }
}

/** The caller's query crosses only where the surface lists it. */
function upstreamPath(route: Route, url: string): string {
  const query = url.slice(url.indexOf('?') + 1)
  return route.queries?.includes(query) === true ? `${route.upstreamPath}?${query}` : route.upstreamPath
}

async function refused(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  admission: Admission,
  refusal: Decision,
): Promise<Outcome> {
  const x = admission.exchange
  const newId = () => gate.random.uuid()
  const { effect } = refusal
  if (effect.kind !== 'block') throw new Error('an exchange that is not admitted must have been refused')
  for (const d of x.decisions) if (d !== refusal) gate.audit.append(decisionRow(x, d, newId))
  await refuse(gate, res, dialect, asked, {
    because: effect.because,
    stage: 'admission',
    decision: refusal.verdict.kind,
    row: decisionRow(x, refusal, newId),
    check: refusal.check,
    ...(effect.retryAfterS === undefined ? {} : { retryAfterS: effect.retryAfterS }),
  })
  return { kind: 'refused', forwarded: false, outputChars: 0, outputComplete: false }
}

function wasRedacted({ decisions }: Admission): boolean {
  return decisions.some(d => d.effect.kind === 'redact')
}

/** A refusal before any check ran: a row, attribution headers, and a receipt once the body has been read. */
export function preflightRefusal(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  fault: Fault,
  owner: Owner = UNRESOLVED,
): Promise<void> {
  const why = faultBecause(fault)
  const status = statusOf(why)
  gate.counter.exchange('preflight')
  asked.outcome = 'preflight'
  const challenge = challengeFor(gate.identity, fault)
  return refuse(gate, res, dialect, asked, {
    because: why,
    stage: 'preflight',
    decision: 'block',
    row: preflightRow(subject(gate, asked, owner, dialect), why, status, () => gate.random.uuid()),
    ...(status === 503 ? { retryAfterS: 1 } : {}),
    ...(fault.code === 'body_too_large' || fault.code === 'request_timeout'
      ? { headers: { connection: 'close' } }
      : {}),
    ...(challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } }),
  })
}

function subject(gate: Gate, asked: Asked, owner: Owner, dialect: Dialect) {
  return {
    exchangeId: asked.id,
    owner,
    fingerprint: asked.requestDigest ?? '',
    policyDigest: gate.pipeline.digest,
    surface: dialect.name,
  }
}

function faultBecause(fault: Fault): Because {
  return because(fault.code, fault.message, fault.details)
}

/** The exchange's abort signal, made only for a check that looks at it: most never do. */
class Leaving {
  #controller: AbortController | undefined
  #gone = false

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#gone) this.#controller.abort(OVER)
    }
    return this.#controller.signal
  }

  now(): void {
    this.#gone = true
    this.#controller?.abort(OVER)
  }
}

/** One reason for all: making a DOMException with its stack costs more than the rest of the signal. */
const OVER = new Error('the exchange is over')

const OVERLOADED: Fault = Object.freeze({
  kind: 'fault',
  code: 'overloaded',
  message: 'too many exchanges at once; try again shortly',
})
const SESSIONS_DOWN: Fault = Object.freeze({
  kind: 'fault',
  code: 'state_unavailable',
  message: 'the session store cannot be reached',
})
