/** What the release machine tells the gate to do, in order. */
import type { Decision, Outcome } from '../core/exchange.ts'
import type { Because } from '../core/verdict.ts'
import type { Edit, Frame } from '../core/wire.ts'
import type { Commitment } from './commit.ts'

export type Step =
  /** Write it. `needs`: call decisions whose rows must be durable before one byte of it leaves. */
  | {
      readonly kind: 'emit'
      readonly frame: Frame
      readonly edits: readonly Edit[]
      readonly needs: readonly Commitment[]
    }
  /** A policy block: 4xx if nothing was sent, else the dialect's abort frame. */
  | { readonly kind: 'refuse'; readonly decision: Decision }
  /** Upstream broke the protocol, or a bound was passed. */
  | { readonly kind: 'fault'; readonly because: Because }
  /** A call waits for a human. The gate swaps its sink for the sealed one; later steps keep coming. */
  | { readonly kind: 'escalate'; readonly commitment: Commitment }
  | { readonly kind: 'finish'; readonly observed: Observed }

/** What upstream sent, released or not. */
export type Observed = Pick<Outcome, 'outputTokens' | 'inputTokens' | 'outputChars' | 'finish' | 'outputComplete'>
