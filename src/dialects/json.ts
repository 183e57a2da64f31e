/**
 * A strict JSON reader (RFC 8259) that remembers where everything stood.
 *
 * Guarantees: one pass, linear in the input, nesting bounded; what it accepts has exactly one reading (no duplicate
 * keys, no lone surrogates, no non-finite numbers, no BOM, nothing after the value); every node has its span in the
 * decoded text, so a writer can replace one value and leave every other byte (number spelling, order, white space) alone.
 * Does not: repair, guess, or build plain objects (see `toValue`); hostile keys such as `__proto__` are only strings here.
 */
import type { Code } from '../core/verdict.ts'
import type { Fault } from '../core/wire.ts'

export type JsonNode = JsonObject | JsonArray | JsonString | JsonNumber | JsonLiteral

interface Span {
  /** UTF-16 offsets in the document text, quotes and brackets included. */
  readonly start: number
  readonly end: number
}

export interface JsonObject extends Span {
  readonly kind: 'object'
  /** Parallel arrays, in document order: decoded key, offset of the key's opening quote, value. */
  readonly keys: readonly string[]
  readonly keyStarts: readonly number[]
  readonly values: readonly JsonNode[]
}

export interface JsonArray extends Span {
  readonly kind: 'array'
  readonly items: readonly JsonNode[]
}

export interface JsonString extends Span {
  readonly kind: 'string'
  readonly value: string
}

export interface JsonNumber extends Span {
  readonly kind: 'number'
  readonly value: number
  /** As written: `1.0`, `12345678901234567890`. Never serialised again from `value`. */
  readonly raw: string
}

export interface JsonLiteral extends Span {
  readonly kind: 'true' | 'false' | 'null'
}

export interface JsonDocument {
  readonly kind: 'document'
  readonly text: string
  readonly root: JsonNode
}

/** Containers inside containers; exactly this many passes. */
export const MAX_DEPTH = 64

/** Values in one document. A node costs some hundred bytes, so a body of nothing but `1,1,1,…` grows fiftyfold. */
export const MAX_VALUES = 3_000_000

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a request or response body. `parse` may be a stricter or leaner reader of the same text. */
export function readJson(bytes: Uint8Array, parse = parseJson): JsonDocument | Fault {
  if (bytes.length === 0) return fault('empty_body', 'the body is empty; a JSON object was expected')
  // RFC 8259 section 8.1: UTF-8, no byte order mark. A NUL among the first two bytes is UTF-16 or UTF-32.
  if (bytes[0] === 0 || bytes[1] === 0) return fault('invalid_encoding', 'the body is not UTF-8')
  const text = decodeUtf8(bytes)
  if (text === undefined) return fault('invalid_encoding', 'the body is not UTF-8')
  if (text.charCodeAt(0) === 0xfeff) return fault('invalid_encoding', 'the body begins with a byte order mark')
  return parse(text)
}

/** Strict UTF-8; a leading byte order mark is kept as U+FEFF. `undefined` when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

export function parseJson(text: string): JsonDocument | Fault {
  try {
    return { kind: 'document', text, root: new Reader(text).document() }
  } catch (error) {
    if (error instanceof Unreadable) return fault(error.code, error.message)
    throw error
  }
}

export function member(node: JsonNode | undefined, key: string): JsonNode | undefined {
  if (node === undefined || node.kind !== 'object') return undefined
  const at = node.keys.indexOf(key)
  return at < 0 ? undefined : node.values[at]
}

/** Plain JavaScript values; objects have no prototype, so `__proto__` is a key like any other. */
export function toValue(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object': {
      const value: Record<string, unknown> = Object.create(null)
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const child = node.values[i]
        if (key !== undefined && child !== undefined) value[key] = toValue(child)
      }
      return value
    }
    case 'array':
      return node.items.map(toValue)
    case 'string':
    case 'number':
      return node.value
    case 'true':
      return true
    case 'false':
      return false
    case 'null':
      return null
  }
}

export function isFault(x: { readonly kind: string }): x is Fault {
  return x.kind === 'fault'
}

export function fault(code: Code, message: string): Fault {
  return { kind: 'fault', code, message }
}

