/** The gate's address as users write it. */

/** `http://host:port/v1`, or another path than `/v1` where the gate stands below one; without a trailing slash. */
export function gateBase(signetUrl: string): string {
  const url = typeof signetUrl === 'string' && URL.canParse(signetUrl) ? new URL(signetUrl) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new TypeError('`signetUrl` must be an absolute http or https address such as http://localhost:8443/v1')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new TypeError('`signetUrl` must have no user, password, query or fragment')
  const path = url.pathname.replace(/\/+$/, '')
  return `${url.origin}${path === '' ? '/v1' : path}`
}

/** The same for SDKs that write `/v1` themselves. */
export function gateRoot(signetUrl: string): string {
  return gateBase(signetUrl).replace(/\/v1$/, '')
}
