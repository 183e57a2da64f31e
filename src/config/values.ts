/**
 * The shapes of single settings. Checked by hand and not by a schema library: this runs before the gate can listen, and loading one
 * takes a quarter of the whole start.
 */
import { parsePrincipal } from '../core/owner.ts'
import type { IdentitySetting } from '../identity/open.ts'
import type { SignerCommand } from '../keys/external-signer.ts'
import type { NotificationInput } from '../notify/settings.ts'
import { isCidr, isHost, isLoopbackHost, isOrigin } from './network-names.ts'
import { pathProblem } from './paths.ts'
import { trimBlanks } from './reading.ts'

/** The value in its one spelling, or what is wrong with it; without a text, it is simply not what was expected. */
export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem?: string }
export type Shape<T> = (given: unknown) => Checked<T>

const UNEXPECTED = Object.freeze({ ok: false as const })

/** setTimeout wraps to 1 ms above 2^31 - 1 ms. */
const LONGEST_WAIT_S = 2_147_483

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export const flag: Shape<boolean> = given => (typeof given === 'boolean' ? { ok: true, value: given } : UNEXPECTED)

export function wholeNumber(least: number, most: number): Shape<number> {
  return given => {
    const isWhole = typeof given === 'number' && Number.isSafeInteger(given) && given >= least && given <= most
    return isWhole ? { ok: true, value: given } : UNEXPECTED
  }
}

function seconds(fits: (n: number) => boolean): Shape<number> {
  return given => {
    const isWait = typeof given === 'number' && fits(given) && given <= LONGEST_WAIT_S
    return isWait ? { ok: true, value: given } : UNEXPECTED
  }
}

export const waitSeconds = seconds(n => n > 0)
export const graceSeconds = seconds(n => n >= 0)
export const port = wholeNumber(0, 65535)

export function oneOf<const T extends string>(...choices: readonly T[]): Shape<T> {
  return given => {
    const found = choices.find(choice => choice === given)
    return found === undefined ? UNEXPECTED : { ok: true, value: found }
  }
}

function text(
  problemOf: (text: string) => string | undefined,
  spelling: (text: string) => string = same,
): Shape<string> {
  return given => {
    if (typeof given !== 'string') return UNEXPECTED
    const value = spelling(given)
    const problem = problemOf(value)
    return problem === undefined ? { ok: true, value } : { ok: false, problem }
  }
}

function same(text: string): string {
  return text
}

/** The first wrong item names the problem. */
function listOf(
  problemOf: (item: string) => string | undefined,
  spelt: (item: string) => string = item => item,
): Shape<readonly string[]> {
  return given => {
    if (!Array.isArray(given)) return UNEXPECTED
    const items: string[] = []
    for (const item of given) {
      if (typeof item !== 'string') return UNEXPECTED
      const problem = problemOf(item)
      if (problem !== undefined) return { ok: false, problem }
      items.push(spelt(item))
    }
    return { ok: true, value: Object.freeze(items) }
  }
}

function must(holds: (text: string) => boolean, problem: string): (text: string) => string | undefined {
  return text => (holds(text) ? undefined : problem)
}

/** Controls, format characters and every kind of blank: nothing of that belongs in a name or an address. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Z}]/u

function nameProblem(name: string): string | undefined {
  if (name === '' || name.length > 256) return 'is empty or longer than 256 characters'
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name) || name.trim() !== name)
    return 'holds a control or an invisible character, or blanks around it'
  return undefined
}

export const name = text(nameProblem)
/** Goes into a header. */
export const asciiName = text(
  text => nameProblem(text) ?? (/^[\x20-\x7e]*$/.test(text) ? undefined : 'holds a character that is not ASCII'),
)

/** `demo` is the model that is built in. */
export const upstreamUrl = text(url => (url === 'demo' ? undefined : urlProblem(url)), asBaseUrl)
export const baseUrl = text(urlProblem, asBaseUrl)

function asBaseUrl(given: string): string {
  return trimBlanks(given).replace(/\/+$/, '')
}

