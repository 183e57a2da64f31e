/**
 * Reads the strings out of JSON text that arrives in pieces, decoded, a line each, without waiting for the end: the input
 * of a tool that upstream runs must be inspected as the tool saw it, while it streams.
 *
 * Guarantees: any cutting gives the same text; every decoded unit is handed out with the piece that completes it, and
 * knows which raw characters of that piece it came from, so that an edit of it can be written back.
 * Does not validate: malformed text decodes as far as it can.
 */
export interface DecodedPiece {
  readonly text: string
  /** For every unit of `text`, the raw span `[from, to)` in the piece; -1 where there is none to edit. */
  readonly from: readonly number[]
  readonly to: readonly number[]
}

const SHORT: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

export class JsonStrings {
  #inString = false
  /** An escape that has begun: `\`, or `\u` with up to three digits. */
  #escape = ''
  /** The first half of a surrogate pair, until the second is there. */
  #high = ''

  /** Object keys and values alike; a line end stands between two strings. */
  push(piece: string): DecodedPiece {
    let text = ''
    const from: number[] = []
    const to: number[] = []
    let escapeFrom = -1
    let highFrom = -1
    const add = (unit: string, start: number, end: number): void => {
      text += unit
      from.push(start)
      to.push(end)
    }
    const put = (unit: string, start: number, end: number): void => {
      const c = unit.charCodeAt(0)
      const isLow = c >= 0xdc00 && c < 0xe000
      // Both halves come from the same characters: neither can be edited without the other.
      if (this.#high !== '' && isLow) {
        add(this.#high, highFrom < 0 ? -1 : highFrom, end)
        add(unit, highFrom < 0 ? -1 : end, end)
      } else {
        if (this.#high !== '') add('\ufffd', -1, -1)
        if (isLow) add('\ufffd', start, end)
        else if (c < 0xd800 || c >= 0xdc00) add(unit, start, end)
      }
      this.#high = c >= 0xd800 && c < 0xdc00 ? unit : ''
      highFrom = this.#high === '' ? -1 : start
    }
    for (let i = 0; i < piece.length; i++) {
      const c = piece.charAt(i)
      if (!this.#inString) {
        if (c === '"') this.#inString = true
      } else if (this.#escape !== '') {
        this.#escape += c
        if (this.#escape.length === 2 && c !== 'u') put(SHORT[c] ?? c, escapeFrom, i + 1)
        else if (this.#escape.length < 6) continue
        else put(String.fromCharCode(Number.parseInt(this.#escape.slice(2), 16) || 0), escapeFrom, i + 1)
        this.#escape = ''
        escapeFrom = -1
      } else if (c === '\\') {
        this.#escape = c
        escapeFrom = i
      } else if (c === '"') {
        this.#inString = false
        put('\n', -1, -1)
      } else put(c, i, i + 1)
    }
    return { text, from, to }
  }
}
