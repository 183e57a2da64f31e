/** The certificates of `testdata/certificates.json`. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readCertificate } from './certificate.ts'
import type { TlsPeer } from './strategy.ts'

interface Pem {
  readonly key: string
  readonly cert: string
}

const file = JSON.parse(readFileSync(new URL('./testdata/certificates.json', import.meta.url), 'utf8')) as {
  readonly authority: string
  readonly revocations: string
  readonly holders: Readonly<Record<string, Pem>>
}

export const AUTHORITY = file.authority
export const REVOCATIONS = file.revocations

export function pem(name: string): Pem {
  const found = file.holders[name]
  if (found === undefined) throw new Error(`no certificate called ${name}`)
  return found
}

export function peer(name: string, authorized = true): TlsPeer {
  return { authorized, certificate: readCertificate(new X509Certificate(pem(name).cert)) }
}
