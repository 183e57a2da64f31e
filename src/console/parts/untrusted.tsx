/**
 * Text that a model or a caller chose, as text: it is never markup, and what could move, hide or reorder other text is a
 * chip with its code point. Letters of another script within a Latin word are marked: they look like others.
 */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { visiblePieces } from '../../text/visible.ts'

/** Longer values are folded. */
const FOLD = 240
/** More on one letter are a tower. */
const MARKS = 2

const WORD = /[\p{L}\p{M}]+/gu
const LATIN = /\p{Script=Latin}/u
const LOOKS_LATIN = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u
const TOWER = new RegExp(`(\\p{M}{${MARKS}})(\\p{M}+)`, 'gu')

/** What `Untrusted` marks in a text, in words; empty for ordinary text. */
export function oddities(text: string): readonly string[] {
  const found: string[] = []
  const points = visiblePieces(text).filter(p => 'point' in p && p.point !== 0x0a && p.point !== 0x09)
  if (points.length > 0) found.push(`${points.length} hidden or control character${points.length === 1 ? '' : 's'}`)
  if ([...text.matchAll(WORD)].some(([word]) => LATIN.test(word) && LOOKS_LATIN.test(word)))
    found.push('letters of two scripts in one word')
  return found
}

export function Untrusted({ text, fold = FOLD }: { readonly text: string; readonly fold?: number }) {
  const [open, setOpen] = useState(false)
  const points = [...text]
  const folded = !open && points.length > fold
  const shown = folded ? points.slice(0, fold).join('') : text
  return (
    <bdi class="untrusted">
      {pieces(shown)}
      {points.length > fold && (
        <button type="button" class="fold" onClick={() => setOpen(!open)} aria-expanded={open}>
          {folded ? `… all ${points.length.toLocaleString('en')} characters` : 'less'}
        </button>
      )}
    </bdi>
  )
}

function pieces(text: string): readonly ComponentChildren[] {
  return visiblePieces(text).flatMap((piece, i) => ('point' in piece ? [chip(piece.point, i)] : words(piece.text, i)))
}

function words(text: string, key: number): readonly ComponentChildren[] {
  const out: ComponentChildren[] = []
  let from = 0
  for (const { 0: word, index } of text.matchAll(WORD)) {
    const mixed = LATIN.test(word) && LOOKS_LATIN.test(word)
    const tower = word.search(TOWER) >= 0
    if (!mixed && !tower) continue
    out.push(text.slice(from, index))
    for (const [i, letter] of letters(word).entries()) {
      if (mixed && LOOKS_LATIN.test(letter))
        out.push(
          <mark class="look-alike" key={`${key}-${index}-${i}`} title="a letter of another script">
            {letter}
            <small>{pointName(letter.codePointAt(0) ?? 0)}</small>
          </mark>,
        )
      else out.push(...untowered(letter, `${key}-${index}-${i}`))
    }
    from = index + word.length
  }
  out.push(text.slice(from))
  return out
}

/** Letters with their marks. */
function letters(word: string): readonly string[] {
  return word.match(/\p{M}+|.\p{M}*/gu) ?? []
}

function untowered(letter: string, key: string): readonly ComponentChildren[] {
  const points = [...letter]
  const head = points.slice(0, MARKS + 1).join('')
  return [head, ...points.slice(MARKS + 1).map((mark, i) => chip(mark.codePointAt(0) ?? 0, `${key}-${i}`))]
}

const NAMES: Readonly<Record<number, string>> = {
  9: 'TAB',
  10: 'LF',
  13: 'CR',
  27: 'ESC',
  0: 'NUL',
  8203: 'ZWSP',
  8204: 'ZWNJ',
  8205: 'ZWJ',
  8206: 'LRM',
  8207: 'RLM',
  8234: 'LRE',
  8235: 'RLE',
  8236: 'PDF',
  8237: 'LRO',
  8238: 'RLO',
  8294: 'LRI',
  8295: 'RLI',
  8296: 'FSI',
  8297: 'PDI',
  65279: 'BOM',
}

function chip(point: number, key: string | number) {
  if (point === 0x0a || point === 0x09) {
    return (
      <span class="space" key={key}>
        {NAMES[point]}
      </span>
    )
  }
  const name = NAMES[point]
  return (
    <span class="chip" key={key} title="a character that would not be seen, or would move others">
      {pointName(point)}
      {name === undefined ? '' : ` ${name}`}
    </span>
  )
}

function pointName(point: number): string {
  return `U+${point.toString(16).toUpperCase().padStart(4, '0')}`
}
