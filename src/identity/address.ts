/** Network addresses as text: one spelling per address, and lists of networks. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/**
 * IPv4 as dotted quad, also when it came mapped into IPv6 (`::ffff:127.0.0.1`, `::ffff:7f00:1`, as dual-stack listeners
 * report it); IPv6 compressed, in lower case, without zone. `undefined` for anything else.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  const percent = text.indexOf('%')
  const bare = percent < 0 ? text : text.slice(0, percent)
  if (!isIPv6(bare)) return undefined
  // The URL parser writes IPv6 in its one canonical form (RFC 5952).
  const canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (mapped === null) return canonical
  const high = Number.parseInt(mapped[1] ?? '', 16)
  const low = Number.parseInt(mapped[2] ?? '', 16)
  return `${String(high >> 8)}.${String(high & 0xff)}.${String(low >> 8)}.${String(low & 0xff)}`
}

/** `canonical` must be a `canonicalAddress`. */
export function isLoopback(canonical: string): boolean {
  return canonical === '::1' || canonical.startsWith('127.')
}

/** Is an address (canonical) in one of the networks? Throws on a network that cannot be read; the message names it. */
export function networkList(networks: readonly string[], setting: string): (canonical: string) => boolean {
  const list = new BlockList()
  for (const network of networks) addNetwork(list, network, setting)
  return canonical => list.check(canonical, isIPv4(canonical) ? 'ipv4' : 'ipv6')
}

function addNetwork(list: BlockList, network: string, setting: string): void {
  const slash = network.indexOf('/')
  const given = slash < 0 ? network : network.slice(0, slash)
  const address = canonicalAddress(given)
  const family = address !== undefined && isIPv4(address) ? 'ipv4' : 'ipv6'
  const bits = family === 'ipv4' ? 32 : 128
  const prefixText = slash < 0 ? String(bits) : network.slice(slash + 1)
  const prefix = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1
  if (address === undefined || prefix < 0 || prefix > bits || (family === 'ipv4' && !isIPv4(given))) {
    throw new TypeError(`${setting}: '${network}' is not an address or network; expected one such as 10.0.0.0/8 or ::1`)
  }
  list.addSubnet(address, prefix, family)
}
