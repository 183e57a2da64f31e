/**
 * `loopback_trust`: callers on this machine or this tailnet need not say who they are.
 *
 * It names an owner by the socket peer alone and never blocks. Whoever can open a socket from a trusted network IS
 * that owner: behind a reverse proxy on the same host that is everybody, so leave this check out there. It is not part
 * of the default pipeline. An owner that an identity strategy resolved is never replaced.
 */
import { BlockList, isIP } from 'node:net'
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { policyOwner } from '../core/owner.ts'
import { ALLOW, type Verdict } from '../core/verdict.ts'
import { CheckOptions, type Common, type CommonOptions, description } from './options.ts'

export interface LoopbackTrustOptions extends CommonOptions {
  /** 127.0.0.0/8 and ::1. Default true. */
  readonly trustLoopback?: boolean
  /** 100.64.0.0/10, the carrier-grade NAT range that Tailscale uses. Default true. */
  readonly trustTailscale?: boolean
  /** More networks, `10.1.0.0/16` or `fd00::/8`. */
  readonly extraTrustedCidrs?: readonly string[]
}

interface Network {
  readonly kind: 'loopback' | 'tailnet' | 'trusted'
  readonly cidr: string
  readonly list: BlockList
}

const LOOPBACK = ['127.0.0.0/8', '::1/128']
const TAILSCALE = '100.64.0.0/10'

export class LoopbackTrustCheck implements Check {
  readonly name = 'loopback_trust'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #common: Common
  readonly #networks: readonly Network[]
  readonly #options: Readonly<Record<string, unknown>>

  constructor(options: LoopbackTrustOptions = {}) {
    const read = new CheckOptions(this.name, options, ['trustLoopback', 'trustTailscale', 'extraTrustedCidrs'])
    this.#common = read.common(-20)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    const trustLoopback = read.flag('trustLoopback', true)
    const trustTailscale = read.flag('trustTailscale', true)
    const extraTrustedCidrs = read.strings('extraTrustedCidrs')
    const networks: Network[] = []
    if (trustLoopback) for (const cidr of LOOPBACK) networks.push(network('loopback', cidr))
    if (trustTailscale) networks.push(network('tailnet', TAILSCALE))
    for (const [index, cidr] of extraTrustedCidrs.entries()) {
      try {
        networks.push(network('trusted', cidr))
      } catch {
        throw read.wrong(`extraTrustedCidrs[${index}]`, 'a network such as 10.1.0.0/16 or fd00::/8', cidr)
      }
    }
    this.#networks = networks
    this.#options = { trustLoopback, trustTailscale, extraTrustedCidrs }
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, this.#options)
  }

  admit(x: Exchange, ctx: Ctx): Verdict {
    if (x.owner.type !== 'unresolved' || x.peerAddress === undefined) return ALLOW
    const ip = unmapped(x.peerAddress)
    const family = isIP(ip)
    // A scoped address (`fe80::1%eth0`) names an interface, which no CIDR can.
    if (family === 0 || ip.includes('%')) return ALLOW
    const found = this.#networks.find(({ list }) => list.check(ip, family === 4 ? 'ipv4' : 'ipv6'))
    if (found === undefined) return ALLOW
    const isLoopback = found.kind === 'loopback' || ip === '::1' || (family === 4 && ip.startsWith('127.'))
    const id = isLoopback ? 'internal-loopback' : `internal-${found.kind === 'tailnet' ? 'tailnet' : 'trusted'}:${ip}`
    ctx.claimOwner(policyOwner(id, { authenticatedBy: `loopback_trust:${found.cidr}` }))
    return ALLOW
  }
}

/** Throws for anything but `address/prefix`. */
function network(kind: Network['kind'], cidr: string): Network {
  const [, address, digits] = /^([0-9A-Fa-f:.]{2,45})\/(0|[1-9][0-9]{0,2})$/.exec(cidr) ?? []
  if (address === undefined || digits === undefined) throw new TypeError('not a network')
  const plain = unmapped(address)
  const family = isIP(plain)
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8` (RFC 4291 2.5.5.2).
  const prefix = Number(digits) - (plain === address ? 0 : 96)
  if (family === 0 || prefix < 0 || prefix > (family === 4 ? 32 : 128)) throw new TypeError('not a network')
  const list = new BlockList()
  list.addSubnet(plain, prefix, family === 4 ? 'ipv4' : 'ipv6')
  return { kind, cidr, list }
}

/** IPv4-mapped IPv6 is IPv4, in its dotted and in its hexadecimal form. */
function unmapped(address: string): string {
  const [, dotted] = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address) ?? []
  if (dotted !== undefined) return dotted
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address) ?? []
  if (high === undefined || low === undefined) return address
  const h = Number.parseInt(high, 16)
  const l = Number.parseInt(low, 16)
  return `${h >> 8}.${h & 255}.${l >> 8}.${l & 255}`
}
