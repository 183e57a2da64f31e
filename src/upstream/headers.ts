/**
 * Headers that cross the gate: two allow-lists, one each way. What is on neither list does not cross.
 *
 * Guarantees: hop-by-hop headers, cookies, `X-Signet-*`, identity, classification and forwarding headers never reach
 * upstream; a credential that identified the caller never does, under whatever name it was sent twice; the stored
 * credential goes nowhere but upstream. From upstream only content type, request ids, rate limits and retry hints pass.
 */
import type { Fault } from '../core/wire.ts'
import { UpstreamSettingError } from './base-url.ts'
import { fault } from './fault.ts'
import type { UpstreamHeaders } from './upstream.ts'

/** Who pays for the call upstream. */
export type Credential =
  /** Nobody: upstream needs none, and the caller's own is not passed on. */
  | { readonly kind: 'none' }
  /** The caller, with the credential headers that stand on the forward list. */
  | { readonly kind: 'passthrough' }
  /** The operator. With `passthrough` a caller's own credential wins over it. */
  | { readonly kind: 'stored'; readonly header: string; readonly value: string; readonly passthrough?: boolean }

export interface RequestHeaderOptions {
  readonly credential: Credential
  /** Names passed on when the caller sends them. Default: `DEFAULT_FORWARD_HEADERS`. */
  readonly forward?: readonly string[]
  /** `signet/<version>`. */
  readonly userAgent: string
}

export const DEFAULT_FORWARD_HEADERS: readonly string[] = [
  'authorization',
  'openai-beta',
  'openai-organization',
  'openai-project',
  'x-api-key',
  'anthropic-version',
  'anthropic-beta',
]

/** Passed on only as `Credential` says, even when on the forward list. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'])

/** Made by the gate itself, about one connection, about the caller, or a secret between other parties. */
const NEVER_FORWARDED: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  'content-type',
  'content-encoding',
  'accept',
  'accept-encoding',
  'user-agent',
  'cookie',
  'cookie2',
  'set-cookie',
  'origin',
  'referer',
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-commit-owner',
  'x-agent-id',
  'x-policy-name',
  'x-policy-version',
  'x-classification',
  'x-caller-clearance',
])
const NEVER_FORWARDED_PREFIX = /^(?:x-signet-|x-forwarded-|x-policy-|sec-|proxy-)/

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible ASCII, blank and TAB: what survives every HTTP implementation unchanged. */
const CLEAN = /^[\t\x20-\x7e]*$/

export interface OutgoingFacts {
  /** `undefined` for a request without a body. */
  readonly contentType: string | undefined
  readonly accept: string
  /** Lower-case names of the headers whose credential identified the caller. */
  readonly usedForIdentity?: readonly string[]
}

export interface RequestHeaders {
  /** Flat names and values for `Upstream.forward`, or `header_invalid_charset`. `rawHeaders` as node:http gives them. */
  outgoing(rawHeaders: readonly string[], facts: OutgoingFacts): readonly string[] | Fault
}

export function createRequestHeaders(options: RequestHeaderOptions): RequestHeaders {
  const forward = checkForwardList(options.forward ?? DEFAULT_FORWARD_HEADERS)
  const { credential, userAgent } = options
  if (!CLEAN.test(userAgent)) throw new UpstreamSettingError('userAgent', 'expected printable ASCII')
  const stored = credential.kind === 'stored' ? checkStored(credential.header, credential.value) : undefined
  const passthrough =
    credential.kind === 'passthrough' || (credential.kind === 'stored' && credential.passthrough === true)

  return {
    outgoing(rawHeaders, facts) {
      const out: string[] = ['user-agent', userAgent, 'accept', facts.accept]
      if (facts.contentType !== undefined) out.push('content-type', facts.contentType)
      const used = facts.usedForIdentity ?? []
      const secrets = used.length === 0 ? undefined : secretsOf(rawHeaders, used)
      const dropped = connectionNames(rawHeaders)
      let callerPays = false
      for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
        const name = (rawHeaders[i] ?? '').toLowerCase()
        if (!forward.has(name)) continue
        const value = (rawHeaders[i + 1] ?? '').trim()
        if (!CLEAN.test(value)) return invalidCharset(name)
        if (value === '' || dropped?.has(name) === true || used.includes(name)) continue
        if (secrets?.some(secret => value.includes(secret)) === true) continue
        if (CREDENTIAL_HEADERS.has(name)) {
          if (!passthrough) continue
          callerPays = true
        }
        out.push(name, value)
      }
      if (stored !== undefined && !callerPays) out.push(stored.header, stored.value)
      return out
    },
  }
}