function urlProblem(text: string): string | undefined {
  const invisible = INVISIBLE.exec(text)?.[0]
  if (invisible !== undefined)
    return `holds ${codePoint(invisible)}, an invisible character or a blank; type the URL again`
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return 'is not a URL; give one such as https://api.openai.com/v1'
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `has the scheme ${JSON.stringify(url.protocol)}; use http:// or https://`
  if (text.includes('\\') || !/^https?:\/\//i.test(text))
    return 'is not a complete URL; give one such as https://api.openai.com/v1'
  if (url.username !== '' || url.password !== '')
    return 'holds a user name or password; put the key into the upstream key setting'
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text))
    return 'holds a query or fragment; give the base URL alone'
  return undefined
}

/** Spelled with its database, and without a slash at its end. */
export const redisUrl = text(redisProblem, given => trimBlanks(given).replace(/\/$/, ''))

function redisProblem(text: string): string | undefined {
  const invisible = INVISIBLE.exec(text)?.[0]
  if (invisible !== undefined)
    return `holds ${codePoint(invisible)}, an invisible character or a blank; type the URL again`
  if (!/^rediss?:\/\//i.test(text) || !URL.canParse(text))
    return 'is not a Redis URL; give one such as rediss://redis.example.com:6379'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    return 'holds a user name or password; use SIGNET_REDIS_USERNAME and SIGNET_REDIS_PASSWORD_FILE'
  if (!isHost(url.hostname.replace(/^\[(.*)\]$/, '$1'))) return 'names no host; give one such as redis://127.0.0.1:6379'
  if (/[?#]/.test(text)) return 'holds a query or fragment; leave it out'
  if (!/^(?:\/[0-9]{1,5})?$/.test(url.pathname))
    return 'holds a path that is no database number; write it as redis://host:6379/0'
  return undefined
}

export const redisKeyPrefix = text(
  must(
    prefix => /^[A-Za-z0-9_.:-]{1,64}$/.test(prefix),
    'is not a key prefix; use letters, digits, "_", ".", ":" and "-"',
  ),
)

export const host = text(must(isHost, 'is not a host name or an address; give one such as 127.0.0.1'), given =>
  given.replace(/^\[(.*)\]$/, '$1'),
)

/** What a browser binds a passkey to: a name, never an address. */
export const hostName = text(
  must(
    given =>
      /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(given) &&
      !/(^|\.)[0-9]+$/.test(given),
    'is not a host name in lower case; give one such as signet.example.com',
  ),
)

export const path = text(pathProblem)

/** The name of a transparency log, which is its key's name too: https://c2sp.org/signed-note. */
export const logOrigin = text(
  origin =>
    nameProblem(origin) ??
    (/^[\x21-\x2a\x2c-\x7e]+$/.test(origin) && !origin.includes('://')
      ? undefined
      : 'is not a URL without its scheme; give one such as log.example.com/signet'),
)

/** Addresses that the gate itself calls: https, and plain http on the loopback only. */
export const egressUrls = listOf(url => {
  const problem = urlProblem(url)
  if (problem !== undefined) return `holds something that ${problem}`
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || isLoopbackHost(hostname)
    ? undefined
    : 'holds a URL with plain http; use https (http is for the loopback only)'
})

/** Dotted decimal: X.660. */
export const objectIdentifier = text(
  must(
    oid => /^[0-2](?:\.(?:0|[1-9][0-9]{0,18})){1,32}$/.test(oid),
    'is not an object identifier; write it as 1.2.3.4.1',
  ),
)

/** What the object says is checked where the settings are resolved: the strategies are not loaded for a command that needs none. */
export const identity: Shape<IdentitySetting> = given => {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
  return given === 'asserted' || isObject ? { ok: true, value: given as IdentitySetting } : UNEXPECTED
}

/** As `identity`: what the object holds is checked where it is resolved. */
export const notifications: Shape<NotificationInput> = given => {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
  return isObject ? { ok: true, value: given as NotificationInput } : UNEXPECTED
}

/** In their one accepted spelling. */
export const principals = listOf(person => {
  const parsed = parsePrincipal(person)
  return parsed.ok ? undefined : parsed.problem
}, canonicalPrincipal)

function canonicalPrincipal(person: string): string {
  const parsed = parsePrincipal(person)
  return parsed.ok ? `${parsed.type}:${parsed.id}` : person
}

/** A program that signs, and how it is run: docs/keys.md. */
export const signerCommand: Shape<SignerCommand> = given => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return UNEXPECTED
  const { command, args = [], env = [], timeLimitMs, concurrency, ...rest } = given as Readonly<Record<string, unknown>>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) return { ok: false, problem: `holds ${JSON.stringify(unknown)}, which it has not` }
  if (typeof command !== 'string' || !command.includes('/') || pathProblem(command) !== undefined)
    return { ok: false, problem: 'must name its command as a path, such as ./signer or /usr/local/bin/signer' }
  if (!isTexts(args)) return { ok: false, problem: 'must give args as a list of texts' }
  if (!isTexts(env) || !env.every(name => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)))
    return { ok: false, problem: 'must give env as a list of names of variables' }
  for (const [name, value, most] of [
    ['timeLimitMs', timeLimitMs, 60_000],
    ['concurrency', concurrency, 4096],
  ] as const) {
    if (value !== undefined && !wholeNumber(1, most)(value).ok)
      return { ok: false, problem: `must give ${name} as a whole number from 1 to ${most}` }
  }
  return {
    ok: true,
    value: {
      command,
      args,
      env,
      ...(typeof timeLimitMs === 'number' ? { timeLimitMs } : {}),
      ...(typeof concurrency === 'number' ? { concurrency } : {}),
    },
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string' && !item.includes('\0'))
}

/** RFC 6749 3.3; without `openid` an issuer proves nobody (OpenID Connect Core 1.0, 3.1.2.1). */
export const oidcScopes: Shape<readonly string[]> = given => {
  const read = listOf(scope =>
    /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(scope) ? undefined : 'holds something that is no scope',
  )(given)
  return !read.ok || read.value.includes('openid')
    ? read
    : { ok: false, problem: 'leaves out "openid", without which the issuer proves nobody; add it' }
}

/** At least 32 bytes of hex: HMAC-SHA256 is as strong as its key. `0x` is tolerated. */
export const hexSecret = text(hexProblem, given => given.replace(/^0x/i, '').toLowerCase())

function hexProblem(hex: string): string | undefined {
  if (!/^[0-9a-f]*$/.test(hex)) return 'is not hexadecimal; make one with: signet keys generate --kind hmac'
  if (hex.length % 2 === 1) return 'has an odd number of hex digits; make one with: signet keys generate --kind hmac'
  if (hex.length < 64)
    return `is ${hex.length / 2} bytes long, expected at least 32; make one with: signet keys generate --kind hmac`
  return undefined
}

/** Printable ASCII without blanks, as an `Authorization` value needs. */
export const credential = text(key => {
  if (key === '' || key.length > 8192) return 'is empty or longer than 8192 characters'
  return /^[\x21-\x7e]+$/.test(key)
    ? undefined
    : 'holds a blank, a control or a non-ASCII character; paste the key again'
})

/** Whatever a server's own rules allow; a control character is a slip of the copy. */
export const password = text(given => {
  if (given === '' || given.length > 8192) return 'is empty or longer than 8192 characters'
  return /\p{Cc}/u.test(given) ? 'holds a control character; paste the password again' : undefined
})

/** What is wrong with a key id, or `undefined`. Ids are printed, logged and sent in headers. */
export function keyIdProblem(id: string): string | undefined {
  if (id === '') return 'is empty; use letters, digits, "_", ".", ":" and "-"'
  if (id.length > 128) return `is ${id.length} characters long, expected at most 128`
  const bad = /[^A-Za-z0-9_.:-]/u.exec(id)?.[0]
  if (bad !== undefined) return `holds ${codePoint(bad)}; use letters, digits, "_", ".", ":" and "-"`
  return id === '__proto__' ? 'is a reserved name; choose another' : undefined
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

export const keyId = text(keyIdProblem)

export const legacyKeys: Shape<Readonly<Record<string, string>>> = given => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return UNEXPECTED
  const keys: Record<string, string> = {}
  for (const [id, secret] of Object.entries(given)) {
    const idWrong = keyIdProblem(id)
    if (idWrong !== undefined) return { ok: false, problem: `has a key id that ${idWrong}` }
    const checked = hexSecret(secret)
    if (!checked.ok)
      return { ok: false, problem: `has a key ${JSON.stringify(id)} that ${checked.problem ?? 'is no text'}` }
    keys[id] = checked.value
  }
  return { ok: true, value: Object.freeze(keys) }
}

/** Names to secrets. A value is never repeated. */
export const namedSecrets: Shape<Readonly<Record<string, string>>> = given => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return UNEXPECTED
  const secrets: [string, string][] = []
  for (const [name, secret] of Object.entries(given)) {
    if (typeof secret !== 'string' || secret.trim() === '')
      return { ok: false, problem: `has no secret for ${JSON.stringify(name)}` }
    secrets.push([name, secret])
  }
  return { ok: true, value: Object.freeze(Object.fromEntries(secrets)) }
}

