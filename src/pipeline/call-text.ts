/**
 * The text of one complete tool call under inspection: its name, its id, its arguments as written, and every string in
 * them once more decoded. Guarantees that a call is committed only when all of it was found clean.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Decision } from '../core/exchange.ts'
import { because } from '../core/verdict.ts'
import type { Channel, ToolCall } from '../core/wire.ts'
import type { InspectedChannel } from './channel.ts'
import { argumentLeaves, type Commitment } from './commit.ts'
import { isThenable } from './guard.ts'
import { type OpenChannels, whole } from './open-channels.ts'
import { unescapeAll } from './unescape.ts'

/** Decoded strings of one call inspected one by one; the rest share one text. */
const MAX_LEAVES = 256

/** What its text says of a call; `clean`: the checks of commitment may be asked. */
export type CallText =
  | { readonly kind: 'clean' }
  /** There is no room for its channels. */
  | { readonly kind: 'unread' }
  /** The exchange ends where the call begins. */
  | { readonly kind: 'finding'; readonly decision: Decision }
  /** Its arguments would have to be redacted, and they are never rewritten. */
  | { readonly kind: 'refused'; readonly commitment: Commitment }

interface Text {
  readonly channel: Channel
  readonly text: string
  /** Its name or its id: a notice would repeat them. */
  readonly label?: true
}

export function inspectCall(call: ToolCall, channels: OpenChannels, shadow: boolean): MaybeAsync<CallText> {
  return inspectFrom(textsOf(call), 0, call, channels, shadow)
}

function inspectFrom(
  texts: readonly Text[],
  from: number,
  call: ToolCall,
  channels: OpenChannels,
  shadow: boolean,
): MaybeAsync<CallText> {
  for (let i = from; i < texts.length; i += 1) {
    const t = texts[i]
    if (t === undefined || t.text === '' || (t.channel.snapshot === true && channels.quiet(t.text))) continue
    const c = channels.open(t.channel)
    if (c === undefined) return UNREAD
    const done = whole(c, t.text)
    if (isThenable(done)) {
      return done.then(() => judge(t, c, call, shadow) ?? inspectFrom(texts, i + 1, call, channels, shadow))
    }
    const said = judge(t, c, call, shadow)
    if (said !== undefined) return said
  }
  return CLEAN
}

function textsOf(call: ToolCall): readonly Text[] {
  const base: Channel = { key: `call:${call.key}`, choice: call.choice, name: 'arguments' }
  const twin = (i: number): Channel => ({ ...base, key: `${base.key}#${i}`, snapshot: true })
  const texts: Text[] = [
    // First, because a refusal of the arguments names the call.
    { channel: twin(0), text: call.name, label: true },
    { channel: twin(1), text: call.id, label: true },
    { channel: base, text: call.argumentsText },
  ]
  // What is not one unambiguous value can still be decoded by a reader less strict than the gate.
  const leaves = call.arguments === undefined ? escapedTwin(call.argumentsText) : argumentLeaves(call.arguments)
  for (let i = 0; i < Math.min(leaves.length, MAX_LEAVES); i += 1)
    texts.push({ channel: twin(i + 2), text: leaves[i] ?? '' })
  if (leaves.length > MAX_LEAVES)
    texts.push({ channel: twin(MAX_LEAVES + 2), text: leaves.slice(MAX_LEAVES).join('\n') })
  return texts
}

/** `undefined` when nothing was found in this text. */
function judge(t: Text, c: InspectedChannel, call: ToolCall, shadow: boolean): CallText | undefined {
  const blocked = c.blocked()
  if (blocked !== undefined) return { kind: 'finding', decision: blocked }
  const edits = c.editsOf(0, t.text.length)
  if (edits.length === 0) return undefined
  return t.label === true
    ? { kind: 'finding', decision: redactedLabel(c.channel.key, edits[0]?.from ?? 0) }
    : { kind: 'refused', commitment: redactedArguments(call, c.channel.key, shadow) }
}

function escapedTwin(text: string): readonly string[] {
  return text.includes('\\') ? [unescapeAll(text)] : []
}

/** Arguments are never rewritten: a redaction of them refuses the call. */
function redactedArguments(call: ToolCall, channel: string, shadow: boolean): Commitment {
  const why = because('redaction_unwritable', 'text in its arguments would have to be redacted', {
    tool: call.name.replace(/[^A-Za-z0-9_.:-]/g, '?').slice(0, 64),
  })
  const verdict = { kind: 'block', because: why } as const
  const worst: Decision = { stage: 'commitment', check: 'pipeline', verdict, effect: verdict, shadow, channel }
  return { call, worst, decisions: [worst] }
}

/** The name or the id of a call: a notice would repeat it, so the answer ends where the call begins. */
function redactedLabel(channel: string, at: number): Decision {
  const why = because('redaction_unwritable', 'the name or the id of a tool call would have to be redacted')
  const verdict = { kind: 'block', because: why } as const
  return { stage: 'inspection', check: 'pipeline', verdict, effect: verdict, shadow: false, channel, at }
}

const CLEAN: CallText = Object.freeze({ kind: 'clean' })
const UNREAD: CallText = Object.freeze({ kind: 'unread' })
