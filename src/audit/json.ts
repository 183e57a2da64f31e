/**
 * Strict JSON for stored lines: RFC 8259 and nothing else, duplicate keys refused, every number exact, depth bounded.
 * Slow and exact; `line.ts` is the fast way through a log whose lines are in order.
 */
import { Float, type Json } from './canonical.ts'

/** Beyond it nothing that was ever written by a gate nests. */
export const MAX_DEPTH = 64

export class JsonFault extends Error {
  override readonly name = 'JsonFault'
  readonly kind: 'malformed' | 'duplicate_key'
  readonly at: number
  constructor(kind: 'malformed' | 'duplicate_key', message: string, at: number) {
    super(`${message} at character ${at}`)
    this.kind = kind
    this.at = at
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\n\r]*/y

export function parseJson(text: string): Json {
  const reader = new Reader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#fault(`nested deeper than ${MAX_DEPTH}`)
    this.#space()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  end(): void {
    this.#space()
    if (this.#at !== this.#text.length) throw this.#fault('text after the value')
  }

  #object(depth: number): Json {
    const members = new Map<string, Json>()
    this.#at++
    this.#space()
    if (this.#take('}')) return members
    do {
      this.#space()
      const at = this.#at
      const key = this.#string()
      if (members.has(key)) throw new JsonFault('duplicate_key', 'a key appears twice', at)
      this.#space()
      if (!this.#take(':')) throw this.#fault('expected a colon')
      members.set(key, this.value(depth + 1))
      this.#space()
    } while (this.#take(','))
    if (!this.#take('}')) throw this.#fault('expected a comma or the end of an object')
    return members
  }

  #array(depth: number): Json {
    const items: Json[] = []
    this.#at++
    this.#space()
    if (this.#take(']')) return items
    do {
      items.push(this.value(depth + 1))
      this.#space()
    } while (this.#take(','))
    if (!this.#take(']')) throw this.#fault('expected a comma or the end of a list')
    return items
  }

  #string(): string {
    const text = this.#text
    if (text[this.#at] !== '"') throw this.#fault('expected a string')
    let end = this.#at + 1
    for (;;) {
      const c = text.charCodeAt(end)
      if (c === 0x22) break
      // NaN at the end of the text: no closing quote.
      if (Number.isNaN(c)) throw this.#fault('a string without an end')
      end += c === 0x5c ? 2 : 1
    }
    let value: unknown
    try {
      // Refuses raw control characters and unknown escapes.
      value = JSON.parse(text.slice(this.#at, end + 1))
    } catch {
      throw this.#fault('a string that is not JSON')
    }
    if (typeof value !== 'string' || !value.isWellFormed()) throw this.#fault('a string with a lone surrogate')
    this.#at = end + 1
    return value
  }

  #number(): Json {
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) throw this.#fault('expected a value')
    this.#at += match[0].length
    if (match[1] === undefined && match[2] === undefined) return BigInt(match[0])
    const value = Number(match[0])
    if (!Number.isFinite(value)) throw this.#fault('a number out of range')
    return new Float(value)
  }

  #word(word: string, value: boolean | null): Json {
    if (!this.#text.startsWith(word, this.#at)) throw this.#fault('expected a value')
    this.#at += word.length
    return value
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #space(): void {
    SPACE.lastIndex = this.#at
    SPACE.exec(this.#text)
    this.#at = SPACE.lastIndex
  }

  #fault(message: string): JsonFault {
    return new JsonFault('malformed', message, this.#at)
  }
}
