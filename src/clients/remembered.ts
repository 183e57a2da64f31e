/**
 * What the gate said in an answer, remembered by the answer's `Headers` object. SDKs hand that very object to the error
 * they make of an answer, while of the body they keep what they know; so the facts survive any SDK's own error.
 */
import type { EscalationFacts, RefusalFacts } from './errors.ts'

export type Remembered =
  | { readonly kind: 'refused'; readonly facts: RefusalFacts }
  | { readonly kind: 'escalated'; readonly facts: EscalationFacts }
  | { readonly kind: 'unverified'; readonly cause: unknown; readonly correlationId: string | undefined }

const answers = new WeakMap<Headers, Remembered>()

export function remember(headers: Headers, what: Remembered): void {
  answers.set(headers, what)
}

export function remembered(headers: Headers): Remembered | undefined {
  return answers.get(headers)
}
