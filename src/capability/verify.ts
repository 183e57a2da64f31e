/**
 * Verifying capabilities, with WebCrypto only: the same file runs in Node, Deno, Bun, workers and browsers.
 *
 * Guarantees, when `verifyCapability` resolves: the holder of the key that YOU trust under this `kid` and issuer permitted
 * exactly this tool with exactly these arguments for exactly this audience, now; and of all who present this capability to
 * stores that share what they remember, this caller is the first and only one. The use is remembered before it resolves: a
 * process that dies between that and the effect has used the capability up, and the call has to be proposed again.
 * Does not guarantee anything about a caller who can reach the effect without asking: that is for the executor, which must
 * be a separate process and alone hold the effect's credential.
 */
import { checkKeyTime, verifyCompact } from '../jws/compact.ts'
import type { KeySource } from '../jws/jwks.ts'
import { remoteJwks } from '../jws/jwks.ts'
import { argumentsOfText, argumentsOfValue, type ToolArguments } from './arguments.ts'
import { CAPABILITY_TYP, type CapabilityClaims, readClaims } from './claims.ts'
import { asCapabilityInvalid, CapabilityInvalid } from './errors.ts'
import type { Outcome, ReplayStore } from './replay.ts'

/** What an executor knows of its gate and of itself. */
export interface ExecutorOptions extends CheckOptions {
  /** Where uses are remembered: `MemoryReplayStore`, `RedisReplayStore` or `GateRedeemer`. */
  readonly replay: ReplayStore
  /** Told when the outcome of a call could not be passed on. Default: nobody is. */
  readonly onReportFailed?: (error: unknown) => void
}

export interface CheckOptions {
  /** A pinned JWK Set, or `remoteJwks(url)`. */
  readonly keys?: KeySource
  /** Instead of `keys`: the gate's `/.well-known/jwks.json`. https only (plain http on the loopback). */
  readonly jwksUrl?: string
  /** Must equal `iss` exactly. */
  readonly issuer: string
  /** Must equal `aud` exactly: who this executor is. */
  readonly audience: string
  /** Accept capabilities of calls on the way to which something was not enforced. Default false. */
  readonly allowShadow?: boolean
  /** Milliseconds since the epoch. Default: the wall clock. */
  readonly now?: () => number
}

/** The call that is to run: its arguments as they came (preferred), or as somebody has parsed them. */
export type PresentedCall = {
  readonly tool: string
} & (
  | { readonly argumentsText: string; readonly arguments?: never }
  | { readonly arguments: unknown; readonly argumentsText?: never }
)

export type VerifyCapabilityOptions = ExecutorOptions & PresentedCall

export interface VerifiedCapability {
  readonly claims: CapabilityClaims
  readonly kid: string
  /** What was permitted, read by the rule it was permitted under: run with this and nothing else. */
  readonly arguments: ToolArguments
  /** Passes on how it went, where the store can. Never throws. */
  report(outcome: Outcome): Promise<void>
}

/** Clocks of the gate and of executors may differ by so much, in seconds. */
const SKEW_S = 5

/** Resolves once, for the first use; rejects with `CapabilityInvalid`. */
export async function verifyCapability(token: unknown, options: VerifyCapabilityOptions): Promise<VerifiedCapability> {
  const { claims, kid, compact } = await checkCapability(token, options)
  if (claims.tool !== options.tool)
    throw new CapabilityInvalid('tool_wrong', 'the capability is for another tool than the one asked for')
  const read = await (options.argumentsText === undefined
    ? argumentsOfValue(options.arguments)
    : argumentsOfText(options.argumentsText))
  if (read === undefined)
    throw new CapabilityInvalid('arguments_ambiguous', 'expected the arguments to be an I-JSON object (RFC 7493)')
  if (read.digest !== claims.args)
    throw new CapabilityInvalid('arguments_mismatch', 'these are not the arguments that the capability permits')
  const { replay, onReportFailed } = options
  let first: boolean
  try {
    // Not after `exp` and yet remembered beyond it: another executor's clock may be behind.
    first = await replay.use({
      issuer: claims.iss,
      jti: claims.jti,
      capability: compact,
      untilMs: (claims.exp + SKEW_S) * 1000,
      nowMs: nowOf(options),
    })
  } catch (error) {
    throw new CapabilityInvalid(
      'replay_unavailable',
      'whether the capability was used before cannot be known just now',
      {
        cause: error,
      },
    )
  }
  if (first !== true) throw new CapabilityInvalid('already_used', 'the capability has been used')
  return {
    claims,
    kid,
    arguments: read.value,
    async report(outcome) {
      try {
        await replay.report?.(claims.jti, outcome)
      } catch (error) {
        onReportFailed?.(error)
      }
    },
  }
}

/** All that holds of a capability without its call: signature, issuer, audience, time. Uses nothing up. */
export async function checkCapability(
  token: unknown,
  options: CheckOptions,
): Promise<{ readonly claims: CapabilityClaims; readonly kid: string; readonly compact: string }> {
  if (typeof token !== 'string' || token === '')
    throw new CapabilityInvalid('capability_missing', 'expected a capability; the call carries none')
  const { kid, key, payload } = await verifyCompact(token, keysOf(options), RULES).catch(asCapabilityInvalid)
  const claims = readClaims(payload)
  try {
    checkKeyTime(key, claims.nbf, RULES)
  } catch (error) {
    asCapabilityInvalid(error)
  }
  if (claims.iss !== options.issuer)
    throw new CapabilityInvalid('issuer_wrong', 'the capability was issued by another issuer than the expected one')
  if (claims.aud !== options.audience)
    throw new CapabilityInvalid('audience_wrong', 'the capability is for another executor than this one')
  const nowS = nowOf(options) / 1000
  // Written so that a clock that is no number refuses.
  if (!(nowS >= claims.nbf - SKEW_S))
    throw new CapabilityInvalid(
      'not_yet_valid',
      "the capability is not valid yet; compare the gate's clock with this one",
    )
  if (!(nowS < claims.exp)) throw new CapabilityInvalid('expired', 'the time of the capability is over')
  if (claims.shadow === true && options.allowShadow !== true)
    throw new CapabilityInvalid(
      'shadow_refused',
      'something was decided about this call and not enforced (shadow); pass `allowShadow` to accept it',
    )
  return { claims, kid, compact: token }
}

const RULES = { what: 'capability', typ: CAPABILITY_TYP, purpose: 'capabilities' } as const

function nowOf({ now = Date.now }: CheckOptions): number {
  return now()
}

/** One key set per address, however many calls are verified. Addresses come from configuration: there are few. */
const remote = new Map<string, KeySource>()

function keysOf({ keys, jwksUrl }: CheckOptions): KeySource {
  if (keys !== undefined && jwksUrl !== undefined)
    throw new TypeError('keys and jwksUrl: expected one of them, got both')
  if (keys !== undefined) return keys
  if (jwksUrl === undefined) throw new TypeError('keys: expected a JWK Set, a key source, or `jwksUrl`')
  let source = remote.get(jwksUrl)
  if (source === undefined) {
    try {
      source = remoteJwks(jwksUrl)
    } catch (error) {
      return asCapabilityInvalid(error)
    }
    remote.set(jwksUrl, source)
  }
  return source
}
