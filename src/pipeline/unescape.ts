/**
 * Text as a reader of JSON strings would see it: `\u0053` is an S. For text that its receiver may parse once more, such as
 * the content of an answer in JSON mode. Any cutting of the input gives the same output; an escape in two halves waits.
 */
export class Unescaper {
  #tail = ''

  push(text: string): string {
    const all = this.#tail + text
    // At most `\uXXX` can still grow; a backslash before it decides whether it is an escape at all.
    const cut = incompleteFrom(all)
    this.#tail = all.slice(cut)
    return decode(all.slice(0, cut))
  }

  end(): string {
    const rest = decode(this.#tail)
    this.#tail = ''
    return rest
  }
}

export function unescapeAll(text: string): string {
  return decode(text).toWellFormed()
}

/** Where an escape begins that the text may end inside of; its length when there is none. */
function incompleteFrom(text: string): number {
  const from = Math.max(0, text.length - 6)
  for (let i = from; i < text.length; i += 1) {
    if (text.charCodeAt(i) !== BACKSLASH || !startsEscape(text, i)) continue
    const length = text[i + 1] === 'u' ? 6 : 2
    if (i + length > text.length) return i
    i += 1
  }
  return text.length
}

/** An odd number of backslashes ends here: this one is not itself escaped. */
function startsEscape(text: string, at: number): boolean {
  let n = 0
  for (let i = at - 1; i >= 0 && text.charCodeAt(i) === BACKSLASH; i -= 1) n += 1
  return n % 2 === 0
}

const BACKSLASH = 0x5c
const SHORT: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }

function decode(text: string): string {
  return text.replace(/\\(?:u([0-9A-Fa-f]{4})|(.))/gs, (_all, hex: string | undefined, one: string | undefined) =>
    hex === undefined ? (SHORT[one ?? ''] ?? one ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
