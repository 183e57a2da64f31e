/** Where notices go: a webhook, a Slack channel, the address of one approver. */
import type { Notice } from '../core/state.ts'
import type { Escalation } from '../escalation/escalation.ts'
import type { EventType } from './events.ts'

export interface Destination {
  /** `webhook:ops`, `slack`, `email:human:bob@example.com`: of the operator's choosing, never from a request. */
  readonly name: string
  /** In rows and metrics: without the name of a person. */
  readonly label: string
  /** Another address is another destination, even under the same name; it is only compared. */
  readonly address: string
  readonly events: readonly EventType[]
  /** Sends it, or says why not; never rejects. */
  send(notice: Notice, e: Escalation, sending: Sending): Promise<Sent>
  /** Sends something that says it is a test. */
  test(sending: Omit<Sending, 'receipt'>): Promise<Sent>
}

export interface Sending {
  readonly nowMs: number
  readonly signal: AbortSignal
  /** What this destination called an earlier notice about the same escalation. */
  readonly receipt: () => Promise<string | undefined>
}

export type Sent =
  | { readonly kind: 'delivered'; readonly receipt?: string; readonly detail: string }
  /** Nothing to say to this destination any more. */
  | { readonly kind: 'skipped' }
  /** Later; `afterMs`: as the receiver asked. `all`: leave the whole destination alone until then. */
  | { readonly kind: 'failed'; readonly because: string; readonly afterMs?: number; readonly all?: boolean }
  /** This one never. */
  | { readonly kind: 'refused'; readonly because: string }
  /** Nothing there ever again. */
  | { readonly kind: 'gone'; readonly because: string }

/** Of one sending, connecting included. Standard Webhooks recommends 15 to 30 seconds. */
export const SEND_LIMIT_MS = 15_000
/** Nobody reads what receivers answer beyond this. */
export const MAX_ANSWER_BYTES = 64 * 1024
