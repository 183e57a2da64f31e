/**
 * One pass over a stored line's bytes that recognises a canonical row: the twelve fields in order, keys strictly
 * rising, strings and numbers written the one canonical way. UTF-8 order is code-point order, so keys are compared as
 * bytes.
 *
 * Guarantees: `scanLine` returns true only for a line that equals the canonical form of the row it parses to (the
 * caller has checked UTF-8). It may return false for a canonical line (a key that needs escapes, deep nesting):
 * `stored.ts` then decides, exactly and slowly.
 */

import { pythonFloat } from './canonical.ts'
import { MAX_DEPTH } from './json.ts'

/** Offsets into the buffer that was scanned; reused from line to line. */
export interface LineFacts {
  /** The `"hmac":"…",` member to leave out, and its 64 digits. */
  cut: number
  resume: number
  hmac: number
  /** Zero length for the first row of a log. */
  prevHmac: number
  prevHmacEnd: number
  entryId: number
  entryIdEnd: number
  tsNs: number
  tsNsEnd: number
  /** -1 when metadata has no string `_signing_key_id`. */
  keyId: number
  keyIdEnd: number
  /** Metadata has `_salt`: this gate wrote the row, not the Python implementation. */
  salted: boolean
}

export function newFacts(): LineFacts {
  return {
    cut: 0,
    resume: 0,
    hmac: 0,
    prevHmac: 0,
    prevHmacEnd: 0,
    entryId: 0,
    entryIdEnd: 0,
    tsNs: 0,
    tsNsEnd: 0,
    keyId: -1,
    keyIdEnd: -1,
    salted: false,
  }
}

const ascii = (text: string) => Buffer.from(text, 'latin1')
const CHAIN = ascii('{"approval_chain":[')
const CHECK = ascii('],"check_name":')
const DECISION = ascii(',"decision":')
const ENTRY = ascii(',"entry_id":')
const HMAC = ascii(',"hmac":"')
const METADATA = ascii('","metadata":{')
const OWNER_ID = ascii(',"owner_id":')
const OWNER_TYPE = ascii(',"owner_type":')
const PREV = ascii(',"prev_hmac":"')
const REASON = ascii('","reason":')
const FINGERPRINT = ascii(',"request_fingerprint":')
const TS = ascii(',"ts_ns":')
const DECISION_VALUES = ['"allow"', '"block"', '"redact"', '"escalate"'].map(ascii)
const OWNER_VALUES = ['"human"', '"agent"', '"policy"', '"unresolved"'].map(ascii)
const KEY_ID = ascii('_signing_key_id')
const SALT = ascii('_salt')
const WORDS = ['true', 'false', 'null'].map(ascii)

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** 1 for a byte that ends the fast run through a string. */
const STOPS = new Uint8Array(256)
STOPS.fill(1, 0, 0x20)
STOPS[QUOTE] = 1
STOPS[BACKSLASH] = 1
const HEX_DIGIT = new Uint8Array(256)
for (const c of '0123456789abcdef') HEX_DIGIT[c.charCodeAt(0)] = 1

export function scanLine(b: Buffer, from: number, to: number, facts: LineFacts): boolean {
  let at = literal(b, from, CHAIN)
  if (at < 0) return false
  if (b[at] !== 0x5d) {
    for (;;) {
      at = string(b, at, to)
      if (at < 0) return false
      if (b[at] !== 0x2c) break
      at++
    }
  }
  if ((at = literal(b, at, CHECK)) < 0 || (at = string(b, at, to)) < 0) return false
  if ((at = literal(b, at, DECISION)) < 0 || (at = oneOf(b, at, DECISION_VALUES)) < 0) return false
  if ((at = literal(b, at, ENTRY)) < 0) return false
  facts.entryId = at
  if ((at = string(b, at, to)) < 0) return false
  facts.entryIdEnd = at
  // The member that the HMAC leaves out runs from here to the quote that opens `metadata`.
  facts.cut = at + 1
  if ((at = literal(b, at, HMAC)) < 0) return false
  facts.hmac = at
  if ((at = hex64(b, at)) < 0) return false
  facts.resume = at + 2
  if ((at = literal(b, at, METADATA)) < 0) return false
  facts.keyId = -1
  facts.salted = false
  if ((at = members(b, at, to, 1, facts)) < 0) return false
  if ((at = literal(b, at, OWNER_ID)) < 0 || (at = string(b, at, to)) < 0) return false
  if ((at = literal(b, at, OWNER_TYPE)) < 0 || (at = oneOf(b, at, OWNER_VALUES)) < 0) return false
  if ((at = literal(b, at, PREV)) < 0) return false
  facts.prevHmac = at
  if (b[at] !== QUOTE && (at = hex64(b, at)) < 0) return false
  facts.prevHmacEnd = at
  if ((at = literal(b, at, REASON)) < 0 || (at = string(b, at, to)) < 0) return false
  if ((at = literal(b, at, FINGERPRINT)) < 0 || (at = string(b, at, to)) < 0) return false
  if ((at = literal(b, at, TS)) < 0) return false
  facts.tsNs = at
  const first = b[at] ?? 0
  while (isDigit(b[at] ?? 0)) at++
  facts.tsNsEnd = at
  const digits = at - facts.tsNs
  // 20 digits is 10^19 or more: the exact reader decides.
  if (digits < 1 || digits > 19 || (first === 0x30 && digits > 1)) return false
  return at + 1 === to && b[at] === 0x7d
}

