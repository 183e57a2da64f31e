/** Capabilities for tests, right ones and forged ones. */
import { createHmac } from 'node:crypto'
import { SigningKey } from '../../keys/signing.ts'
import { argumentsOfText } from '../arguments.ts'
import type { CapabilityClaims } from '../claims.ts'
import { issueCapability } from '../issue.ts'
import { MemoryReplayStore } from '../replay.ts'

export const ISSUER = 'signet-test'
export const AUDIENCE = 'https://pay.example'
export const TOOL = 'issue_refund'
export const ARGUMENTS = '{"account":"X","amount":50}'
/** Seconds since the epoch. */
export const NOW_S = 1_900_000_000

export const key = SigningKey.generate()
export const KEYS = { keys: [{ ...key.publicJwk, signet_purpose: 'capabilities' }] }

let made = 0

export async function claimsOf(
  argumentsText = ARGUMENTS,
  more: Partial<CapabilityClaims> = {},
): Promise<CapabilityClaims> {
  const read = await argumentsOfText(argumentsText)
  made += 1
  return {
    iss: ISSUER,
    sub: 'human:alice@example.com',
    aud: AUDIENCE,
    jti: `j${made}`,
    nbf: NOW_S,
    exp: NOW_S + 120,
    tool: TOOL,
    args: read?.digest ?? '',
    call: 'call_1',
    exchange: 'e1',
    ...more,
  }
}

export async function tokenFor(argumentsText = ARGUMENTS, more: Partial<CapabilityClaims> = {}): Promise<string> {
  return issueCapability(await claimsOf(argumentsText, more), key)
}

/** Any header over any payload, signed with the gate's own key. */
export async function signed(header: object, payload: unknown, by = key): Promise<string> {
  const input = `${segment(header)}.${segment(payload)}`
  return `${input}.${Buffer.from(await by.sign(Buffer.from(input))).toString('base64url')}`
}

export const HEADER = { alg: 'EdDSA', typ: 'signet-capability+jwt', kid: key.kid }

export function hmacSigned(header: object, payload: unknown, secret: string | Uint8Array): string {
  const input = `${segment(header)}.${segment(payload)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

export function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

export function executor(more: object = {}) {
  return {
    keys: KEYS,
    issuer: ISSUER,
    audience: AUDIENCE,
    replay: new MemoryReplayStore(),
    now: () => NOW_S * 1000,
    ...more,
  }
}