function invalidCharset(name: string): Fault {
  return fault(
    'header_invalid_charset',
    `the header ${name} holds a character outside printable ASCII and TAB; remove it`,
    { header_name: name },
  )
}

function checkForwardList(names: readonly string[]): ReadonlySet<string> {
  const forward = new Set<string>()
  for (const given of names) {
    const name = given.toLowerCase()
    if (!TOKEN.test(name)) {
      throw new UpstreamSettingError('extraForwardHeaders', 'holds an entry that is not a header name (RFC 9110 token)')
    }
    if (NEVER_FORWARDED.has(name) || NEVER_FORWARDED_PREFIX.test(name)) {
      throw new UpstreamSettingError('extraForwardHeaders', `${name} can never be forwarded; remove it`)
    }
    forward.add(name)
  }
  return forward
}

function checkStored(header: string, value: string): { readonly header: string; readonly value: string } {
  const name = header.toLowerCase()
  if (!TOKEN.test(name) || NEVER_FORWARDED.has(name) || NEVER_FORWARDED_PREFIX.test(name)) {
    throw new UpstreamSettingError('upstream credential', 'its header name cannot carry a credential')
  }
  if (value.trim() === '' || !CLEAN.test(value)) {
    throw new UpstreamSettingError('upstream credential', 'is empty or holds a character outside printable ASCII')
  }
  return { header: name, value: value.trim() }
}

/** The secret part of each identifying header (`Bearer x` → `x`), so that the same secret under another name stays here. */
function secretsOf(rawHeaders: readonly string[], used: readonly string[]): readonly string[] {
  const secrets: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (!used.includes((rawHeaders[i] ?? '').toLowerCase())) continue
    const value = (rawHeaders[i + 1] ?? '').trim()
    const secret = value.slice(value.lastIndexOf(' ') + 1)
    if (secret !== '') secrets.push(secret)
  }
  return secrets
}

/** Headers that the caller's `Connection` names belong to its connection alone (RFC 9110 7.6.1). */
function connectionNames(rawHeaders: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    names = addConnectionNames(rawHeaders[i + 1] ?? '', names)
  }
  return names
}

function addConnectionNames(value: string, names: Set<string> | undefined): Set<string> | undefined {
  if (value === 'keep-alive' || value === 'close') return names
  const found = names ?? new Set<string>()
  for (const part of value.split(',')) found.add(part.trim().toLowerCase())
  return found
}

const RELAYED: ReadonlySet<string> = new Set([
  'content-type',
  'x-request-id',
  'request-id',
  'openai-processing-ms',
  'openai-version',
  'openai-organization',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
])
const RELAYED_PREFIX = /^(?:x-|anthropic-)?ratelimit-/
/** More is not a provider's rate limits but somebody's payload. */
const RELAYED_MAX = 64
const RELAYED_VALUE_MAX = 512

/** Flat names and values of what the caller may see of upstream's head. A value that is not clean is left out. */
export function relayHeaders(headers: UpstreamHeaders): string[] {
  const connection = headers['connection']
  const dropped = typeof connection === 'string' ? addConnectionNames(connection, undefined) : undefined
  const out: string[] = []
  for (const name of Object.keys(headers)) {
    if (!RELAYED.has(name) && !(RELAYED_PREFIX.test(name) && TOKEN.test(name))) continue
    const value = headers[name]
    // A list would be two answers to one question.
    if (typeof value !== 'string' || value === '' || value.length > RELAYED_VALUE_MAX || !CLEAN.test(value)) continue
    if (dropped?.has(name) === true) continue
    if (out.length >= 2 * RELAYED_MAX) break
    out.push(name, value)
  }
  return out
}
