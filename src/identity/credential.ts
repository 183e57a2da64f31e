/**
 * What every verified strategy shares: finding the one credential in the headers, refusing it without saying a word
 * about it, and making the owner that it proves.
 */
import type { Declared, OwnerClaims } from '../core/exchange.ts'
import {
  agentOwner,
  cleanPrincipalId,
  humanOwner,
  type OwnerOptions,
  parsePrincipal,
  policyOwner,
} from '../core/owner.ts'
import type { Fault } from '../core/wire.ts'
import { declaredText } from './asserted.ts'
import { trimBlanks } from './headers.ts'
import type { Role } from './role.ts'
import type { Identified, IdentityStrategy } from './strategy.ts'

/** Keys of `api-key.ts` begin so. No JWT can: it would not decode to something that begins with a brace. */
export const API_KEY_PREFIX = 'sgk_'

/** In whatever scheme or spelling: sent to us by mistake or not, it must not travel on as somebody else's key. */
export function holdsApiKey(authorization: string): boolean {
  return /^(?:\S+[ \t]+)?sgk_/i.test(authorization)
}

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What callers say about themselves or about their data; none of it may prove anything. */
const SAID_BY_CALLERS =
  /^(?:x-commit-owner|x-agent-id|x-policy-.*|x-classification|x-caller-clearance|x-signet-session)$/

/** HTTP's own, and those that browsers send by themselves: nobody presents anything with them. */
const NOT_PRESENTED =
  /^(?:host|origin|referer|cookie|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|accept.*|content-.*|user-agent|via|forwarded|x-forwarded-(?:for|host|proto))$/

/** A configured header name in lower case; throws when it cannot carry a credential. */
export function credentialHeader(name: string, setting: string): string {
  const lower = name.toLowerCase()
  if (!TOKEN.test(lower)) throw new TypeError(`${setting}: expected a header name, such as authorization`)
  if (SAID_BY_CALLERS.test(lower)) {
    throw new TypeError(`${setting}: ${lower} holds what callers say about themselves; choose another header`)
  }
  if (NOT_PRESENTED.test(lower)) {
    throw new TypeError(`${setting}: ${lower} has a meaning of its own; choose another header`)
  }
  return lower
}

/**
 * `undefined`: absent or blank. A repeated header is refused by the gate before; should it ever arrive here, it is
 * refused again, for another reader could have believed the other one.
 */
export function onlyValue(rawHeaders: readonly string[], name: string): string | undefined | typeof REPEATED {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? ''
    if (given.length !== name.length || given.toLowerCase() !== name) continue
    if (found !== undefined) return REPEATED
    found = trimBlanks(rawHeaders[i + 1] ?? '')
  }
  return found === '' ? undefined : found
}

export const REPEATED = Symbol('a header sent more than once')

/** `authorization` holds `Bearer <token>` (RFC 6750 2.1), any other header the token itself. `undefined`: another scheme. */
export function tokenIn(value: string, header: string): string | undefined {
  if (header !== 'authorization' && header !== 'proxy-authorization') return value
  return /^bearer +(\S+)$/i.exec(value)?.[1]
}

/** The caller learns that there was none; operators find the same in the row. */
export function noCredential(strategy: string): Fault {
  return {
    kind: 'fault',
    code: 'credential_invalid',
    message: 'no credential was presented',
    details: { strategy, problem: 'absent' },
  }
}

/**
 * One message for every reason. `problem` is a word of this code's own and stands in the audit row and, with verbose
 * errors (`--dev`), in the answer.
 */
export function badCredential(strategy: string, problem: string): Fault {
  return {
    kind: 'fault',
    code: 'credential_invalid',
    message: 'the presented credential was not accepted',
    details: { strategy, problem },
  }
}

/** The value of `WWW-Authenticate` on an answer to this fault, if it needs one. RFC 6750 3.1: no error code for no credential. */
export function challengeFor(identity: Pick<IdentityStrategy, 'challenge'>, fault: Fault): string | undefined {
  if (fault.code !== 'credential_invalid' || identity.challenge === undefined) return undefined
  const bad = fault.details?.['problem'] !== 'absent' && identity.challenge.startsWith('Bearer ')
  return bad
    ? identity.challenge.replace(/^Bearer realm="signet"/, 'Bearer realm="signet", error="invalid_token"')
    : identity.challenge
}

export const BEARER_CHALLENGE = 'Bearer realm="signet"'

export type PrincipalType = 'human' | 'agent' | 'policy'

/** What a credential proves. */
export interface Proven {
  readonly type: PrincipalType
  readonly id: string
  readonly clearance: string | undefined
  readonly approvalChain: readonly string[] | undefined
  /** Whom it acts for, or who acts for it: none of them may approve. */
  readonly notApprovers?: readonly string[] | undefined
  /** What argument rules may compare with. */
  readonly claims?: OwnerClaims | undefined
  readonly role?: Role | undefined
}

const MAKE = { human: humanOwner, agent: agentOwner, policy: policyOwner } as const

/** The clearance is the credential's or none; of what the caller says, only the level of its data is taken over. */
export function identified(
  proven: Proven,
  authenticatedBy: string,
  rawHeaders: readonly string[],
  usedHeaders: readonly string[],
): Identified {
  const options: OwnerOptions = {
    authenticatedBy,
    ...(proven.approvalChain === undefined ? {} : { approvalChain: proven.approvalChain }),
    ...(proven.notApprovers === undefined ? {} : { notApprovers: proven.notApprovers }),
    // There even when it says nothing: a credential stands behind this owner.
    claims: proven.claims ?? {},
  }
  const declared: Declared = {
    classification: declaredText(rawHeaders, 'x-classification'),
    clearance: proven.clearance,
    clearanceVerified: true,
  }
  return {
    kind: 'identified',
    owner: MAKE[proven.type](proven.id, options),
    declared,
    usedHeaders,
    ...(proven.role === undefined ? {} : { role: proven.role }),
  }
}

/** A configured owner; throws when it is no principal. */
export function configuredPrincipal(
  text: string,
  setting: string,
): { readonly type: PrincipalType; readonly id: string } {
  const parsed = parsePrincipal(text)
  if (!parsed.ok) throw new TypeError(`${setting}: ${parsed.problem}`)
  return { type: parsed.type, id: parsed.id }
}

/** Configured approvers in their one spelling. */
export function configuredApprovers(
  list: readonly string[] | undefined,
  setting: string,
): readonly string[] | undefined {
  return list?.map((text, index) => {
    const { type, id } = configuredPrincipal(text, `${setting}[${String(index)}]`)
    return `${type}:${id}`
  })
}

/** Names of levels; what they mean is for the classification gate. `undefined`: not usable as one. */
export function levelName(text: string): string | undefined {
  const cleaned = cleanPrincipalId(text)
  return cleaned.ok && cleaned.id.length <= 64 ? cleaned.id : undefined
}

export function configuredLevel(text: string | undefined, setting: string): string | undefined {
  if (text === undefined) return undefined
  const level = levelName(text)
  if (level === undefined) throw new TypeError(`${setting}: expected the name of a level, such as secret`)
  return level
}
