/**
 * Names of keys and fields. They are digests: whatever characters an owner or an id holds, two of them never meet in
 * one key and none can reach into another's, a key has one length, and the store does not list who uses the gate.
 */
import { hash } from 'node:crypto'

/** `prefix`, then what is kept, then a SHA-256 (base64url). */
export function keyName(prefix: string, kind: string, ...parts: readonly string[]): string {
  return `${prefix}${kind}:${digest(...parts)}`
}

/** As JSON, which keeps the parts apart and writes lone surrogates as escapes, so that all strings stay different. */
export function digest(...parts: readonly string[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url')
}
