/**
 * What an approver is shown, checked against the digest before it is shown: `intact` means that the facts and arguments on
 * the page are exactly what an approval of this digest lets happen. Nothing else of an answer is shown as the proposal.
 */
import { canonicalJson, NotCanonical } from '../core/jcs.ts'
import { readArguments } from '../dialects/arguments.ts'
import { sha256Digest, toUtf8 } from '../jws/bytes.ts'
import type { Proposal, Similar } from './api.ts'
import { list, nullable, number, shape, text } from './read.ts'

const readFacts = shape({
  escalation: text,
  exchange: text,
  owner: text,
  stage: text,
  surface: text,
  upstream: text,
  policy: text,
  request: text,
  expires_at_ms: number,
  calls: list(shape({ id: text, tool: text, arguments: text, arguments_text: text, audience: nullable(text) })),
})
export type Facts = ReturnType<typeof readFacts>

export interface ShownCall {
  readonly id: string
  readonly tool: string
  readonly audience: string | null
  readonly argumentsText: string
  /** They are an I-JSON object: every reader of them reads the same. */
  readonly isExact: boolean
  readonly similar: Similar
}

export type Checked =
  | { readonly kind: 'intact'; readonly digest: string; readonly facts: Facts; readonly calls: readonly ShownCall[] }
  | { readonly kind: 'differs'; readonly what: string }

/** `id` and `digest`: of the escalation that was asked for. */
export async function checkProposal(p: Proposal, id: string, digest: string): Promise<Checked> {
  let computed: string
  let facts: Facts
  try {
    facts = readFacts(p.shown)
    computed = await digestOf(canonicalJson(p.shown))
  } catch (error) {
    if (error instanceof NotCanonical || error instanceof Error)
      return { kind: 'differs', what: 'its facts cannot be read' }
    throw error
  }
  if (facts.escalation !== id) return { kind: 'differs', what: 'these are the facts of another escalation' }
  if (computed !== digest || p.digest !== digest)
    return { kind: 'differs', what: 'the digest of what is shown is another one' }
  if (p.arguments.length !== facts.calls.length)
    return { kind: 'differs', what: 'the calls are not as many as their arguments' }
  const calls: ShownCall[] = []
  for (const [i, call] of facts.calls.entries()) {
    const argumentsText = p.arguments[i] ?? ''
    const value = readArguments(argumentsText)
    if ((await digestOf(argumentsText)) !== call.arguments_text)
      return { kind: 'differs', what: `the arguments of call ${i + 1} are others than the digest is over` }
    const canonical = value === undefined ? argumentsText : canonicalJson(value)
    if ((await digestOf(canonical)) !== call.arguments)
      return { kind: 'differs', what: `the arguments of call ${i + 1} mean something else than the digest says` }
    const { id: callId, tool, audience } = call
    calls.push({
      id: callId,
      tool,
      audience,
      argumentsText,
      isExact: value !== undefined,
      similar: p.similar[i] ?? null,
    })
  }
  return { kind: 'intact', digest: computed, facts, calls }
}

function digestOf(of: string): Promise<string> {
  return sha256Digest(toUtf8(of))
}
