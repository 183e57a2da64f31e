/**
 * Attacks cut in two: the model reads neighbouring messages of one role as one text. A seam is what stands around the borders between
 * them, joined by a line break that every rule can cross.
 */
import type { Segment } from '../../core/wire.ts'

export interface Seam {
  readonly text: string
  /** Where it ends. */
  readonly segment: Segment
  /** Where it begins. */
  readonly with: Segment
}

/** On each side of a border; more than an override needs, and room for an encoded one. */
const REACH = 256
/** On each side of a border that cuts an unbroken run: half of an encoded payload. */
const ENCODED_REACH = 4096

/** Tool declarations and other fields stand apart in the prompt; only turns of a conversation are read on. */
const CONVERSATION: readonly Segment['role'][] = ['user', 'tool', 'assistant', 'system', 'developer']

export function* seams(segments: readonly Segment[]): Generator<Seam, void, undefined> {
  for (const role of CONVERSATION) {
    const chain = segments.filter(s => s.role === role)
    let from: Segment | undefined
    let text = ''
    for (let i = 1; i < chain.length; i++) {
      const before = chain[i - 1]
      const after = chain[i]
      if (before === undefined || after === undefined) continue
      const reach = cutsRun(before.text, after.text) ? ENCODED_REACH : REACH
      if (text === '') {
        from = before
        text = before.text.slice(-reach)
      }
      text += `\n${after.text.slice(0, reach)}`
      // A short piece belongs to the next seam as well: a text may be cut into many.
      if (after.text.length <= reach && i + 1 < chain.length && text.length < 2 * ENCODED_REACH) continue
      yield { text, segment: after, with: from ?? before }
      const short = after.text.length <= reach
      text = short ? text.slice(-reach) : ''
      from = short ? after : undefined
    }
    yield* glued(chain)
  }
}

/** A word cut in two: there no line break may stand. */
function* glued(chain: readonly Segment[]): Generator<Seam, void, undefined> {
  let text = ''
  let from: Segment | undefined
  for (let i = 1; i < chain.length; i++) {
    const before = chain[i - 1]
    const after = chain[i]
    if (before === undefined || after === undefined) continue
    const cuts = /[\p{L}\p{N}]$/u.test(before.text) && /^[\p{L}\p{N}]/u.test(after.text)
    if (cuts) {
      if (text === '') {
        from = before
        text = before.text.slice(-REACH)
      }
      text += after.text.slice(0, REACH)
      // Into many pieces, perhaps.
      if (after.text.length <= REACH && text.length < ENCODED_REACH && i + 1 < chain.length) continue
    }
    if (text !== '') yield { text, segment: cuts ? after : before, with: from ?? before }
    text = ''
  }
}

function cutsRun(before: string, after: string): boolean {
  return /[A-Za-z0-9+/_=-]{16}$/.test(before) && /^[A-Za-z0-9+/_-]{8}/.test(after)
}
