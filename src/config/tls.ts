/** Certificates for the listener: read, and refused here if they cannot work, before anything listens. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { readSecretFile } from '../keys/store.ts'
import { readOperatorFile } from './operator-file.ts'
import { errorCode } from './problem.ts'

/** PEM texts. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
  readonly clientCrl?: string
}

/** This and the others throw one-line errors that hold nothing of the file. */
export function readCertificate(path: string): { readonly pem: string; readonly first: X509Certificate } {
  const pem = new TextDecoder().decode(readOperatorFile(path))
  const [first] = certificates(pem, path)
  if (first === undefined) throw new Error(`${path} holds no certificate; expected PEM`)
  return { pem, first }
}

export function readKey(path: string, certificate: X509Certificate | undefined): string {
  const pem = readSecretFile(path)
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (error) {
    const locked = errorCode(error) === 'ERR_MISSING_PASSPHRASE' || /ENCRYPTED/.test(pem)
    throw new Error(
      locked
        ? `the key in ${path} is encrypted; expected one without a passphrase`
        : `${path} holds no private key; expected PEM`,
    )
  }
  if (certificate !== undefined && !certificate.checkPrivateKey(key))
    throw new Error(`the key in ${path} belongs to another certificate`)
  return pem
}

export function readAuthorities(path: string, whose = 'client certificates'): string {
  const pem = new TextDecoder().decode(readOperatorFile(path))
  const found = certificates(pem, path)
  if (found.length === 0) throw new Error(`${path} holds no certificate; expected the PEM of the authorities`)
  if (found.some(certificate => !certificate.ca))
    throw new Error(`${path} holds a certificate that is no authority's; give those that issue ${whose}`)
  return pem
}

export function readRevocations(path: string): string {
  const pem = new TextDecoder().decode(readOperatorFile(path))
  try {
    if (!pem.includes('-----BEGIN X509 CRL-----')) throw new Error('no list')
    createSecureContext({ crl: pem })
  } catch {
    throw new Error(`${path} holds no revocation list; expected PEM`)
  }
  return pem
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

function certificates(pem: string, path: string): readonly X509Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map(text => {
    try {
      return new X509Certificate(text)
    } catch {
      throw new Error(`${path} holds a certificate that cannot be read; expected PEM`)
    }
  })
}
