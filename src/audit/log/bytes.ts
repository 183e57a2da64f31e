/** Byte helpers on Web APIs only: what verifies a log runs in browsers and workers unchanged. */
import { owned } from '../../jws/bytes.ts'
import { LogInvalid } from './errors.ts'

export { fromUtf8, owned, toUtf8 } from '../../jws/bytes.ts'

/** RFC 4648 section 4, with padding. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/**
 * `undefined` for anything but the one spelling of those bytes: decoders take white space, missing padding and unused
 * bits, and then one note has many forms.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  let binary: string
  try {
    binary = atob(text)
  } catch {
    return undefined
  }
  if (btoa(binary) !== text) return undefined
  return Uint8Array.from(binary, character => character.charCodeAt(0))
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Decimal as the C2SP formats write it: no sign, no leading zero, at most 2^53-1. */
export function readDecimal(text: string, what: string): number {
  const value = Number(text)
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(value)) {
    throw new LogInvalid('malformed', `expected ${what} in decimal digits without leading zeros, at most 2^53-1`)
  }
  return value
}

export async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', owned(bytes)))
}
