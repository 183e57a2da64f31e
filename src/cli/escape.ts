/** How text that others wrote takes its place on a terminal. */

export { escapeJson, escapeText } from '../text/visible.ts'

let segmenter: Intl.Segmenter | undefined
/** Made when the first text needs it: few do, and making it takes longer than printing. */
function graphemes(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })
  return segmenter.segment(text)
}

const ZERO = /^[\p{M}\p{Cf}]+$/u
const EMOJI = /\p{Emoji_Presentation}|\ufe0f/u
/** East Asian wide and full-width ranges, coarse (UAX 11). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u

/** Columns a text takes on a terminal. */
export function width(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const { segment } of graphemes(text)) {
    if (!ZERO.test(segment)) columns += EMOJI.test(segment) || WIDE.test(segment) ? 2 : 1
  }
  return columns
}

/** At most `columns` wide, with `...` for what is cut off. */
export function shorten(text: string, columns: number): string {
  if (width(text) <= columns) return text
  let kept = ''
  let used = 0
  for (const { segment } of graphemes(text)) {
    const w = width(segment)
    if (used + w > columns - 3) break
    kept += segment
    used += w
  }
  return `${kept}...`
}
