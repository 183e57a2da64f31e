/**
 * Which `Host` and `Origin` a listener answers. A web page can make a browser send requests to 127.0.0.1, directly or
 * by pointing its own name there (DNS rebinding); it cannot choose the `Host` it sends for its name, nor its `Origin`.
 */
import type { Fault } from '../core/wire.ts'
import { canonicalAddress } from './address.ts'
import { headerValue } from './headers.ts'

export interface ListenerNames {
  /** Host names and addresses answered besides `localhost`, `127.0.0.1` and `[::1]`, without port: any port is right. */
  readonly hosts?: readonly string[]
  /** Origins of web pages that may call, exactly as browsers write them: `https://app.example.com`. */
  readonly origins?: readonly string[]
  /** Also pages that this very listener served (the console): `Origin` names the same host and port as `Host`. */
  readonly sameOrigin?: boolean
}

/** `host_not_allowed` or `origin_not_allowed`, or nothing. Duplicate `Host` and `Origin` headers are already refused. */
export type ListenerRule = (rawHeaders: readonly string[]) => Fault | undefined

export function createListenerRule(names: ListenerNames = {}): ListenerRule {
  const hosts = new Set(['localhost', '127.0.0.1', '[::1]'])
  for (const name of names.hosts ?? []) hosts.add(configuredHost(name))
  const origins = new Set((names.origins ?? []).map(configuredOrigin))
  const sameOrigin = names.sameOrigin === true
  return rawHeaders => {
    const host = headerValue(rawHeaders, 'host')
    const bare = host === undefined ? undefined : hostWithoutPort(host)
    if (bare === undefined || !hosts.has(bare)) return HOST_NOT_ALLOWED
    const origin = headerValue(rawHeaders, 'origin')
    if (origin === undefined || origins.has(origin)) return undefined
    if (sameOrigin && host !== undefined && isSameOrigin(origin, host)) return undefined
    return ORIGIN_NOT_ALLOWED
  }
}

const HOST_NOT_ALLOWED: Fault = Object.freeze({
  kind: 'fault',
  code: 'host_not_allowed',
  message: 'this listener does not answer to the Host of the request; add the name to the allowed hosts if it should',
})

const ORIGIN_NOT_ALLOWED: Fault = Object.freeze({
  kind: 'fault',
  code: 'origin_not_allowed',
  message: 'this listener does not answer web pages of that Origin; add it to the allowed origins if it should',
})

/** Lower case, IPv6 in its one spelling, in brackets; `undefined` for anything but `name`, `name:port`, `[v6]`, `[v6]:port`. */
function hostWithoutPort(host: string): string | undefined {
  const match = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?$/.exec(host)
  return match === null ? undefined : canonicalHost(match[1] ?? '')
}

function canonicalHost(name: string): string | undefined {
  if (!name.startsWith('[')) return name.toLowerCase()
  const address = canonicalAddress(name.slice(1, -1))
  if (address === undefined) return undefined
  // `[::ffff:127.0.0.1]` is another way to write 127.0.0.1.
  return address.includes(':') ? `[${address}]` : address
}

function isSameOrigin(origin: string, host: string): boolean {
  const match = /^https?:\/\/([^/?#@]{1,270})$/.exec(origin)
  return match !== null && match[1] === host.toLowerCase()
}

function configuredHost(name: string): string {
  const bracketed = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name
  const host = /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})$/.test(bracketed)
    ? canonicalHost(bracketed)
    : undefined
  if (host === undefined) {
    throw new TypeError(`allowed hosts: '${name}' is not a host name or address without port, such as gate.example.com`)
  }
  return host
}

function configuredOrigin(origin: string): string {
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  if (url === undefined || url.origin !== origin) {
    throw new TypeError(
      `allowed origins: '${origin}' is not an origin as browsers send it, such as https://app.example.com (no path, no slash at the end)`,
    )
  }
  return origin
}
