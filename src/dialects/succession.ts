/**
 * Values that a chat stream says whole, one after the other, in one field: roles, ids, models. Some clients join them
 * (openai-python adds up every string of a delta), so `SECRET//` and then `NOFORN` are judged joined as well. Clients of the
 * other surfaces join no such field.
 *
 * Guarantees: bounded memory; a value that repeats adds nothing. Does not look back further than `REACH` characters; a piece
 * that has left before the next one came has left.
 */
import { BREAK } from '../core/break.ts'

const REACH = 256
const MAX_FIELDS = 256
/** Ends the pointer in the key of a channel that holds a value and those before it: `<pointer>~run:<start of the value>#<n>`. */
const RUN = '~run:'

export class Succession {
  readonly #said = new Map<string, string>()

  /** The new value behind those before it, and the key of its channel; `undefined` for the first of a field. */
  next(
    pointer: string,
    value: string,
    serial: () => number,
  ): { readonly key: string; readonly text: string } | undefined {
    // Random filler, another in every event, that no client shows.
    if (pointer.endsWith('/obfuscation')) return undefined
    const before = this.#said.get(pointer)
    if (before === undefined && this.#said.size >= MAX_FIELDS) return undefined
    const text = before === undefined ? value : `${before}${BREAK}${value}`
    this.#said.set(pointer, text.slice(-REACH))
    if (before === undefined) return undefined
    return { key: `${pointer}${RUN}${before.length + BREAK.length}#${serial()}`, text }
  }
}

/** Where the new value begins, in the text of a channel of such a key. */
export function runStart(key: string): number | undefined {
  const at = key.lastIndexOf(RUN)
  return at < 0 ? undefined : Number.parseInt(key.slice(at + RUN.length), 10)
}

/** What was found on one side of the newest border alone was also found, and rewritten, where that value stood by itself. */
export function isRewritten(key: string, edits: readonly { readonly from: number; readonly to: number }[]): boolean {
  const start = runStart(key)
  return start !== undefined && edits.every(edit => edit.from >= start || edit.to <= start)
}
