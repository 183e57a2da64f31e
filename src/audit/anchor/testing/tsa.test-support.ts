/** A time-stamping authority made of pkijs, honest or lying in one thing, with authorities above it. No openssl needed. */
import { createHash, hash, randomBytes, type webcrypto } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as asn1js from 'asn1js'
import * as pkijs from 'pkijs'

const SHA256 = '2.16.840.1.101.3.4.2.1'
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'
export const POLICY = '1.2.3.4.1'

export interface Identity {
  readonly certificate: pkijs.Certificate
  readonly key: webcrypto.CryptoKey
}

export interface CertificateOptions {
  readonly name: string
  readonly issuer?: Identity
  readonly ca?: boolean
  readonly pathLength?: number
  readonly purposes?: readonly string[]
  readonly critical?: boolean
  /** First byte of KeyUsage. */
  readonly keyUsage?: number
  readonly notBefore?: Date
  readonly notAfter?: Date
}

const YEAR = 365 * 86_400_000
let serial = 100

export async function makeIdentity(o: CertificateOptions): Promise<Identity> {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const certificate = new pkijs.Certificate()
  certificate.version = 2
  certificate.serialNumber = new asn1js.Integer({ value: serial++ })
  const named = (to: pkijs.RelativeDistinguishedNames, name: string) =>
    to.typesAndValues.push(
      new pkijs.AttributeTypeAndValue({ type: '2.5.4.3', value: new asn1js.Utf8String({ value: name }) }),
    )
  named(certificate.subject, o.name)
  if (o.issuer === undefined) named(certificate.issuer, o.name)
  else certificate.issuer = o.issuer.certificate.subject
  certificate.notBefore.value = o.notBefore ?? new Date(Date.now() - YEAR)
  certificate.notAfter.value = o.notAfter ?? new Date(Date.now() + YEAR)
  const extension = (extnID: string, critical: boolean, value: { toSchema(): asn1js.BaseBlock }) =>
    new pkijs.Extension({ extnID, critical, extnValue: value.toSchema().toBER(false) })
  certificate.extensions = []
  if (o.ca === true) {
    certificate.extensions.push(
      extension(
        '2.5.29.19',
        true,
        new pkijs.BasicConstraints({
          cA: true,
          ...(o.pathLength === undefined ? {} : { pathLenConstraint: o.pathLength }),
        }),
      ),
    )
  }
  const usage = o.keyUsage ?? (o.ca === true ? 0x06 : 0xc0)
  certificate.extensions.push(
    new pkijs.Extension({
      extnID: '2.5.29.15',
      critical: true,
      extnValue: new asn1js.BitString({ valueHex: Uint8Array.of(usage).buffer }).toBER(false),
    }),
  )
  const purposes = o.purposes ?? (o.ca === true ? [] : [TIME_STAMPING])
  if (purposes.length > 0) {
    const keyUsage = new pkijs.ExtKeyUsage({ keyPurposes: [...purposes] })
    certificate.extensions.push(extension('2.5.29.37', o.critical ?? true, keyUsage))
  }
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey)
  await certificate.sign(o.issuer?.key ?? keys.privateKey, 'SHA-256')
  return { certificate, key: keys.privateKey }
}

