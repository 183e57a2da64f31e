/**
 * A turn that is withheld until it ends, because the model may be asked again instead of delivering it.
 *
 * Guarantees: steps come back in the order in which they were made, all of them, once; a turn is said to be refused only
 * when it came to its end whole, has calls, and commitment refused every one of them (a shadowed block refuses nothing).
 */
import type { Commitment } from '../pipeline/commit.ts'
import type { Observed, Step } from '../pipeline/step.ts'

/** What keeping a step costs beside its frame's bytes, roughly. */
const STEP_BYTES = 256

export type Due =
  /** To be done as if nothing had been withheld. */
  | { readonly kind: 'deliver'; readonly steps: readonly Step[] }
  | { readonly kind: 'refused'; readonly steps: readonly Step[]; readonly turn: Turn }

export interface Turn {
  readonly steps: readonly Step[]
  readonly calls: readonly Commitment[]
  readonly observed: Observed
}

export class Withheld {
  #steps: Step[] = []
  #calls: Commitment[] = []
  #bytes = 0
  #open = true

  get open(): boolean {
    return this.#open
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `undefined`: nothing is due yet. */
  take(steps: readonly Step[]): Due | undefined {
    for (const step of steps) {
      this.#steps.push(step)
      if (step.kind === 'emit') {
        this.#bytes += step.frame.raw.length + STEP_BYTES
        for (const c of step.needs) this.#calls.push(c)
      } else if (step.kind === 'finish') {
        const turn = { steps: this.#steps, calls: this.#calls, observed: step.observed }
        const all = this.let()
        return isRefused(turn) ? { kind: 'refused', steps: all, turn } : { kind: 'deliver', steps: all }
      } else if (step.kind !== 'escalate') return { kind: 'deliver', steps: this.let() }
    }
    return undefined
  }

  /** Nothing is withheld from here on. */
  let(): readonly Step[] {
    const all = this.#steps
    this.#steps = []
    this.#bytes = 0
    this.#open = false
    return all
  }
}

/** A call that was cut off by a limit is not what the model meant to say. */
const CUT: ReadonlySet<string> = new Set(['length', 'max_tokens', 'incomplete', 'content_filter', 'failed', 'refusal'])

function isRefused({ calls, observed }: Turn): boolean {
  if (calls.length === 0 || !observed.outputComplete || CUT.has(observed.finish ?? '')) return false
  return calls.every(c => c.worst.effect.kind === 'block')
}
