/**
 * `mtls`: the caller's end of the connection holds the key of a certificate from an authority that the listener trusts.
 *
 * Guarantees: the owner is what exactly one subject alternative name of that certificate says, by a rule of the
 * operator's; the chain, its purpose (clients) and its revocation list were checked at the handshake, its validity is
 * checked again with every request of the connection. Nothing that the caller writes into a header takes part.
 * Does not guarantee: anything behind a proxy that ends TLS (that is `trusted_proxy`), nor that a certificate revoked
 * meanwhile is noticed before the connection ends.
 */
import {
  badCredential,
  configuredApprovers,
  configuredLevel,
  configuredPrincipal,
  identified,
  noCredential,
  type Proven,
} from './credential.ts'
import { configuredClaims } from './rule-claims.ts'
import type { TlsPeer, VerifiedStrategy } from './strategy.ts'

export interface CertificateRule {
  /** The whole name, or with one `{id}` in it: `spiffe://example.org/agent/{id}`. */
  readonly name: string
  /** `agent:{id}`, or a principal that does not depend on the name. */
  readonly owner: string
  readonly clearance?: string
  readonly approvalChain?: readonly string[]
  /** The humans an agent acts for: they may not approve what it does. */
  readonly onBehalfOf?: readonly string[]
  /** What argument rules may compare with: `{ account: 'DE-17' }`. */
  readonly claims?: Readonly<Record<string, string | number | readonly (string | number)[]>>
}

export interface MtlsOptions {
  /** Which kind of subject alternative name says who it is. SPIFFE ids are `uri`. */
  readonly san: 'uri' | 'dns' | 'email'
  /** The first rule that fits decides. */
  readonly rules: readonly CertificateRule[]
}

const NAME = 'mtls'
const CARRIER = 'client certificate'
const NO_HEADERS: readonly string[] = Object.freeze([])

interface Rule {
  readonly before: string
  readonly after: string
  /** False: the whole name is `before`. */
  readonly placeholder: boolean
  fits(id: string): boolean
  proven(id: string): Proven
}

export function mtlsIdentity(options: MtlsOptions, ports: { readonly now: () => number }): VerifiedStrategy {
  const { san } = options
  if (options.rules.length === 0) throw new TypeError('identity.mtls.rules: expected at least one rule')
  const rules = options.rules.map((rule, index) => readRule(rule, san, `identity.mtls.rules[${String(index)}]`))

  const prove = ({ authorized, certificate }: TlsPeer): Proven | string => {
    if (!authorized) return 'certificate_not_trusted'
    const now = ports.now()
    if (now < certificate.notBefore || now > certificate.notAfter) return 'certificate_expired'
    if (certificate.names === undefined) return 'certificate_names_unreadable'
    // Of two names, another reader may take the other one (SPIFFE X.509-SVID section 2 allows one URI only).
    const names = certificate.names.filter(name => name.kind === san)
    const [only] = names
    if (only === undefined) return 'certificate_without_name'
    if (names.length > 1) return 'certificate_with_several_names'
    const value = san === 'dns' ? only.value.toLowerCase() : only.value
    for (const rule of rules) {
      const id = idIn(value, rule)
      if (id !== undefined) return rule.proven(id)
    }
    return 'certificate_name_unknown'
  }

  return {
    name: NAME,
    verified: true,
    headers: NO_HEADERS,
    carriers: [CARRIER],
    clientCertificates: true,
    presents: ({ tls }) => tls !== undefined,
    identify({ tls, rawHeaders }) {
      if (tls === undefined) return noCredential(NAME)
      const proven = prove(tls)
      if (typeof proven === 'string') return badCredential(NAME, proven)
      return identified(proven, NAME, rawHeaders, NO_HEADERS)
    },
  }
}

/** One path segment, one label or one address: nothing that separates, escapes or hides. */
const ID = {
  uri: /^[A-Za-z0-9._~@+-]{1,200}$/,
  dns: /^[a-z0-9_-]{1,63}$/,
  email: /^[A-Za-z0-9._~@+-]{1,200}$/,
} as const
const VISIBLE = /^[\x21-\x7e]+$/

function idIn(value: string, rule: Rule): string | undefined {
  if (!rule.placeholder) return value === rule.before ? '' : undefined
  const { before, after } = rule
  if (value.length <= before.length + after.length || !value.startsWith(before) || !value.endsWith(after))
    return undefined
  const id = value.slice(before.length, value.length - after.length)
  // A relative segment could be resolved away by another reader.
  return rule.fits(id) && id !== '.' && id !== '..' ? id : undefined
}

function readRule(rule: CertificateRule, san: MtlsOptions['san'], setting: string): Rule {
  const name = san === 'dns' ? rule.name.toLowerCase() : rule.name
  const [before = '', after, ...more] = name.split('{id}')
  if (more.length > 0 || !VISIBLE.test(name)) {
    throw new TypeError(`${setting}.name: expected a name of visible ASCII with at most one {id}`)
  }
  const [ownerBefore = '', ownerAfter, ...ownerMore] = rule.owner.split('{id}')
  if (ownerMore.length > 0 || (ownerAfter !== undefined && after === undefined)) {
    throw new TypeError(`${setting}.owner: expected at most one {id}, and one in the name it comes from`)
  }
  const { type } = configuredPrincipal(rule.owner.replace('{id}', 'id'), `${setting}.owner`)
  const clearance = configuredLevel(rule.clearance, `${setting}.clearance`)
  const approvalChain = configuredApprovers(rule.approvalChain, `${setting}.approvalChain`)
  const notApprovers = configuredApprovers(rule.onBehalfOf, `${setting}.onBehalfOf`)
  const claims = configuredClaims(rule.claims, `${setting}.claims`)
  return {
    before,
    after: after ?? '',
    placeholder: after !== undefined,
    fits: id => ID[san].test(id),
    proven: id => {
      const principal = `${ownerBefore}${ownerAfter === undefined ? '' : id}${ownerAfter ?? ''}`
      return { type, id: principal.slice(type.length + 1), clearance, approvalChain, notApprovers, claims }
    },
  }
}
