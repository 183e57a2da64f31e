/**
 * Whose address is it? The socket's, unless a trusted proxy says otherwise.
 *
 * Guarantees: `X-Forwarded-For` counts only from a proxy whose address the operator listed, and only the part that
 * listed proxies vouch for. When a request has visibly come through somebody who is not listed, or a listed proxy does
 * not say for whom, a loopback address is not believed: the caller is unknown, so that nobody is trusted for having
 * come through a proxy on the same host.
 * Does not guarantee: anything about a proxy on this host that is not listed and adds no header.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { canonicalAddress, isLoopback, networkList } from './address.ts'

export interface PeerOptions {
  /** Addresses and networks of proxies in front of the gate. Default: none. */
  readonly trustedProxies?: readonly string[]
}

/** The caller's address, canonical; `undefined` when unknown (unix socket, unnamed behind a proxy). */
export type PeerResolver = (socketAddress: string | undefined, rawHeaders: readonly string[]) => string | undefined

export function createPeerResolver(options: PeerOptions = {}): PeerResolver {
  const proxies = options.trustedProxies ?? []
  const trusted = proxies.length === 0 ? undefined : networkList(proxies, 'trustedProxies')
  return (socketAddress, rawHeaders) => {
    const socket = socketAddress === undefined ? undefined : canonicalAddress(socketAddress)
    if (socket === undefined) return undefined
    if (trusted?.(socket) === true) return forwardedFor(rawHeaders, trusted)
    return isLoopback(socket) && cameThroughProxy(rawHeaders) ? undefined : socket
  }
}

/** From the right: each listed proxy vouches for the entry before it; the first entry that is no listed proxy is the caller. */
function forwardedFor(rawHeaders: readonly string[], trusted: (canonical: string) => boolean): string | undefined {
  let caller: string | undefined
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if ((rawHeaders[i] ?? '').toLowerCase() !== 'x-forwarded-for') continue
    const entries = (rawHeaders[i + 1] ?? '').split(',')
    for (let e = entries.length - 1; e >= 0; e--) {
      const address = entryAddress((entries[e] ?? '').trim())
      // `unknown`, an obfuscated name or rubbish: whoever is behind it is not known, and nothing left of it counts.
      if (address === undefined) return undefined
      if (!trusted(address)) return address
      caller = address
    }
  }
  return caller
}

/** `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:1234`. */
function entryAddress(entry: string): string | undefined {
  if (isIPv4(entry) || isIPv6(entry)) return canonicalAddress(entry)
  const bracketed = /^\[([0-9A-Fa-f:.]{2,45})\](?::\d{1,5})?$/.exec(entry)
  if (bracketed !== null) return canonicalAddress(bracketed[1] ?? '')
  const ported = /^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$/.exec(entry)
  return ported === null ? undefined : canonicalAddress(ported[1] ?? '')
}

const PROXY_HEADERS: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'forwarded',
  'via',
])

function cameThroughProxy(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (PROXY_HEADERS.has((rawHeaders[i] ?? '').toLowerCase())) return true
  }
  return false
}
