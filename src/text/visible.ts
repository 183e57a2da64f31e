/**
 * Text that others wrote (rows, headers, file names, errors) made safe to show: whatever could move the cursor, start an escape
 * sequence, reorder or hide text becomes a visible escape. Ordinary letters of every script stay.
 */

// Cc and Cf cover C0, DEL, C1, bidi controls, zero-width, byte-order mark and tag characters; Zl and Zp break lines; the fillers,
// the empty braille cell and the null notehead have a glyph without ink; Cs is half a surrogate pair; Co and variation selectors smuggle invisible data.
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\u{1d159}\u{e0100}-\u{e01ef}]/gu

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
  if (/^[\x20-\x7e\n]*$/.test(json)) return json
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

/** A text in pieces: what may be shown as it is, and each character that may not, by its code point. */
export type VisiblePiece = { readonly text: string } | { readonly point: number }

export function visiblePieces(text: string): readonly VisiblePiece[] {
  const pieces: VisiblePiece[] = []
  let from = 0
  for (const { 0: character, index } of text.matchAll(UNSAFE)) {
    if (index > from) pieces.push({ text: text.slice(from, index) })
    pieces.push({ point: character.codePointAt(0) ?? 0 })
    from = index + character.length
  }
  if (from < text.length) pieces.push({ text: text.slice(from) })
  return pieces
}
