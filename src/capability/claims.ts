/** What a capability says. Names follow RFC 7519 where it has one. */
import { isObject } from '../jws/bytes.ts'
import { CapabilityInvalid } from './errors.ts'

/** `typ` of the protected header (RFC 8725 section 3.11): a receipt or any other token is refused by it. */
export const CAPABILITY_TYP = 'signet-capability+jwt'

/** No capability lives longer, in seconds: what is used up has to be remembered so long. */
export const LONGEST_LIFE_S = 3_600

export interface CapabilityClaims {
  readonly iss: string
  /** The accountable owner, `type:id`. */
  readonly sub: string
  /** Who may use it: the `audience` of the tool's registry entry. */
  readonly aud: string
  /** Unique: it is used once. */
  readonly jti: string
  /** Seconds since the epoch: when the call was released. */
  readonly nbf: number
  /** Seconds since the epoch. */
  readonly exp: number
  readonly tool: string
  /** `sha256:<hex>` of the RFC 8785 form of the arguments; of `{}` where the model gave none. */
  readonly args: string
  /** The call's id in the answer; its `sha256:<hex>` where it is longer than 256 characters. */
  readonly call: string
  /** The correlation id of the exchange. */
  readonly exchange: string
  /** The escalation in which a human approved this call. */
  readonly approval?: string
  /** Something was decided and not enforced on the way to this call. */
  readonly shadow?: true
}

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Reads the claims of a token whose signature has been checked. Claims not known here are dropped (RFC 7519 section 4). */
export function readClaims(value: unknown): CapabilityClaims {
  if (!isObject(value)) throw malformed('a JSON object')
  const nbf = seconds(value, 'nbf')
  const exp = seconds(value, 'exp')
  if (exp <= nbf || exp - nbf > LONGEST_LIFE_S) throw malformed(`\`exp\` after \`nbf\`, by at most ${LONGEST_LIFE_S} s`)
  const args = text(value, 'args')
  if (!DIGEST.test(args)) throw malformed('`args` as sha256:<64 lower-case hex digits>')
  const shadow = value['shadow']
  if (shadow !== undefined && shadow !== true) throw malformed('`shadow` to be true or absent')
  return {
    iss: text(value, 'iss'),
    sub: text(value, 'sub'),
    aud: text(value, 'aud'),
    jti: text(value, 'jti'),
    nbf,
    exp,
    tool: text(value, 'tool'),
    args,
    call: text(value, 'call'),
    exchange: text(value, 'exchange'),
    ...(value['approval'] === undefined ? {} : { approval: text(value, 'approval') }),
    ...(shadow === undefined ? {} : { shadow }),
  }
}

function text(from: Readonly<Record<string, unknown>>, name: string): string {
  const value = from[name]
  if (typeof value !== 'string' || value === '') throw malformed(`\`${name}\` to be a non-empty string`)
  return value
}

function seconds(from: Readonly<Record<string, unknown>>, name: string): number {
  const value = from[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw malformed(`\`${name}\` in whole seconds`)
  }
  return value
}

function malformed(expected: string): CapabilityInvalid {
  return new CapabilityInvalid('claims_malformed', `these are not the claims of a capability: expected ${expected}`)
}
