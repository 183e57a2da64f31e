/**
 * An issuer's public keys, over the network: from `jwks_uri` directly, or by way of OpenID Connect Discovery 1.0.
 *
 * Guarantees: https only (plain http on the loopback), no redirect followed, bounded size and time; a discovery document
 * counts only when it names exactly the configured issuer, and cannot lead from https to plain http.
 * Does not guarantee: that the address is the right one. It comes from the operator, never from a token.
 */
import type { JSONWebKeySet, JWK } from 'jose'
import { readJson, toValue } from '../dialects/json.ts'

/** Calls out; `openEgress()` is one. It must follow no redirect and keep to both bounds. */
export interface DocumentEgress {
  send(request: {
    readonly url: string
    readonly method: 'GET'
    readonly headers: Readonly<Record<string, string>>
    readonly timeoutMs: number
    readonly maxBytes: number
  }): Promise<{ readonly status: number; readonly body: Uint8Array }>
}

/** The issuer could not be asked, or did not say what its keys are. Messages name no address: it may hold credentials. */
export class IssuerUnavailable extends Error {
  override readonly name = 'IssuerUnavailable'
}

const TIMEOUT_MS = 5000
const MAX_BYTES = 256 * 1024
const MAX_KEYS = 100

export type FetchKeys = () => Promise<JSONWebKeySet>

/** `url` has passed `issuerUrl`. */
export function keysAt(url: URL, egress: DocumentEgress): FetchKeys {
  return async () => readKeySet(await fetchDocument(url.href, egress))
}

/** Asks for the discovery document each time: issuers move their keys, and it costs one small request in ten minutes. */
export function discoveredKeys(issuer: string, setting: string, egress: DocumentEgress): FetchKeys {
  const discover = discovery(issuer, setting, egress)
  return async () => {
    const { at } = await discover()
    return readKeySet(await fetchDocument(at('jwks_uri').href, egress))
  }
}

/** What an issuer says of itself. */
export interface IssuerDocument {
  readonly members: Readonly<Record<string, unknown>>
  /** The address of this name in it, when it may be called; throws `IssuerUnavailable`. */
  at(name: string): URL
}

export function discovery(issuer: string, setting: string, egress: DocumentEgress): () => Promise<IssuerDocument> {
  const { protocol, search } = issuerUrl(issuer, setting)
  if (search !== '') throw new TypeError(`${setting}: expected no query`)
  // Discovery 1.0 section 4: a slash at the end goes before the well-known path is added.
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  return async () => {
    const members = await fetchDocument(address, egress)
    // Section 4.3: exactly the issuer that was asked, or anybody's document would do.
    if (members['issuer'] !== issuer) throw new IssuerUnavailable('the discovery document names another issuer')
    return {
      members,
      at(name) {
        const text = members[name]
        if (typeof text !== 'string') throw new IssuerUnavailable(`the discovery document holds no ${name}`)
        let url: URL
        try {
          url = issuerUrl(text, name)
        } catch (error) {
          throw new IssuerUnavailable(`the discovery document holds a ${name} that may not be called`, { cause: error })
        }
        if (url.protocol === 'http:' && protocol !== 'http:')
          throw new IssuerUnavailable('the discovery document leads from https to plain http')
        return url
      },
    }
  }
}

/** An address of an issuer; throws on one that may not be called. */
export function issuerUrl(text: string, setting: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw new TypeError(`${setting}: expected an absolute https URL`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackName(url.hostname)))
    throw new TypeError(`${setting}: expected https (plain http is for the loopback only)`)
  if (url.username !== '' || url.password !== '') throw new TypeError(`${setting}: expected no user or password`)
  if (url.hash !== '') throw new TypeError(`${setting}: expected no fragment`)
  return url
}

function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

async function fetchDocument(url: string, egress: DocumentEgress): Promise<Readonly<Record<string, unknown>>> {
  let answer: { readonly status: number; readonly body: Uint8Array }
  try {
    answer = await egress.send({
      url,
      method: 'GET',
      headers: { accept: 'application/json, application/jwk-set+json' },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    })
  } catch (error) {
    throw new IssuerUnavailable('the issuer could not be reached', { cause: error })
  }
  if (answer.status !== 200) throw new IssuerUnavailable(`the issuer answered ${String(answer.status)}, expected 200`)
  if (answer.body.length > MAX_BYTES) throw new IssuerUnavailable('the issuer answered more than expected')
  const read = readJson(answer.body)
  if (read.kind === 'fault') throw new IssuerUnavailable('the issuer answered something that is not JSON')
  const value = toValue(read.root)
  if (!isRecord(value)) throw new IssuerUnavailable('the issuer answered JSON that is not an object')
  return value
}

/** RFC 7517 5. Keys for encryption, secrets and private halves are left out: none of them can prove anything here. */
export function readKeySet(document: Readonly<Record<string, unknown>>): JSONWebKeySet {
  const { keys } = document
  if (!Array.isArray(keys)) throw new IssuerUnavailable('expected a JWK Set: an object with a list of keys')
  if (keys.length > MAX_KEYS) throw new IssuerUnavailable(`expected at most ${String(MAX_KEYS)} keys`)
  return { keys: keys.filter(isPublicKey) }
}

function isPublicKey(key: unknown): key is JWK {
  if (!isRecord(key)) return false
  const { kty, d, use } = key
  return (kty === 'RSA' || kty === 'EC' || kty === 'OKP') && d === undefined && (use === undefined || use === 'sig')
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
