/**
 * Capabilities of calls that leave. Guarantees: one is minted only for a call that was allowed or approved and whose row is
 * durable; its time begins then; what a shadowed verdict would have stopped says so.
 */
import { hash } from 'node:crypto'
import { argumentsOfText } from '../capability/arguments.ts'
import { issueCapability } from '../capability/issue.ts'
import type { Exchange } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import type { Edit, Frame, ToolCall } from '../core/wire.ts'
import { KeyError } from '../keys/error.ts'
import type { Commitment } from '../pipeline/commit.ts'
import { isThenable } from '../pipeline/guard.ts'
import type { Gate } from './gate.ts'

export interface Minted {
  /** Of the call in its answer. */
  readonly key: string
  readonly jws: string
  readonly jti: string
  readonly expiresAtMs: number
}

export interface Permit {
  readonly exchange: Pick<Exchange, 'id' | 'owner'>
  readonly call: Pick<ToolCall, 'key' | 'id' | 'name' | 'argumentsText'>
  readonly jti: string
  readonly shadow: boolean
  /** The escalation's id, when a human approved this call. */
  readonly approval?: string
}

/** Whom a capability for this tool would be for; `undefined`: none is issued. */
export function audienceOf(gate: Gate, tool: string): string | undefined {
  return gate.capabilities === undefined ? undefined : gate.pipeline.audience.of(tool)
}

/** One tool that demands it is enough: what waits together is approved together. */
export function approverAuthOf(gate: Gate, tools: readonly string[]): 'passkey' | undefined {
  return tools.some(tool => gate.pipeline.approverAuth.of(tool) === 'passkey') ? 'passkey' : undefined
}

/** `undefined` when the tool has no audience. Rejects when it cannot be signed: then the call may not leave. */
export async function mint(gate: Gate, p: Permit): Promise<Minted | undefined> {
  const { capabilities } = gate
  const aud = audienceOf(gate, p.call.name)
  if (capabilities === undefined || aud === undefined) return undefined
  const read = await argumentsOfText(p.call.argumentsText)
  if (read === undefined) throw new Error('a call with ambiguous arguments must have been refused')
  const sub = ownerString(p.exchange.owner)
  // One moment for both: the key has to be valid at `nbf`.
  const now = gate.clock.now()
  const signer = capabilities.keys.at(now)
  if (signer === undefined) throw new KeyError('key_not_valid', 'no capability key is valid now')
  const nbf = Math.floor(now / 1000)
  const exp = nbf + capabilities.ttlS
  const jws = await issueCapability(
    {
      iss: capabilities.issuer,
      sub,
      aud,
      jti: p.jti,
      nbf,
      exp,
      tool: p.call.name,
      args: read.digest,
      call: callId(p.call.id),
      exchange: p.exchange.id,
      ...(p.approval === undefined ? {} : { approval: p.approval }),
      ...(p.shadow ? { shadow: true } : {}),
    },
    signer,
  )
  const expiresAtMs = exp * 1000
  const kept = capabilities.issued.put(sub, p.exchange.id, {
    jti: p.jti,
    call: p.call.id,
    tool: p.call.name,
    capability: jws,
    expiresAtMs,
  })
  // It stands on its call either way.
  if (isThenable(kept)) kept.then(undefined, () => undefined)
  return { key: p.call.key, jws, jti: p.jti, expiresAtMs }
}

/** One per call of one escalation: a store that is put back to an older copy mints no second one beside it. */
export function approvedJti(escalation: string, callKey: string): string {
  return hash('sha256', JSON.stringify([escalation, callKey]), 'hex').slice(0, 32)
}

/** The capabilities of one answer under way. */
export class Minting {
  readonly #gate: Gate
  readonly #exchange: Exchange
  #waiting: { readonly c: Commitment; readonly jti: string }[] = []
  readonly #minted = new Map<string, string>()

  constructor(gate: Gate, exchange: Exchange) {
    this.#gate = gate
    this.#exchange = exchange
  }

  /** An allowed call: it waits for its row, whose id will be the capability's. */
  add(c: Commitment, jti: string): void {
    if (c.worst.effect.kind === 'allow' && audienceOf(this.#gate, c.call.name) !== undefined)
      this.#waiting.push({ c, jti })
  }

  get waits(): boolean {
    return this.#waiting.length > 0
  }

  /** The rows of the calls that wait are durable. `shadowed`: something was found on the way here and not enforced. */
  async mint(shadowed: boolean): Promise<void> {
    for (const { c, jti } of this.#waiting.splice(0)) {
      const shadow = shadowed || this.#gate.pipeline.shadow || c.decisions.some(d => d.shadow)
      const minted = await mint(this.#gate, { exchange: this.#exchange, call: c.call, jti, shadow })
      if (minted !== undefined) this.#minted.set(minted.key, minted.jws)
    }
  }

  /** What has been minted so far, by the key of its call. */
  get minted(): ReadonlyMap<string, string> {
    return this.#minted
  }

  /** The edits of a frame, with the capabilities of the calls that stand in it. */
  edits(frame: Frame, edits: readonly Edit[]): readonly Edit[] {
    return withCapabilities(frame, edits, this.#minted)
  }
}

export function withCapabilities(
  frame: Frame,
  edits: readonly Edit[],
  minted: ReadonlyMap<string, string>,
): readonly Edit[] {
  if (minted.size === 0) return edits
  const keys = new Set(
    frame.parts.flatMap(p => (p.kind === 'callPiece' ? [p.key] : p.kind === 'callDone' ? [p.call.key] : [])),
  )
  const more = [...keys].flatMap((key): Edit[] => {
    const jws = minted.get(key)
    return jws === undefined ? [] : [{ kind: 'capability', key, jws }]
  })
  return more.length === 0 ? edits : [...edits, ...more]
}

/** Upstream chose it, at any length; the claim has a bound. */
function callId(id: string): string {
  if (id.length > 256) return `sha256:${hash('sha256', id, 'hex')}`
  return id === '' ? '-' : id
}
