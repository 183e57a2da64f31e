/**
 * What a request builds on that nobody here can read: state that upstream keeps under an id, inputs that only upstream
 * opens, answers that would be fetched by other means. Guarantees that an id is accepted only when this gate gave it to
 * the same owner, at a level not above the request's; everything else is refused unless the operator allows it.
 *
 * Does not know ids that were made before this gate started (with the state in memory) or beside it: those are refused.
 */

import type { Admitted, Decision } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import { ALLOW, type Because, because } from '../core/verdict.ts'
import type { Frame } from '../core/wire.ts'
import { isThenable, within } from '../pipeline/guard.ts'
import type { Gate } from './gate.ts'

const STATE_LIMIT_MS = 5_000

/** `undefined`: nothing to object to. In shadow the decision is recorded and not enforced, except when the state is down. */
export async function judgeReferences(gate: Gate, x: Admitted): Promise<Decision | undefined> {
  const { request } = x
  const found =
    (request.background === true && !gate.references.allowBackground ? BACKGROUND : undefined) ??
    opaque(gate, request.opaqueInputs ?? []) ??
    (await foreign(gate, x))
  if (found === undefined) return undefined
  const shadow = gate.pipeline.shadow && found.code !== 'state_unavailable'
  const verdict = { kind: 'block', because: found } as const
  return { stage: 'admission', check: 'references', verdict, effect: shadow ? ALLOW : verdict, shadow }
}

/** Called for every frame that leaves. Failing to remember refuses later; it never lets anything through. */
export function rememberReferences(gate: Gate, x: Admitted, frame: Frame): void {
  for (const part of frame.parts) {
    if (part.kind !== 'state' || x.request.stored === false) continue
    const { kind, id } = part.reference
    try {
      const kept = gate.references.state.remember(ownerString(x.owner), kind, id, x.levels?.rank ?? 0)
      if (isThenable(kept)) kept.then(undefined, () => undefined)
    } catch {
      // As above: the id is then unknown, and naming it is refused.
    }
  }
}

function opaque(gate: Gate, pointers: readonly string[]): Because | undefined {
  const [first] = pointers
  if (first === undefined || gate.references.allowOpaque) return undefined
  return because(
    'opaque_input',
    'the request hands over input that cannot be inspected here; send it as text, or allow opaque inputs',
    {
      pointer: first.slice(0, 256),
      count: pointers.length,
    },
  )
}

async function foreign(gate: Gate, x: Admitted): Promise<Because | undefined> {
  const rank = x.levels?.rank ?? 0
  for (const reference of x.request.references ?? []) {
    if (gate.references.allowKinds.includes(reference.kind)) continue
    let known: number | undefined
    try {
      const asked = gate.references.state.find(ownerString(x.owner), reference.kind, reference.id)
      known = isThenable(asked) ? await within(gate.clock, STATE_LIMIT_MS, asked) : asked
    } catch {
      return because('state_unavailable', 'the record of upstream state cannot be reached')
    }
    if (known === undefined || known > rank) {
      return because(
        'foreign_reference',
        known === undefined
          ? `the request names a ${reference.kind} that its owner did not get through this gate`
          : `the request names a ${reference.kind} of a higher level than its own`,
        { reference_kind: reference.kind, pointer: reference.pointer.slice(0, 256) },
      )
    }
  }
  return undefined
}

const BACKGROUND: Because = because(
  'background_run',
  "a background run's answer would not pass this gate; leave out `background`, or allow background runs",
)