export function pemOf({ certificate }: Identity): string {
  const base64 = Buffer.from(certificate.toSchema(true).toBER(false)).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`
}

export interface Lie {
  readonly status?: number
  readonly statusText?: string
  readonly token?: 'none'
  readonly imprint?: Uint8Array
  readonly imprintAlgorithm?: string
  readonly nonce?: Uint8Array | 'none'
  readonly policy?: string
  readonly time?: Date
  /** Whose key signs, whose certificate is named and sent. */
  readonly signer?: Identity
  readonly sends?: readonly Identity[]
  /** Another certificate's digest in ESSCertID. */
  readonly names?: Identity | 'nobody'
  readonly v1?: boolean
  readonly contentType?: string
  readonly eContentType?: string
  readonly digest?: string
  /** A TSTInfo that is not the one signed. */
  readonly swapped?: boolean
  readonly signers?: number
}

export interface Tsa extends Identity {
  readonly root: Identity
  readonly chain: readonly Identity[]
}

export async function makeTsa(o: Partial<CertificateOptions> = {}): Promise<Tsa> {
  const root = await makeIdentity({ name: 'Test Root', ca: true })
  const middle = await makeIdentity({ name: 'Test Intermediate', ca: true, issuer: root })
  const own = await makeIdentity({ name: 'Test TSA', issuer: middle, ...o })
  return { ...own, root, chain: [own, middle] }
}

/** The answer to a request, with a lie in it or without. */
export async function respond(tsa: Tsa, request: Uint8Array, lie: Lie = {}): Promise<Uint8Array> {
  const asked = new pkijs.TimeStampReq({ schema: asn1js.fromBER(request).result })
  const status = new pkijs.PKIStatusInfo({
    status: lie.status ?? 0,
    ...(lie.statusText === undefined ? {} : { statusStrings: [new asn1js.Utf8String({ value: lie.statusText })] }),
  })
  if (lie.token === 'none') return der(new pkijs.TimeStampResp({ status }))
  const info = (imprint: Uint8Array) =>
    new pkijs.TSTInfo({
      version: 1,
      policy: lie.policy ?? asked.reqPolicy ?? POLICY,
      messageImprint: new pkijs.MessageImprint({
        hashAlgorithm: new pkijs.AlgorithmIdentifier({ algorithmId: lie.imprintAlgorithm ?? SHA256 }),
        hashedMessage: new asn1js.OctetString({ valueHex: Uint8Array.from(imprint).buffer }),
      }),
      serialNumber: new asn1js.Integer({ value: serial++ }),
      genTime: lie.time ?? new Date(),
      ...(lie.nonce === 'none' ? {} : { nonce: nonceOf(lie.nonce) ?? asked.nonce ?? new asn1js.Integer({ value: 1 }) }),
    })
  const imprint = lie.imprint ?? asked.messageImprint.hashedMessage.valueBlock.valueHexView
  const content = info(imprint).toSchema().toBER(false)
  const signer = lie.signer ?? tsa
  const sends = lie.sends ?? (lie.signer === undefined ? tsa.chain : [lie.signer, ...tsa.chain.slice(1)])
  const named = lie.names ?? signer
  const certificate = named === 'nobody' ? undefined : Buffer.from(named.certificate.toSchema(true).toBER(false))
  const stated = lie.swapped === true ? info(randomBytes(32)).toSchema().toBER(false) : content
  const attributes = [
    attribute(
      '1.2.840.113549.1.9.3',
      new asn1js.ObjectIdentifier({ value: lie.contentType ?? '1.2.840.113549.1.9.16.1.4' }),
    ),
    attribute('1.2.840.113549.1.9.4', octets(hash('sha256', new Uint8Array(stated), 'buffer'))),
    ...(certificate === undefined ? [] : [lie.v1 === true ? essV1(certificate) : essV2(certificate)]),
  ]
  const signed = new pkijs.SignedData({
    version: 3,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({
      eContentType: lie.eContentType ?? '1.2.840.113549.1.9.16.1.4',
      eContent: new asn1js.OctetString({ valueHex: content }),
    }),
    certificates: sends.map(identity => identity.certificate),
    signerInfos: Array.from(
      { length: lie.signers ?? 1 },
      () =>
        new pkijs.SignerInfo({
          version: 1,
          sid: new pkijs.IssuerAndSerialNumber({
            issuer: signer.certificate.issuer,
            serialNumber: signer.certificate.serialNumber,
          }),
          signedAttrs: new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes }),
        }),
    ),
  })
  for (let i = 0; i < (lie.signers ?? 1); i++) await signed.sign(signer.key, i, lie.digest ?? 'SHA-256')
  const token = new pkijs.ContentInfo({ contentType: '1.2.840.113549.1.7.2', content: signed.toSchema(true) })
  return der(new pkijs.TimeStampResp({ status, timeStampToken: token }))
}

function nonceOf(nonce: Uint8Array | undefined): asn1js.Integer | undefined {
  return nonce === undefined ? undefined : new asn1js.Integer({ valueHex: Uint8Array.from(nonce).buffer })
}

function attribute(type: string, value: asn1js.BaseBlock): pkijs.Attribute {
  return new pkijs.Attribute({ type, values: [value] })
}

function octets(bytes: Uint8Array): asn1js.OctetString {
  return new asn1js.OctetString({ valueHex: Uint8Array.from(bytes).buffer })
}

/** RFC 5035: ESSCertIDv2 with its default digest. */
function essV2(certificate: Uint8Array): pkijs.Attribute {
  return ess('1.2.840.113549.1.9.16.2.47', hash('sha256', certificate, 'buffer'))
}

function essV1(certificate: Uint8Array): pkijs.Attribute {
  return ess('1.2.840.113549.1.9.16.2.12', createHash('sha1').update(certificate).digest())
}

function ess(type: string, digest: Uint8Array): pkijs.Attribute {
  const id = new asn1js.Sequence({ value: [octets(digest)] })
  return attribute(type, new asn1js.Sequence({ value: [new asn1js.Sequence({ value: [id] })] }))
}

function der(resp: pkijs.TimeStampResp): Uint8Array {
  return new Uint8Array(resp.toSchema().toBER(false))
}

export interface TsaServer {
  readonly url: string
  /** Requests so far. */
  asked: number
  answer: (request: Uint8Array, res: ServerResponse) => Promise<void> | void
  close(): Promise<void>
}

/** On a real port. `answer` may be replaced. */
export async function serveTsa(answer: (request: Uint8Array) => Promise<Uint8Array>): Promise<TsaServer> {
  const server = createServer((req: IncomingMessage, res: ServerResponse) => {
    const chunks: Uint8Array[] = []
    req.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    req.on('end', () => {
      tsa.asked++
      Promise.resolve(tsa.answer(Buffer.concat(chunks), res)).catch(() => res.destroy())
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const tsa: TsaServer = {
    url: `http://127.0.0.1:${port}/tsr`,
    asked: 0,
    answer: async (request, res) => {
      const body = await answer(request)
      res.writeHead(200, { 'content-type': 'application/timestamp-reply' })
      res.end(body)
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return tsa
}