class Unreadable extends Error {
  override readonly name = 'Unreadable'
  readonly code: Code
  constructor(code: Code, message: string) {
    super(message)
    this.code = code
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** Below this many keys a duplicate is found by comparing; above, by a set. */
const FEW_KEYS = 12

const LONGEST_COMMON = 20
const COMMON_KEYS: (string | undefined)[] = new Array(512)
for (const key of `id object created model choices index delta message content role finish_reason logprobs usage refusal
  system_fingerprint service_tier obfuscation tool_calls function name arguments type messages stream
  prompt_tokens completion_tokens total_tokens text url description parameters properties required`.split(/\s+/)) {
  COMMON_KEYS[keySlot(key.length, key.charCodeAt(0), key.charCodeAt(key.length - 1))] ??= key
}

function keySlot(length: number, first: number, last: number): number {
  return (length * 37 + first * 5 + last * 11) & 511
}

function includes(keys: readonly string[], key: string): boolean {
  for (let i = 0; i < keys.length; i++) {
    const other = keys[i]
    if (other !== undefined && other.length === key.length && other === key) return true
  }
  return false
}

class Reader {
  readonly #text: string
  #at = 0
  #values = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): JsonNode {
    this.#space()
    const root = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) this.#fail('json_decode_error', 'unexpected text after the JSON value')
    return root
  }

