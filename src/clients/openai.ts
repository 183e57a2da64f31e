/**
 * `wrapOpenAI`: the official `openai` client, pointed at a signet gate.
 *
 * Returns a NEW client made by the SDK's own `withOptions`; the one passed in stays as it was. The wrapped client is
 * used exactly like the original. Only two things differ:
 * - signet's refusals and escalations are thrown as the SDK's typed errors that are also `SignetRefused` or
 *   `SignetEscalated`, with the correlation id and whatever the gate's strictness lets it say. A refused tool call is
 *   no error: the model's answer then says so in its place.
 * - receipts are within reach: `onReceipt`, `lastReceipt(client)`, `receiptOf(response)`.
 *
 * This module imports the SDK's types only; it works with whichever copy of `openai` made the client.
 */
import type { OpenAI } from 'openai'
import { SignetEscalated, SignetRefused } from './errors.ts'
import type { ReceiptNotice } from './gate-fetch.ts'
import { gateBase } from './gate-url.ts'
import { lastReceiptOf, member, type Sdk, type WrapOptions, wrapClient } from './sdk-client.ts'

export { type SignetError, signetErrorOf } from './error-of.ts'
export { SignetEscalated, SignetRefused, SignetUnverified } from './errors.ts'
export type { ReceiptNotice, VerifySettings } from './gate-fetch.ts'
export type { CallerIdentity } from './identity-headers.ts'
export { receiptOf } from './sdk-client.ts'

export interface WrapOpenAIOptions extends WrapOptions {}

const SDK: Sdk = {
  wrapper: 'wrapOpenAI',
  expects: 'a client of the `openai` package, version 5 or later',
  baseOf: gateBase,
  // The SDK gives its error the `error` member of the frame.
  abortArguments: (frame, headers) => [undefined, frame['error'], undefined, headers],
}

/**
 * @example
 * ```ts
 * const client = wrapOpenAI(new OpenAI(), { signetUrl: 'http://localhost:8443/v1', owner: 'human:alice@example.com' })
 * try {
 *   await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }] })
 * } catch (error) {
 *   if (error instanceof SignetEscalated) await pollUntilDecided(error.statusUrl)
 *   else if (error instanceof SignetRefused) console.error(error.reason, error.correlationId)
 *   else throw error
 * }
 * ```
 */
export function wrapOpenAI<Client extends OpenAI>(client: Client, options: WrapOpenAIOptions): Client {
  return wrapClient(client, options, SDK)
}

/** The newest receipt that passed through this client (or a copy made with its `withOptions`). */
export function lastReceipt(client: OpenAI): ReceiptNotice | undefined {
  return lastReceiptOf(client)
}

/**
 * Whether signet ended a stream, as opposed to the model's API or the network. Works for wrapped clients and for a plain
 * `openai` client that merely points at the gate, whose error carries the abort frame's `error` object.
 */
export function isSignetAbort(error: unknown): boolean {
  if (error instanceof SignetRefused || error instanceof SignetEscalated) return error.midStream
  return member(member(error, 'error'), 'type') === 'signet_refusal' && member(error, 'status') === undefined
}