/** Audience to hash. A value is never repeated: it may be the secret itself. */
export const redeemers: Shape<Readonly<Record<string, string>>> = given => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return UNEXPECTED
  const hashes: [string, string][] = []
  for (const [audience, digest] of Object.entries(given)) {
    if (audience === '') return { ok: false, problem: 'has an empty audience' }
    if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest))
      return {
        ok: false,
        problem: `has no hash for ${JSON.stringify(audience)}; give sha256:<64 hex digits> of its secret`,
      }
    hashes.push([audience, digest])
  }
  return { ok: true, value: Object.freeze(Object.fromEntries(hashes)) }
}

/** Fields that belong to one hop or to the gate itself (RFC 9110, 7.6.1). */
const NEVER_FORWARDED = new Set([
  'connection',
  'content-length',
  'content-encoding',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const ABOUT_THE_CALLER = /^x-(?:signet-|commit-owner$|agent-id$|policy-|caller-clearance$|classification$)/

const headerProblem = must(header => TOKEN.test(header), 'is not a header name; use letters, digits and "-"')

export const receiptHeaderName = text(
  header =>
    headerProblem(header) ??
    (NEVER_FORWARDED.has(header.toLowerCase()) || /^content-/i.test(header)
      ? 'is a header with a meaning of its own; use a name such as X-Signet-Receipt'
      : undefined),
)

export const forwardedHeaders = listOf(header => {
  const lower = header.toLowerCase()
  if (!TOKEN.test(header)) return `holds ${JSON.stringify(header.slice(0, 40))}, which is not a header name`
  return NEVER_FORWARDED.has(lower) || ABOUT_THE_CALLER.test(lower)
    ? `holds ${JSON.stringify(header)}, which is never forwarded; remove it`
    : undefined
})

export const headerNames = listOf(must(header => TOKEN.test(header), 'holds something that is not a header name'))
export const methods = listOf(
  must(method => /^[A-Z]{1,20}$/.test(method), 'holds something that is not a method; use GET, POST, OPTIONS'),
)
export const origins = listOf(
  must(isOrigin, 'holds something that is not an origin; write it as https://app.example.com'),
)
/** Kinds of upstream state, as refusals name them. */
const REFERENCE_KINDS: ReadonlySet<string> = new Set([
  'response',
  'conversation',
  'prompt',
  'item',
  'file',
  'audio',
  'vector_store',
  'container',
  'skill',
  'approval',
  'message',
])

export const referenceKinds = listOf(
  must(
    kind => REFERENCE_KINDS.has(kind),
    `holds something that is not a kind of upstream state: ${[...REFERENCE_KINDS].join(', ')}`,
  ),
)

export const hosts = listOf(
  must(
    given => isHost(given.replace(/^\[(.*)\]$/, '$1')),
    'holds something that is not a host name or address; write it without scheme and port, as gate.example.com',
  ),
)
export const cidrs = listOf(must(isCidr, 'holds something that is not an address range; write it as 10.0.0.0/8'))
