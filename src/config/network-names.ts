/** Hosts and addresses as configuration writes them. */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** True for `localhost` and loopback addresses, with or without brackets, IPv4-mapped IPv6 included. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true
  const family = isIP(bare)
  if (family === 0) return false
  return LOOPBACK.check(bare, family === 4 ? 'ipv4' : 'ipv6')
}

/** An address or a host name to bind to. */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true
  return (
    text.length <= 253 &&
    /^(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*$/.test(text) &&
    !/^[0-9.]+$/.test(text)
  )
}

/** `address` or `address/bits`. */
export function isCidr(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  if (rest.length > 0) return false
  if (bits !== undefined && !/^[0-9]{1,3}$/.test(bits)) return false
  if (isIPv4(address)) return bits === undefined || Number(bits) <= 32
  if (isIPv6(address)) return bits === undefined || Number(bits) <= 128
  return false
}

/** An origin as browsers send it: scheme, host and port, nothing behind. */
export function isOrigin(text: string): boolean {
  try {
    const url = new URL(text)
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.origin === text
  } catch {
    return false
  }
}