function literal(b: Buffer, at: number, expected: Uint8Array): number {
  for (let i = 0; i < expected.length; i++) if (b[at + i] !== expected[i]) return -1
  return at + expected.length
}

function oneOf(b: Buffer, at: number, values: readonly Uint8Array[]): number {
  for (const value of values) {
    const end = literal(b, at, value)
    if (end >= 0) return end
  }
  return -1
}

function hex64(b: Buffer, at: number): number {
  for (let i = 0; i < 64; i++) if (HEX_DIGIT[b[at + i] ?? 0] !== 1) return -1
  return at + 64
}

/** A string token in canonical escapes; returns the offset after its closing quote. */
function string(b: Buffer, from: number, to: number): number {
  if (b[from] !== QUOTE) return -1
  let at = from + 1
  while (at < to) {
    const c = b[at] ?? 0
    if (STOPS[c] === 0) {
      at++
      continue
    }
    if (c === QUOTE) return at + 1
    if (c !== BACKSLASH) return -1
    const length = escapeLength(b, at)
    if (length === 0) return -1
    at += length
  }
  return -1
}

/** 2 or 6 for an escape that the canonical form uses, else 0. */
function escapeLength(b: Buffer, at: number): number {
  switch (b[at + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return 2
    case 0x75: {
      // \u0000 to \u001f, except where there is a short form.
      if (b[at + 2] !== 0x30 || b[at + 3] !== 0x30) return 0
      const high = b[at + 4] ?? 0
      const low = b[at + 5] ?? 0
      if ((high !== 0x30 && high !== 0x31) || HEX_DIGIT[low] !== 1) return 0
      const short = high === 0x30 && (low === 0x38 || low === 0x39 || low === 0x61 || low === 0x63 || low === 0x64)
      return short ? 0 : 6
    }
    default:
      return 0
  }
}

/** Object members after the opening brace; returns the offset after the closing one. */
function members(b: Buffer, from: number, to: number, depth: number, facts: LineFacts | undefined): number {
  let at = from
  if (b[at] === 0x7d) return at + 1
  let lastKey = -1
  let lastKeyEnd = -1
  for (;;) {
    const key = at + 1
    at = string(b, at, to)
    if (at < 0) return -1
    const keyEnd = at - 1
    for (let i = key; i < keyEnd; i++) if (b[i] === BACKSLASH) return -1
    if (lastKey >= 0 && !rises(b, lastKey, lastKeyEnd, key, keyEnd)) return -1
    lastKey = key
    lastKeyEnd = keyEnd
    if (b[at] !== 0x3a) return -1
    at++
    const start = at
    at = value(b, at, to, depth)
    if (at < 0) return -1
    if (facts !== undefined) {
      if (same(b, key, keyEnd, KEY_ID)) {
        if (b[start] === QUOTE) {
          facts.keyId = start + 1
          facts.keyIdEnd = at - 1
        }
      } else if (same(b, key, keyEnd, SALT)) facts.salted = true
    }
    if (b[at] === 0x7d) return at + 1
    if (b[at] !== 0x2c) return -1
    at++
  }
}

function value(b: Buffer, at: number, to: number, depth: number): number {
  if (depth >= MAX_DEPTH) return -1
  switch (b[at]) {
    case QUOTE:
      return string(b, at, to)
    case 0x7b:
      return members(b, at + 1, to, depth + 1, undefined)
    case 0x5b: {
      let i = at + 1
      if (b[i] === 0x5d) return i + 1
      for (;;) {
        i = value(b, i, to, depth + 1)
        if (i < 0) return -1
        if (b[i] === 0x5d) return i + 1
        if (b[i] !== 0x2c) return -1
        i++
      }
    }
    case 0x74:
    case 0x66:
    case 0x6e:
      return oneOf(b, at, WORDS)
    default:
      return number(b, at)
  }
}

function number(b: Buffer, from: number): number {
  let at = from
  if (b[at] === 0x2d) at++
  const first = at
  while (isDigit(b[at] ?? 0)) at++
  const digits = at - first
  if (digits === 0 || (b[first] === 0x30 && digits > 1)) return -1
  const c = b[at]
  if (c !== 0x2e && c !== 0x65) return digits === 1 && b[first] === 0x30 && first !== from ? -1 : at
  while (isDigit(b[at] ?? 0) || b[at] === 0x2e || b[at] === 0x65 || b[at] === 0x2b || b[at] === 0x2d) at++
  const lexeme = b.toString('latin1', from, at)
  const x = Number(lexeme)
  return Number.isFinite(x) && pythonFloat(x) === lexeme ? at : -1
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39
}

function rises(b: Buffer, a: number, aEnd: number, c: number, cEnd: number): boolean {
  const length = Math.min(aEnd - a, cEnd - c)
  for (let i = 0; i < length; i++) {
    const x = b[a + i] ?? 0
    const y = b[c + i] ?? 0
    if (x !== y) return x < y
  }
  return aEnd - a < cEnd - c
}

function same(b: Buffer, from: number, to: number, expected: Uint8Array): boolean {
  return to - from === expected.length && literal(b, from, expected) >= 0
}
