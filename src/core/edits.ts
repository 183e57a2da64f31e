/** Text edits: apply, and compose two rounds of them into one on the original text. Offsets are UTF-16 units. */
import type { TextEdit } from './verdict.ts'

/** Why these edits cannot be applied to a text of `length` units, or `undefined` when they can. */
export function editFault(edits: readonly TextEdit[], length: number): string | undefined {
  for (const e of edits) {
    if (!Number.isInteger(e.from) || !Number.isInteger(e.to)) return 'edit offsets must be integers'
    if (e.from < 0 || e.to > length || e.from >= e.to)
      return `edit [${e.from}, ${e.to}) is outside [0, ${length}) or empty`
    if (typeof e.text !== 'string' || e.text === '') return 'a replacement must be a non-empty string'
  }
  return undefined
}

/** Sorted by `from`, without overlap: an edit loses the part that an earlier one (by position, then by list order) already covers. */
export function normalizeEdits(edits: readonly TextEdit[]): TextEdit[] {
  const sorted = edits.map((e, i) => ({ e, i })).sort((a, b) => a.e.from - b.e.from || a.i - b.i)
  const out: TextEdit[] = []
  let covered = 0
  for (const { e } of sorted) {
    if (e.to <= covered) continue
    out.push(e.from >= covered ? e : { from: covered, to: e.to, text: e.text })
    covered = e.to
  }
  return out
}

/** `edits` must be sorted and without overlap. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  if (edits.length === 0) return text
  let out = ''
  let at = 0
  for (const e of edits) {
    out += text.slice(at, e.from) + e.text
    at = e.to
  }
  return out + text.slice(at)
}

/** A stretch of the text after the first round: `from`/`to` in that text; `kept` at the original offset, or a replacement. */
interface Stretch {
  readonly from: number
  readonly to: number
  readonly kept: number | undefined
  readonly text: string
}

/**
 * One list on the original text with the effect of `first`, then `second` (whose offsets are in the text after `first`).
 * `length` is the original text's. Both lists must be sorted and without overlap; so is the result.
 */
export function composeEdits(first: readonly TextEdit[], second: readonly TextEdit[], length: number): TextEdit[] {
  if (first.length === 0) return [...second]
  const out: TextEdit[] = []
  /** Original offset up to which everything is in `out`, and the replacement text gathered since. */
  let done = 0
  let gathered = ''
  const keep = (from: number, to: number): void => {
    if (to <= from) return
    if (from > done || gathered !== '') out.push({ from: done, to: from, text: gathered })
    gathered = ''
    done = to
  }
  let i = 0
  for (const s of stretches(first, length)) {
    let at = s.from
    for (let e = second[i]; e !== undefined && e.from < s.to; e = second[i]) {
      if (e.from > at) copy(s, at, e.from)
      if (e.from >= s.from) gathered += e.text
      at = Math.min(e.to, s.to)
      if (e.to > s.to) break
      i += 1
    }
    if (at < s.to) copy(s, at, s.to)
  }
  if (done < length || gathered !== '') out.push({ from: done, to: length, text: gathered })
  return out

  function copy(s: Stretch, from: number, to: number): void {
    if (s.kept === undefined) gathered += s.text.slice(from - s.from, to - s.from)
    else keep(s.kept + from - s.from, s.kept + to - s.from)
  }
}

function stretches(first: readonly TextEdit[], length: number): Stretch[] {
  const out: Stretch[] = []
  let at = 0
  let original = 0
  for (const e of first) {
    if (e.from > original) out.push({ from: at, to: (at += e.from - original), kept: original, text: '' })
    out.push({ from: at, to: (at += e.text.length), kept: undefined, text: e.text })
    original = e.to
  }
  if (length > original) out.push({ from: at, to: at + length - original, kept: original, text: '' })
  return out
}
