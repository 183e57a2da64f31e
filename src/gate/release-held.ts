/**
 * From an approved escalation to the bytes its caller gets. Guarantees that every call of the answer passes the pipeline in
 * force now, that a call nobody approved does not leave with those that were, and that the receipt names the row of the
 * release.
 */
import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Exchange } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import type { Made, Released } from '../escalation/desk.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { type HeldAnswer, reopen, type Written } from '../escalation/sealed.ts'
import { recheck } from '../pipeline/recheck.ts'
import { type Asked, gateHeaders } from './answer.ts'
import type { Gate } from './gate.ts'
import { approvedJti, approverAuthOf, audienceOf, type Minted, mint } from './mint.ts'
import { signReceipt } from './receipts.ts'
import { endAnswer, type StreamSink } from './sink.ts'

/** How long a released answer may be read again where no capability says how long it is good for. */
const READ_AGAIN_MS = 120_000

export function releaseHeld(gate: Gate, id: string): Promise<Released> {
  return gate.desk.release(id, (e, answer) => remake(gate, e, answer))
}

async function remake(gate: Gate, e: Escalation, answer: HeldAnswer): Promise<Made> {
  const untilMs = gate.clock.now() + READ_AGAIN_MS
  const auth =
    gate.desk.approverAuth ??
    approverAuthOf(
      gate,
      e.calls.map(c => c.tool),
    )
  if (auth !== undefined && e.rule.auth !== auth) {
    return { kind: 'denied', reason: `an approval with a ${auth} is demanded now, and this was given without` }
  }
  if (e.stage === 'admission') return { kind: 'bytes', bytes: new Uint8Array(0), tail: 0, jtis: [], untilMs }
  const dialect = gate.dialects.find(d => d.name === answer.dialect)
  if (dialect === undefined) return { kind: 'denied', reason: `the surface ${e.surface} is not served any more` }
  const held = reopen(dialect, answer)
  const x: Exchange = {
    ...answer.context,
    id: e.exchange,
    surface: e.surface,
    receivedAtNs: BigInt(e.createdAtMs) * 1_000_000n,
    owner: e.owner,
    request: held.request,
    requestDigest: e.requestDigest,
    policyDigest: gate.pipeline.digest,
    decisions: [],
  }
  const approved = new Set(e.calls.map(c => c.key))
  // What was refused when it was proposed stays refused: it is taken out of the answer by its edits.
  const refused = new Set(
    answer.frames.flatMap(f => f.edits.flatMap(edit => (edit.kind === 'refuse' ? [edit.key] : []))),
  )
  const leaving = held.calls.filter(call => !refused.has(call.key))
  const given = new Map(answer.given)
  const audiences = new Map(e.calls.map(c => [c.key, c.audience]))
  const judged = await recheck(gate.pipeline, leaving, x)
  for (const { call, worst } of judged) {
    if (worst.effect.kind === 'block') return { kind: 'denied', reason: worst.effect.because.reason }
    if (worst.effect.kind === 'escalate' && !approved.has(call.key)) {
      return { kind: 'denied', reason: 'a call that nobody was asked about needs an approval now' }
    }
    // The approver saw who would run it.
    if (approved.has(call.key) && audiences.get(call.key) !== audienceOf(gate, call.name)) {
      return { kind: 'denied', reason: 'another executor than the approved one would run the call now' }
    }
  }
  const minted: Minted[] = []
  for (const { call, decisions } of judged) {
    // It left before the rest was held, and its capability with it.
    if (given.has(call.key)) continue
    const shadow = answer.shadowed || gate.pipeline.shadow || decisions.some(d => d.shadow)
    const about = { exchange: x, call, jti: approvedJti(e.id, call.key), shadow }
    const one = await mint(gate, approved.has(call.key) ? { ...about, approval: e.id } : about)
    if (one !== undefined) minted.push(one)
  }
  const written = held.write(new Map([...given, ...minted.map(m => [m.key, m.jws] as const)]))
  return {
    kind: 'bytes',
    bytes: Buffer.concat(written.map(w => w.bytes)),
    tail: answer.stream ? endMark(written) : 0,
    jtis: minted.map(m => m.jti),
    untilMs: minted.reduce((until, m) => Math.min(until, m.expiresAtMs), minted.length === 0 ? untilMs : Infinity),
  }
}

/** Bytes of a bare end mark (`[DONE]`, `message_stop`) and what follows it; 0 when the end itself says something. */
function endMark(written: readonly Written[]): number {
  const at = written.findIndex(w => w.frame.parts.some(p => p.kind === 'end'))
  const last = written[at]
  if (
    last === undefined ||
    last.frame.parts.some(p => p.kind === 'text' || p.kind === 'callPiece' || p.kind === 'callDone')
  ) {
    return 0
  }
  return written.slice(at).reduce((sum, w) => sum + w.bytes.length, 0)
}

export type Ready = Extract<Released, { kind: 'released' }>

/** A whole answer: nothing of it has left yet. */
export async function answerReleased(gate: Gate, res: ServerResponse, asked: Asked, r: Ready): Promise<void> {
  const original = { ...asked, id: r.escalation.exchange }
  const headers: Record<string, string | number> = {}
  for (const [name, value] of r.answer.headers) headers[name] = value
  Object.assign(headers, gateHeaders(original), {
    'x-signet-escalation': r.escalation.id,
    'x-signet-upstream-status': r.answer.status,
  })
  const { bytes, before } = parts(r)
  const receipt = await finalReceipt(gate, r, `sha256:${hash('sha256', r.answer.stream ? before : bytes, 'hex')}`)
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  if (receipt !== undefined && gate.receipts !== undefined) headers[gate.receipts.headerName] = receipt
  const body = r.answer.stream && receipt !== undefined ? withReceipt(r, receipt) : bytes
  res.writeHead(r.answer.status, { ...headers, 'content-length': body.length })
  endAnswer(res, body)
}

/** The rest of a stream whose beginning has left: the frames that were written then are the first of the released bytes. */
export async function streamReleased(gate: Gate, res: ServerResponse, stream: StreamSink, r: Ready): Promise<void> {
  const { before, tail } = parts(r)
  stream.take(before.subarray(stream.frameBytes))
  await stream.flush()
  const receipt = await finalReceipt(gate, r, `sha256:${stream.digest()}`)
  if (receipt !== undefined) {
    stream.comment(`signet-receipt ${receipt}`)
    if (gate.receipts !== undefined && !res.destroyed && res.useChunkedEncodingByDefault) {
      res.addTrailers({ [`${gate.receipts.headerName}-Final`]: receipt })
    }
  }
  stream.take(tail)
  await stream.flush()
  endAnswer(res)
}

function parts(r: Ready) {
  const { bytes, release } = r
  const cut = bytes.length - release.tail
  return { bytes, before: bytes.subarray(0, cut), tail: bytes.subarray(cut) }
}

function withReceipt(r: Ready, receipt: string): Uint8Array {
  const { before, tail } = parts(r)
  return Buffer.concat([before, Buffer.from(`: signet-receipt ${receipt}\n\n`), tail])
}

async function finalReceipt(gate: Gate, r: Ready, res: string): Promise<string | undefined> {
  if (gate.receipts === undefined) return undefined
  return signReceipt(gate, gate.receipts, {
    ticket: r.ticket,
    exchange: r.escalation.exchange,
    stage: 'commitment',
    decision: 'allow',
    req: r.escalation.requestDigest,
    res,
    owner: ownerString(r.escalation.owner),
    check: undefined,
  })
}
