/** What operators write: the environment file, addresses, settings from the environment. */
import { readVariables } from '../../../src/config/env-file.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { fromEnvironment, settle } from '../../../src/config/settings.ts'
import { parseBaseUrl, UpstreamSettingError } from '../../../src/upstream/base-url.ts'
import { bytesOf, equal, must, refusing, type Target, textOf } from '../target.ts'

const LINES = [
  'SIGNET_PORT=8443',
  'export SIGNET_SHADOW=1',
  "SIGNET_HMAC_SECRET='aa'",
  '# comment',
  '',
  'A="b\nc"',
  'SIGNET_UPSTREAM_URL=https://api.openai.com/v1',
  'SIGNET_ALLOWED_HOSTS=a,b',
  'SIGNET_HMAC_LEGACY_KEYS={"a":"bb"}',
]

export const env: Target = {
  name: 'env',
  words: ['=', '"', "'", '`', 'export ', '#', '\r\n', 'SIGNET_PORT=', 'SIGNET_SHADOW='],
  build: random => bytesOf(random.list(6, () => random.pick(LINES)).join('\n')),
  check: bytes => {
    const text = textOf(bytes)
    let variables: Readonly<Record<string, string>> | undefined
    try {
      variables = readVariables(text, '.env')
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      must(!/[\0\r]/.test(error.message), 'a problem is printable')
      return
    }
    // Every line that sets something has set it: what is written down is not silently left out.
    for (const line of text.split(/\r?\n/)) {
      const name = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[^"'`]*$/.exec(line)?.[1]
      if (name !== undefined && !/["'`]/.test(text)) must(Object.hasOwn(variables, name), `${name} was read`)
    }
    try {
      settle([fromEnvironment(variables, '.env')])
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
    }
  },
}

export const baseUrl: Target = {
  name: 'base-url',
  words: ['https://', 'http://', '@', '?', '#', '%2e%2e', '\\', '[::1]', ':443', '/v1/', '\t'],
  build: random =>
    bytesOf(
      random.pick(['https://', 'http://', 'ftp://', '']) +
        random.pick(['api.openai.com', 'localhost:1', '[::1]:2', 'u:p@x', '1.2.3']) +
        random.pick(['/v1', '/', '', '/a//', '?x', '#y']),
    ),
  check: bytes => {
    const text = textOf(bytes)
    const url = refusing(() => parseBaseUrl(text), UpstreamSettingError)
    if (url === undefined) return
    must(/^https?:\/\/[^/@?#\s]+$/.test(url.origin), 'an origin is scheme and host')
    must(!/[@/\s]/.test(url.label), 'a label has no user, no path')
    must(!url.path.endsWith('/') && !/[?#\s]/.test(url.path), 'a path can be gone on from')
    must(url.secure === url.origin.startsWith('https:'), 'secure is https')
    equal(parseBaseUrl(url.origin + url.path), url, 'the address, read again')
  },
}
