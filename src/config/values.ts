/** The shapes of single settings, as zod schemas. Used once, at start. Messages continue "expected ...". */
import { z } from 'zod'
import { isCidr, isHost, isOrigin } from './network-names.ts'
import { pathProblem } from './paths.ts'
import { trimBlanks } from './reading.ts'

/** setTimeout wraps to 1 ms above 2^31 - 1 ms. */
const LONGEST_WAIT_S = 2_147_483

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export const flag = z.boolean()

export function wholeNumber(least: number, most: number) {
  return z.int().min(least).max(most)
}

export const waitSeconds = z.number().positive().max(LONGEST_WAIT_S)
export const graceSeconds = z.number().nonnegative().max(LONGEST_WAIT_S)
export const port = wholeNumber(0, 65535)

/** Controls, format characters and every kind of blank: nothing of that belongs in a name or an address. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Z}]/u

export const line = z
  .string()
  .min(1)
  .max(256)
  .refine(text => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text) && text.trim() === text && text !== '')

/** `demo` is the model that is built in. */
export const upstreamUrl = z.string().transform((text, context) => {
  const trimmed = trimBlanks(text)
  if (trimmed === 'demo') return trimmed
  const problem = urlProblem(trimmed)
  if (problem !== undefined) {
    context.addIssue({ code: 'custom', message: problem })
    return z.NEVER
  }
  return trimmed.replace(/\/+$/, '')
})

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
    return 'holds a user name or password; put the credential into SIGNET_UPSTREAM_API_KEY'
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text))
    return 'holds a query or fragment; give the base URL alone'
  return undefined
}

export const host = z.string().transform((text, context) => {
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  if (isHost(bare)) return bare
  context.addIssue({ code: 'custom', message: 'is not a host name or an address; give one such as 127.0.0.1' })
  return z.NEVER
})

export const path = z.string().superRefine((text, context) => {
  const problem = pathProblem(text)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

/** At least 32 bytes of hex: HMAC-SHA256 is as strong as its key. `0x` is tolerated. */
export const hexSecret = z.string().transform((text, context) => {
  const hex = text.replace(/^0x/i, '')
  const problem = hexProblem(hex)
  if (problem === undefined) return hex.toLowerCase()
  context.addIssue({ code: 'custom', message: problem })
  return z.NEVER
})

export function hexProblem(hex: string): string | undefined {
  if (!/^[0-9a-f]*$/i.test(hex)) return 'is not hexadecimal; make one with: signet keys generate --kind hmac'
  if (hex.length % 2 === 1) return 'has an odd number of hex digits; make one with: signet keys generate --kind hmac'
  if (hex.length < 64)
    return `is ${hex.length / 2} bytes long, expected at least 32; make one with: signet keys generate --kind hmac`
  return undefined
}

/** Printable ASCII without blanks, as an `Authorization` value needs. */
export const credential = z.string().superRefine((text, context) => {
  if (text === '' || text.length > 8192)
    context.addIssue({ code: 'custom', message: 'is empty or longer than 8192 characters' })
  else if (!/^[\x21-\x7e]+$/.test(text)) {
    context.addIssue({
      code: 'custom',
      message: 'holds a blank, a control or a non-ASCII character; paste the key again',
    })
  }
})

/** What is wrong with a key id, or `undefined`. Ids are printed, logged and sent in headers. */
export function keyIdProblem(id: string): string | undefined {
  if (id === '') return 'is empty; use letters, digits, "_", ".", ":" and "-"'
  if (id.length > 128) return `is ${id.length} characters long, expected at most 128`
  const bad = /[^A-Za-z0-9_.:-]/u.exec(id)?.[0]
  if (bad !== undefined) return `holds ${codePoint(bad)}; use letters, digits, "_", ".", ":" and "-"`
  return id === '__proto__' ? 'is a reserved name; choose another' : undefined
}

export function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

export const keyId = z.string().superRefine((text, context) => {
  const problem = keyIdProblem(text)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

export const legacyKeys = z.record(z.string(), z.string()).transform((keys, context) => {
  const checked: Record<string, string> = {}
  for (const [id, secret] of Object.entries(keys)) {
    const hex = secret.replace(/^0x/i, '')
    const idWrong = keyIdProblem(id)
    const secretWrong = hexProblem(hex)
    if (idWrong !== undefined) context.addIssue({ code: 'custom', message: `has a key id that ${idWrong}` })
    else if (secretWrong !== undefined)
      context.addIssue({ code: 'custom', message: `has a key ${JSON.stringify(id)} that ${secretWrong}` })
    else checked[id] = hex.toLowerCase()
  }
  return checked
})

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

export const headerName = z
  .string()
  .refine(text => TOKEN.test(text), 'is not a header name; use letters, digits and "-"')

export const receiptHeaderName = headerName.refine(
  text => !NEVER_FORWARDED.has(text.toLowerCase()) && !/^content-/i.test(text),
  'is a header with a meaning of its own; use a name such as X-Signet-Receipt',
)

export const forwardedHeaders = z.array(z.string()).superRefine((names, context) => {
  for (const name of names) {
    const lower = name.toLowerCase()
    if (!TOKEN.test(name))
      context.addIssue({
        code: 'custom',
        message: `holds ${JSON.stringify(name.slice(0, 40))}, which is not a header name`,
      })
    else if (
      NEVER_FORWARDED.has(lower) ||
      /^x-(?:signet-|commit-owner$|agent-id$|policy-|caller-clearance$|classification$)/.test(lower)
    ) {
      context.addIssue({
        code: 'custom',
        message: `holds ${JSON.stringify(name)}, which is never forwarded; remove it`,
      })
    }
  }
})

export const headerNames = z.array(headerName)
export const methods = z.array(
  z.string().refine(text => /^[A-Z]{1,20}$/.test(text), 'holds something that is not a method; use GET, POST, OPTIONS'),
)
export const exactOrigins = z.array(
  z.string().refine(isOrigin, 'holds something that is not an origin; write it as https://app.example.com'),
)
export const hosts = z.array(
  z
    .string()
    .refine(
      text => isHost(text.replace(/^\[(.*)\]$/, '$1')),
      'holds something that is not a host name or address; write it without scheme and port, as gate.example.com',
    ),
)
export const cidrs = z.array(
  z.string().refine(isCidr, 'holds something that is not an address range; write it as 10.0.0.0/8'),
)
