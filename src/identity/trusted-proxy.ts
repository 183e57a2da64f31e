/**
 * `trusted_proxy`: a proxy of the operator's has authenticated the caller and names it in a header.
 *
 * Guarantees: the header counts only on connections from the listed addresses, and only once.
 * Does not guarantee: that the proxy puts its own value in place of what a caller sent under that name. It must, and
 * nothing else on a listed address may be able to connect: whoever connects from there is believed.
 */
import { cleanPrincipalId } from '../core/owner.ts'
import { canonicalAddress, networkList } from './address.ts'
import {
  badCredential,
  credentialHeader,
  identified,
  levelName,
  noCredential,
  onlyValue,
  type PrincipalType,
  REPEATED,
} from './credential.ts'
import { decodeHeaderText } from './headers.ts'
import type { VerifiedStrategy } from './strategy.ts'

export interface TrustedProxyOptions {
  /** Addresses and networks from which the proxy connects. */
  readonly proxies: readonly string[]
  /** Where it puts the name: `x-auth-request-email`, `x-forwarded-user`. */
  readonly header: string
  /** Default `human`. */
  readonly ownerType?: PrincipalType
  /** Where it puts the clearance. Default: there is none. */
  readonly clearanceHeader?: string
}

const NAME = 'trusted_proxy'
const NO_HEADERS: readonly string[] = Object.freeze([])

export function trustedProxyIdentity(options: TrustedProxyOptions): VerifiedStrategy {
  const header = credentialHeader(options.header, 'identity.trustedProxy.header')
  const clearanceHeader =
    options.clearanceHeader === undefined
      ? undefined
      : credentialHeader(options.clearanceHeader, 'identity.trustedProxy.clearanceHeader')
  if (clearanceHeader === header)
    throw new TypeError('identity.trustedProxy.clearanceHeader: expected another header than the name')
  if (options.proxies.length === 0)
    throw new TypeError('identity.trustedProxy.proxies: expected at least one address or network')
  const trusted = networkList(options.proxies, 'identity.trustedProxy.proxies')
  const type = options.ownerType ?? 'human'
  const headers = clearanceHeader === undefined ? [header] : [header, clearanceHeader]

  return {
    name: NAME,
    verified: true,
    headers,
    carriers: headers,
    // Sent by anybody, from anywhere, it is a credential: from elsewhere a false one.
    presents: ({ rawHeaders }) => onlyValue(rawHeaders, header) !== undefined,
    identify({ rawHeaders, socketAddress }) {
      const value = onlyValue(rawHeaders, header)
      if (value === undefined) return noCredential(NAME)
      const address = socketAddress === undefined ? undefined : canonicalAddress(socketAddress)
      if (address === undefined || !trusted(address)) return badCredential(NAME, 'not_from_a_trusted_proxy')
      if (value === REPEATED) return badCredential(NAME, 'sent_twice')
      const id = usable(value)
      if (id === undefined) return badCredential(NAME, 'name_unusable')
      let clearance: string | undefined
      if (clearanceHeader !== undefined) {
        const given = onlyValue(rawHeaders, clearanceHeader)
        if (given === REPEATED) return badCredential(NAME, 'sent_twice')
        clearance = given === undefined ? undefined : levelOf(given)
        if (given !== undefined && clearance === undefined) return badCredential(NAME, 'clearance_unusable')
      }
      // A name is no secret: whether it goes on to upstream is for the forward list, which does not hold it by default.
      return identified({ type, id, clearance, approvalChain: undefined }, NAME, rawHeaders, NO_HEADERS)
    },
  }
}

/** A comma is how proxies join a header that came twice: the caller's value and their own. */
function usable(value: string): string | undefined {
  const text = value.includes(',') ? undefined : decodeHeaderText(value)
  const cleaned = text === undefined ? undefined : cleanPrincipalId(text)
  return cleaned?.ok === true ? cleaned.id : undefined
}

function levelOf(value: string): string | undefined {
  const text = value.includes(',') ? undefined : decodeHeaderText(value)
  return text === undefined ? undefined : levelName(text)
}
