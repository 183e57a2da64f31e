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
/** Ids of one answer that are remembered; an upstream that names more of them is not to fill the record. */
const MOST_GIVEN = 4_096

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

/**
 * What one answer gives its owner. Failing to remember refuses later; it never lets anything through. The end of the
 * answer waits for it, so that whoever has the whole answer can build on it, at this gate or another.
 */
export class Given {
  readonly #gate: Gate
  readonly #x: Admitted
  readonly #seen = new Set<string>()
  #underWay = 0
  #ended: () => void = () => undefined

  constructor(gate: Gate, x: Admitted) {
    this.#gate = gate
    this.#x = x
  }

  /** Called for every frame that leaves. */
  frame(frame: Frame): void {
    for (const part of frame.parts) {
      if (part.kind !== 'state' || this.#x.request.stored === false || this.#seen.size >= MOST_GIVEN) continue
      const { kind, id } = part.reference
      // Events of a stream name the same id again and again.
      const known = `${kind} ${id}`
      if (this.#seen.has(known)) continue
      this.#seen.add(known)
      this.#remember(kind, id)
    }
  }

  /** `undefined`: nothing to wait for. Never rejects. */
  remembered(): Promise<void> | undefined {
    if (this.#underWay === 0) return undefined
    return new Promise(resolve => {
      this.#ended = resolve
    })
  }

  #remember(kind: string, id: string): void {
    try {
      const { state } = this.#gate.references
      const kept = state.remember(ownerString(this.#x.owner), kind, id, this.#x.levels?.rank ?? 0)
      if (!isThenable(kept)) return
      this.#underWay += 1
      const over = () => {
        this.#underWay -= 1
        if (this.#underWay === 0) this.#ended()
      }
      within(this.#gate.clock, STATE_LIMIT_MS, kept).then(over, over)
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