  #value(depth: number): JsonNode {
    if (++this.#values > MAX_VALUES) this.#fail('json_decode_error', `more than ${MAX_VALUES} values`)
    const c = this.#text.charCodeAt(this.#at)
    if (c === QUOTE) {
      const start = this.#at
      const value = this.#string()
      return { kind: 'string', start, end: this.#at, value }
    }
    if (c === 0x7b) return this.#object(depth + 1)
    if (c === 0x5b) return this.#array(depth + 1)
    if (c === 0x2d || (c >= 0x30 && c <= 0x39)) return this.#number()
    if (c === 0x6e) return this.#literal('null')
    if (c === 0x74) return this.#literal('true')
    if (c === 0x66) return this.#literal('false')
    if (this.#text.startsWith('NaN', this.#at) || this.#text.startsWith('Infinity', this.#at)) this.#nonFinite()
    if (this.#at >= this.#text.length) this.#fail('json_decode_error', 'the JSON text ends too early')
    this.#fail('json_decode_error', 'expected a JSON value')
  }

  #object(depth: number): JsonObject {
    if (depth > MAX_DEPTH) this.#tooDeep()
    const start = this.#at++
    const keys: string[] = []
    const keyStarts: number[] = []
    const values: JsonNode[] = []
    let seen: Set<string> | undefined
    this.#space()
    if (this.#text.charCodeAt(this.#at) === 0x7d) {
      return { kind: 'object', start, end: ++this.#at, keys, keyStarts, values }
    }
    const text = this.#text
    for (;;) {
      if (text.charCodeAt(this.#at) !== QUOTE) this.#fail('json_decode_error', 'expected an object key in quotes')
      keyStarts.push(this.#at)
      const key = this.#key()
      if (seen !== undefined ? seen.has(key) : includes(keys, key)) {
        this.#fail('json_duplicate_key', 'the same key appears twice in one object')
      }
      keys.push(key)
      if (seen !== undefined) seen.add(key)
      else if (keys.length > FEW_KEYS) seen = new Set(keys)
      if (text.charCodeAt(this.#at) <= 0x20) this.#space()
      if (text.charCodeAt(this.#at) !== 0x3a) this.#fail('json_decode_error', 'expected a colon after an object key')
      this.#at++
      if (text.charCodeAt(this.#at) <= 0x20) this.#space()
      values.push(this.#value(depth))
      if (text.charCodeAt(this.#at) <= 0x20) this.#space()
      const c = text.charCodeAt(this.#at)
      if (c === 0x7d) return { kind: 'object', start, end: ++this.#at, keys, keyStarts, values }
      if (c !== 0x2c) this.#fail('json_decode_error', 'expected a comma or the end of the object')
      this.#at++
      if (text.charCodeAt(this.#at) <= 0x20) this.#space()
    }
  }

  #array(depth: number): JsonArray {
    if (depth > MAX_DEPTH) this.#tooDeep()
    const start = this.#at++
    const items: JsonNode[] = []
    this.#space()
    if (this.#text.charCodeAt(this.#at) === 0x5d) return { kind: 'array', start, end: ++this.#at, items }
    for (;;) {
      items.push(this.#value(depth))
      this.#space()
      const c = this.#text.charCodeAt(this.#at)
      if (c === 0x5d) return { kind: 'array', start, end: ++this.#at, items }
      if (c !== 0x2c) this.#fail('json_decode_error', 'expected a comma or the end of the array')
      this.#at++
      this.#space()
    }
  }

  /** A key the surfaces use all the time is not cut out again. */
  #key(): string {
    const from = this.#at + 1
    const end = this.#text.indexOf('"', from)
    const length = end - from
    if (length > 0 && length <= LONGEST_COMMON) {
      const common = COMMON_KEYS[keySlot(length, this.#text.charCodeAt(from), this.#text.charCodeAt(end - 1))]
      if (common !== undefined && common.length === length && this.#text.startsWith(common, from)) {
        this.#at = end + 1
        return common
      }
    }
    return this.#string()
  }

  /** From the opening quote; leaves `#at` behind the closing one. Plain strings are slices. */
  #string(): string {
    const text = this.#text
    const start = this.#at
    let at = start + 1
    let escaped = false
    for (;;) {
      const c = text.charCodeAt(at)
      if (c === QUOTE) break
      if (c === BACKSLASH) {
        escaped = true
        at += 2
      } else if (c >= 0x20) {
        at++
      } else {
        // Past the end `c` is NaN, which no comparison accepts.
        this.#at = Math.min(at, text.length)
        this.#fail('json_decode_error', at >= text.length ? 'a string does not end' : 'a control character in a string')
      }
    }
    this.#at = at + 1
    if (!escaped) return text.slice(start + 1, at)
    let value: unknown
    try {
      value = JSON.parse(text.slice(start, at + 1))
    } catch {
      this.#fail('json_decode_error', 'a malformed escape in a string')
    }
    if (typeof value !== 'string') this.#fail('json_decode_error', 'a malformed string')
    // Strict UTF-8 cannot carry a surrogate, so only an escape can.
    if (!value.isWellFormed()) this.#fail('json_lone_surrogate', 'a string holds half of a surrogate pair')
    return value
  }

  /** RFC 8259 section 6. */
  #number(): JsonNumber {
    const text = this.#text
    const start = this.#at
    let at = start
    let c = text.charCodeAt(at)
    if (c === 0x2d) {
      c = text.charCodeAt(++at)
      if (text.startsWith('Infinity', at) || text.startsWith('NaN', at)) this.#nonFinite()
    }
    if (c === 0x30) c = text.charCodeAt(++at)
    else if (c >= 0x31 && c <= 0x39)
      do c = text.charCodeAt(++at)
      while (c >= 0x30 && c <= 0x39)
    else this.#fail('json_decode_error', 'a malformed number')
    if (c === 0x2e) {
      c = text.charCodeAt(++at)
      if (!(c >= 0x30 && c <= 0x39)) this.#fail('json_decode_error', 'a malformed number')
      do c = text.charCodeAt(++at)
      while (c >= 0x30 && c <= 0x39)
    }
    if (c === 0x65 || c === 0x45) {
      c = text.charCodeAt(++at)
      if (c === 0x2b || c === 0x2d) c = text.charCodeAt(++at)
      if (!(c >= 0x30 && c <= 0x39)) this.#fail('json_decode_error', 'a malformed number')
      do c = text.charCodeAt(++at)
      while (c >= 0x30 && c <= 0x39)
    }
    const raw = text.slice(start, at)
    // One digit is most numbers; the rest is worth the conversion.
    const value = raw.length === 1 ? raw.charCodeAt(0) - 0x30 : Number(raw)
    if (!Number.isFinite(value)) this.#nonFinite()
    this.#at = at
    return { kind: 'number', start, end: at, value, raw }
  }

  #literal(kind: 'true' | 'false' | 'null'): JsonLiteral {
    const start = this.#at
    if (!this.#text.startsWith(kind, start)) this.#fail('json_decode_error', 'expected a JSON value')
    this.#at = start + kind.length
    return { kind, start, end: this.#at }
  }

  #space(): void {
    const text = this.#text
    let at = this.#at
    for (;;) {
      const c = text.charCodeAt(at)
      // Past the end `c` is NaN, which is no space.
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break
      at++
    }
    this.#at = at
  }

  #tooDeep(): never {
    this.#fail('json_too_deeply_nested', `more than ${MAX_DEPTH} levels of nesting`)
  }

  #nonFinite(): never {
    this.#fail('non_finite_float', 'a number is NaN, infinite or too large for a double')
  }

  /** Says where, never what: the text may be somebody's secret. */
  #fail(code: Code, message: string): never {
    throw new Unreadable(code, `${message} (at character ${this.#at})`)
  }
}
