/**
 * `wrapAnthropic`: the official `@anthropic-ai/sdk` client, pointed at a signet gate. The contract is that of
 * `wrapOpenAI`: a NEW client, used like the original, whose refusals and escalations are the SDK's typed errors and
 * `SignetRefused` or `SignetEscalated` at once, with receipts within reach.
 *
 * This module imports the SDK's types only; it works with whichever copy of the package made the client.
 */
import type { Anthropic } from '@anthropic-ai/sdk'
import { SignetEscalated, SignetRefused } from './errors.ts'
import type { ReceiptNotice } from './gate-fetch.ts'
import { gateRoot } from './gate-url.ts'
import { lastReceiptOf, member, type Sdk, type WrapOptions, wrapClient } from './sdk-client.ts'

export { type SignetError, signetErrorOf } from './error-of.ts'
export { SignetEscalated, SignetRefused, SignetUnverified } from './errors.ts'
export type { ReceiptNotice, VerifySettings } from './gate-fetch.ts'
export type { CallerIdentity } from './identity-headers.ts'
export { receiptOf } from './sdk-client.ts'

export interface WrapAnthropicOptions extends WrapOptions {}

const SDK: Sdk = {
  wrapper: 'wrapAnthropic',
  expects: 'a client of the `@anthropic-ai/sdk` package, version 0.122 or later',
  baseOf: gateRoot,
  // The SDK gives its error the whole frame, and the type of its `error`.
  abortArguments: (frame, headers) => [undefined, frame, undefined, headers, member(frame['error'], 'type')],
}

/**
 * @example
 * ```ts
 * const claude = wrapAnthropic(new Anthropic(), { signetUrl: 'http://localhost:8443', owner: 'agent:triage' })
 * const message = await claude.messages.create({ model, max_tokens: 512, messages })
 * console.log(lastReceipt(claude)?.receipt)
 * ```
 */
export function wrapAnthropic<Client extends Anthropic>(client: Client, options: WrapAnthropicOptions): Client {
  return wrapClient(client, options, SDK)
}

/** The newest receipt that passed through this client (or a copy made with its `withOptions`). */
export function lastReceipt(client: Anthropic): ReceiptNotice | undefined {
  return lastReceiptOf(client)
}

/**
 * Whether signet ended a stream, as opposed to the model's API or the network. Works for wrapped clients and for a plain
 * client that merely points at the gate, whose error carries the abort frame.
 */
export function isSignetAbort(error: unknown): boolean {
  if (error instanceof SignetRefused || error instanceof SignetEscalated) return error.midStream
  return member(member(error, 'error'), 'signet_abort') === true && member(error, 'status') === undefined
}
