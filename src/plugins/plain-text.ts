/**
 * Text that a plugin (or its package.json) wrote, made safe to log, print and store: bounded before anything else looks
 * at it, and with every character that could steer a terminal or hide text written out.
 */

import { types } from 'node:util'

/** Controls, line and paragraph separators, format characters (bidi, zero-width, BOM, tags), lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

export const MAX_TEXT = 1024
export const MAX_NAME = 256

/** Anything but a string is named by its type only: its `toString` is code. */
export function plainText(value: unknown, max = MAX_TEXT): string {
  if (typeof value !== 'string') return `(${value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value})`
  const cut = value.length > max
  const shown = (cut ? value.slice(0, max) : value).replace(UNSAFE, escapeOne)
  return shown.length > max || cut ? `${shown.slice(0, max - 1)}…` : shown
}

function escapeOne(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`
}

/** What was thrown, without running a line of the thrower's code: own data properties only, no getter, no `toString`. */
export function describeThrown(thrown: unknown): string {
  if (typeof thrown === 'string') return plainText(thrown)
  if ((typeof thrown !== 'object' || thrown === null) && typeof thrown !== 'function') return plainText(thrown)
  // Even asking a Proxy for a descriptor runs its trap.
  if (types.isProxy(thrown)) return 'a Proxy'
  const message: unknown = Object.getOwnPropertyDescriptor(thrown, 'message')?.value
  return typeof message === 'string' ? plainText(message) : 'an object without a message'
}
