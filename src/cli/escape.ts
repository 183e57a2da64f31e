/**
 * Text that others wrote (rows, headers, file names, errors) made safe to print: whatever could move the cursor, start an escape
 * sequence, reorder or hide text becomes a visible escape. Ordinary letters of every script stay.
 */

// Cc and Cf cover C0, DEL, C1, bidi controls, zero-width, byte-order mark and tag characters; Zl and Zp break lines; the fillers
// have a glyph without ink; Cs is half a surrogate pair; Co and variation selectors smuggle invisible data.
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\u{e0100}-\u{e01ef}]/gu

export function escapeText(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text
  return text.replace(UNSAFE, character => {
    const point = character.codePointAt(0) ?? 0
    if (point < 0x20 || point === 0x7f) return `\\x${hex(point, 2)}`
    return point > 0xffff ? `\\u{${hex(point, 1)}}` : `\\u${hex(point, 4)}`
  })
}

/** JSON text stays JSON: what the terminal must not see becomes `\uXXXX`, two of them beyond the basic plane. Line feeds of indentation stay. */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, character => {
    if (character === '\n') return character
    let escaped = ''
    for (let i = 0; i < character.length; i++) escaped += `\\u${hex(character.charCodeAt(i), 4)}`
    return escaped
  })
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

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
