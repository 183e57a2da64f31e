/** The upstream base URL: what is accepted, and the label under which it may be shown. */

/** A setting that cannot be used. The message is one line and never holds a secret. */
export class UpstreamSettingError extends Error {
  override readonly name = 'UpstreamSettingError'
  readonly setting: string

  constructor(setting: string, problem: string) {
    super(`${setting}: ${problem}`)
    this.setting = setting
  }
}

export interface BaseUrl {
  /** `https://api.openai.com`, `http://[::1]:11434`: no path, no userinfo. */
  readonly origin: string
  /** Path below which every request goes, without a trailing slash: `/v1`, or empty. */
  readonly path: string
  /** `host` or `host:port`, for `X-Signet-Upstream`, rows and health answers. Never holds userinfo. */
  readonly label: string
  readonly secure: boolean
  /** True for clear-text HTTP to anything but loopback: worth a warning at start. */
  readonly exposed: boolean
}

// Blanks, controls, format and separator characters: WHATWG URL parsing would drop or encode some of them silently, so
// the address used would not be the address read.
const UNPRINTABLE = /[\s\p{C}\p{Z}\\]/u

export function parseBaseUrl(text: string, setting = 'upstream'): BaseUrl {
  // Not `trim`: that takes away NBSP, U+2028 and the byte order mark too, which nobody typed on purpose.
  const trimmed = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
  if (trimmed === '') {
    throw new UpstreamSettingError(setting, 'is empty; expected a URL such as https://api.openai.com/v1')
  }
  if (UNPRINTABLE.test(trimmed)) {
    throw new UpstreamSettingError(setting, 'holds a blank, control, invisible character or backslash; remove it')
  }
  let url: URL
  try {
    url = new URL(trimmed)
  } catch {
    throw new UpstreamSettingError(setting, 'is not a URL; expected one such as https://api.openai.com/v1')
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new UpstreamSettingError(setting, `uses ${url.protocol}//; expected https:// or http://`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new UpstreamSettingError(
      setting,
      'carries a user name or password; put the credential into the upstream key setting instead',
    )
  }
  if (url.search !== '' || url.hash !== '' || trimmed.endsWith('?') || trimmed.endsWith('#')) {
    throw new UpstreamSettingError(setting, 'has a query or fragment; expected only scheme, host, port and path')
  }
  const secure = url.protocol === 'https:'
  return {
    origin: url.origin,
    path: withoutTrailingSlashes(url.pathname),
    label: url.host,
    secure,
    exposed: !secure && !isLoopbackName(url.hostname),
  }
}

function withoutTrailingSlashes(path: string): string {
  let end = path.length
  while (end > 0 && path.charCodeAt(end - 1) === 0x2f) end--
  return path.slice(0, end)
}

/** A WHATWG host name: IPv4 is canonical, IPv6 bracketed and compressed. */
function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
