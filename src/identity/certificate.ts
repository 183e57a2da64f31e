/**
 * The certificate of a TLS peer, as far as identity needs it.
 *
 * Guarantees: names are read from the X.509 extension by way of the form in which Node writes it since CVE-2021-44532
 * (names that could be read in two ways are JSON strings); a list that does not follow that form to its last character
 * counts as no names at all. Read once per connection. The subject's common name and its emailAddress are not read.
 */
import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { CertificateName, PeerCertificate, TlsPeer } from './strategy.ts'

const peers = new WeakMap<TLSSocket, TlsPeer>()

/** What the other end of a connection proved; `undefined` without TLS or without a certificate. */
export function tlsPeer(socket: Socket): TlsPeer | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const known = peers.get(socket)
  if (known !== undefined) return known
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const peer: TlsPeer = { authorized: socket.authorized, certificate: readCertificate(certificate) }
  peers.set(socket, peer)
  return peer
}

export function readCertificate(certificate: X509Certificate): PeerCertificate {
  const text: string | undefined = certificate.subjectAltName
  return {
    names: text === undefined ? [] : readNames(text),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  }
}

const KINDS: ReadonlyMap<string, CertificateName['kind']> = new Map([
  ['URI', 'uri'],
  ['DNS', 'dns'],
  ['email', 'email'],
])

/** `DNS:a.example, URI:"spiffe://x/a\u002cb", IP Address:192.0.2.1`. `undefined`: not of this form. */
export function readNames(text: string): readonly CertificateName[] | undefined {
  const names: CertificateName[] = []
  let at = 0
  while (at < text.length) {
    if (at > 0) {
      if (!text.startsWith(', ', at)) return undefined
      at += 2
    }
    const label = /[A-Za-z0-9 ]{1,32}:/y
    label.lastIndex = at
    const found = label.exec(text)?.[0]
    if (found === undefined) return undefined
    at += found.length
    const value = text[at] === '"' ? quoted(text, at) : bare(text, at)
    if (value === undefined) return undefined
    names.push({ kind: KINDS.get(found.slice(0, -1)) ?? 'other', value: value.text })
    at = value.end
  }
  return names
}

/** A JSON string, escapes and all. */
function quoted(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  const literal = /"(?:[^"\\]|\\.)*"/y
  literal.lastIndex = from
  const found = literal.exec(text)?.[0]
  if (found === undefined) return undefined
  try {
    const value: unknown = JSON.parse(found)
    return typeof value === 'string' ? { text: value, end: from + found.length } : undefined
  } catch {
    return undefined
  }
}

/** Node quotes a name that holds a quote, a backslash, a comma or a control character: unquoted, there is none. */
function bare(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  const comma = text.indexOf(',', from)
  const end = comma < 0 ? text.length : comma
  const value = text.slice(from, end)
  return /^[^"\\\x00-\x1f\x7f]+$/.test(value) ? { text: value, end } : undefined
}
