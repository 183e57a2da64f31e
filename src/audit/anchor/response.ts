/**
 * Time-stamp responses (RFC 3161, RFC 5816), verified.
 *
 * Guarantees, when `verifyStamp` resolves: a certificate that a configured root had issued, for time-stamping and nothing
 * else, and that was valid then, signed the statement that exactly these bytes existed at `time`. Does not: ask whether the
 * certificate was revoked, or trust the clock of whoever stamps further than that.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { fromBER, OctetString, Sequence } from 'asn1js'
import { Certificate, ContentInfo, ExtKeyUsage, PKIStatus, SignedData, TimeStampResp, TSTInfo } from 'pkijs'
import { checkChain } from './chain.ts'
import { type AnchorErrorCode, AnchorInvalid } from './errors.ts'
import { imprintOf, SHA256 } from './request.ts'

/** How far a clock may be from ours, in milliseconds. */
const MAX_SKEW_MS = 60_000

const SIGNED_DATA = '1.2.840.113549.1.7.2'
const TST_INFO = '1.2.840.113549.1.9.16.1.4'
const CONTENT_TYPE = '1.2.840.113549.1.9.3'
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4'
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12'
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47'
const KEY_USAGE = '2.5.29.15'
const EXTENDED_KEY_USAGE = '2.5.29.37'
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'
/** Digests that a signature may be over. */
const DIGESTS: ReadonlyMap<string, string> = new Map([
  [SHA256, 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
])

export interface StampTrust {
  readonly roots: readonly Certificate[]
  /** The policy that it has to be under, if one was asked for. */
  readonly policy?: string | undefined
  readonly nowMs: number
  /** For an answer that has just come: what was asked, and when. */
  readonly asked?: { readonly nonce: Uint8Array; readonly atMs: number }
}

export interface Stamp {
  readonly time: Date
  /** Under which policy. */
  readonly policy: string
  /** The authority's own number, in hex. */
  readonly serial: string
  /** The subject of its certificate. */
  readonly authority: string
}

/** PEM certificates. */
export function readRoots(pem: string): readonly Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  return blocks.map(block => {
    const base64 = block.replace(/-----[^-]+-----|\s/g, '')
    return certificateOf(new Uint8Array(Buffer.from(base64, 'base64')))
  })
}

function certificateOf(der: Uint8Array): Certificate {
  try {
    return new Certificate({ schema: fromBER(der).result })
  } catch {
    throw new AnchorInvalid('malformed', 'expected a certificate')
  }
}

/** Rejects with `AnchorInvalid`. `response`: the DER of a TimeStampResp; `data`: the bytes that were stamped. */
export async function verifyStamp(response: Uint8Array, data: Uint8Array, trust: StampTrust): Promise<Stamp> {
  const { signed, content, info } = parse(response)
  checkInfo(info, data, trust)
  const { signer, others } = signerOf(signed)
  const certificate = Buffer.from(signer.toSchema().toBER())
  checkAttributes(signed, content, certificate)
  checkPurpose(signer)
  if (!(await isSigned(signed, data))) throw wrong('signature_invalid', 'the signature is not that of the certificate')
  await chained(signer, others, trust.roots, info.genTime)
  return {
    time: info.genTime,
    policy: info.policy,
    serial: Buffer.from(info.serialNumber.valueBlock.valueHexView).toString('hex'),
    authority: signer.subject.typesAndValues
      .map(({ value }) => String(value.valueBlock.value))
      .join(', ')
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 200),
  }
}

interface Parsed {
  readonly signed: SignedData
  /** The encoded TSTInfo, as it was signed. */
  readonly content: Uint8Array
  readonly info: TSTInfo
}

/** Whatever the bytes are: a library's own errors do not come out. */
function parse(response: Uint8Array): Parsed {
  const resp = attempt('a time-stamp response', () => {
    const { result, offset } = fromBER(response)
    // Behind what is read nothing may hide; a negative offset is an error.
    if (offset !== response.length) throw new Error('trailing bytes')
    return new TimeStampResp({ schema: result })
  })
  const { status } = resp.status
  if (status !== PKIStatus.granted && status !== PKIStatus.grantedWithMods)
    throw wrong('rejected', `the authority refused the request (status ${status}${textOf(resp)})`)
  const { timeStampToken } = resp
  if (timeStampToken === undefined) throw wrong('malformed', 'expected a time-stamp token in a granted response')
  return attempt('a time-stamp token', () => {
    if (!(timeStampToken instanceof ContentInfo) || timeStampToken.contentType !== SIGNED_DATA)
      throw wrong('content_wrong', 'expected signed data')
    const signed = new SignedData({ schema: timeStampToken.content })
    const { eContentType, eContent } = signed.encapContentInfo
    if (eContentType !== TST_INFO || eContent === undefined)
      throw wrong('content_wrong', 'expected the signed data to be a time stamp')
    const content = new Uint8Array(eContent.getValue())
    const { result, offset } = fromBER(content)
    if (offset !== content.length) throw new Error('trailing bytes')
    const info = new TSTInfo({ schema: result })
    if (info.version !== 1) throw wrong('malformed', 'expected a time stamp of version 1')
    return { signed, content, info }
  })
}

function checkInfo(info: TSTInfo, data: Uint8Array, { policy, nowMs, asked }: StampTrust): void {
  const { hashAlgorithm, hashedMessage } = info.messageImprint
  const imprint = hashedMessage.valueBlock.valueHexView
  if (hashAlgorithm.algorithmId !== SHA256 || !same(imprint, imprintOf(data)))
    throw wrong('imprint_wrong', 'it stamps other bytes than these')
  if (asked !== undefined && (info.nonce === undefined || !same(info.nonce.valueBlock.valueHexView, asked.nonce)))
    throw wrong('nonce_wrong', 'it does not repeat the number of the request, so it may be an old answer')
  if (policy !== undefined && info.policy !== policy)
    throw wrong('policy_wrong', `it is under the policy ${info.policy}, expected ${policy}`)
  const time = info.genTime.getTime()
  if (!Number.isFinite(time) || time > nowMs + MAX_SKEW_MS)
    throw wrong('time_wrong', 'it states a time in the future; compare both clocks')
  if (asked !== undefined && time < asked.atMs - MAX_SKEW_MS)
    throw wrong('time_wrong', 'it states a time before the request; compare both clocks')
}

/** RFC 3161 section 2.4.2: signed by the authority alone. */
function signerOf(signed: SignedData): { readonly signer: Certificate; readonly others: readonly Certificate[] } {
  const [info, ...more] = signed.signerInfos
  if (info === undefined || more.length > 0) throw wrong('signer_wrong', 'expected one signature')
  const certificates = (signed.certificates ?? []).filter(found => found instanceof Certificate)
  const sid: unknown = info.sid
  const signer = certificates.find(({ issuer, serialNumber }) => {
    if (typeof sid !== 'object' || sid === null || !('issuer' in sid) || !('serialNumber' in sid)) return false
    return issuer.isEqual(sid.issuer) && serialNumber.isEqual(sid.serialNumber)
  })
  if (signer === undefined) throw wrong('signer_wrong', "expected the signer's certificate in the answer")
  return { signer, others: certificates.filter(other => other !== signer) }
}

/** RFC 5652 section 5.3 and RFC 5816: what is signed names its content and its own certificate. */
function checkAttributes(signed: SignedData, content: Uint8Array, certificate: Uint8Array): void {
  const [info] = signed.signerInfos
  const attributes = info?.signedAttrs?.attributes ?? []
  const only = (type: string): unknown => {
    const found = attributes.filter(attribute => attribute.type === type)
    if (found.length > 1 || found.some(({ values }) => values.length !== 1))
      throw wrong('malformed', `expected the signed attribute ${type} once`)
    return found[0]?.values[0]
  }
  const type = only(CONTENT_TYPE)
  if (!isValued(type) || String(type.valueBlock) !== TST_INFO)
    throw wrong('content_wrong', 'expected the signature to be over a time stamp')
  const digest = DIGESTS.get(info?.digestAlgorithm.algorithmId ?? '')
  if (digest === undefined) throw wrong('signature_invalid', 'expected a signature over SHA-256, SHA-384 or SHA-512')
  const stated = only(MESSAGE_DIGEST)
  if (!(stated instanceof OctetString) || !same(stated.valueBlock.valueHexView, hash(digest, content, 'buffer')))
    throw wrong('signature_invalid', 'the signature is over another time stamp')
  const v2 = only(SIGNING_CERTIFICATE_V2)
  const v1 = only(SIGNING_CERTIFICATE)
  if (v1 === undefined && v2 === undefined)
    throw wrong('signer_wrong', 'expected the signature to name its certificate (ESSCertID)')
  if (v2 !== undefined && !names(v2, certificate, true)) throw wrong('signer_wrong', OTHER_CERTIFICATE)
  if (v1 !== undefined && !names(v1, certificate, false)) throw wrong('signer_wrong', OTHER_CERTIFICATE)
}

const OTHER_CERTIFICATE = 'the signature names another certificate than its own (ESSCertID)'

/**
 * The first ESSCertID of a SigningCertificate: RFC 5035 section 4 (a digest, SHA-256 unless it says otherwise), RFC 2634
 * section 5.4 (SHA-1).
 */
function names(attribute: unknown, certificate: Uint8Array, v2: boolean): boolean {
  const certs = attribute instanceof Sequence ? attribute.valueBlock.value[0] : undefined
  const first = certs instanceof Sequence ? certs.valueBlock.value[0] : undefined
  const parts = first instanceof Sequence ? first.valueBlock.value : []
  const [algorithm] = parts
  let digest: string | undefined = v2 ? 'sha256' : 'sha1'
  let stated: unknown = algorithm
  if (v2 && algorithm instanceof Sequence) {
    const [oid] = algorithm.valueBlock.value
    digest = DIGESTS.get(isValued(oid) ? String(oid.valueBlock) : '')
    stated = parts[1]
  }
  if (digest === undefined || !(stated instanceof OctetString)) return false
  return same(stated.valueBlock.valueHexView, hash(digest, certificate, 'buffer'))
}

/** RFC 3161 section 2.3: for time-stamping only, and critical, so that nobody takes the key for anything else. */
function checkPurpose(signer: Certificate): void {
  const extension = (id: string) => signer.extensions?.filter(({ extnID }) => extnID === id) ?? []
  const [purpose, ...more] = extension(EXTENDED_KEY_USAGE)
  const found: unknown = purpose?.parsedValue
  const only = found instanceof ExtKeyUsage && found.keyPurposes.length === 1 && found.keyPurposes[0] === TIME_STAMPING
  if (more.length > 0 || !only || purpose?.critical !== true)
    throw wrong('purpose_wrong', 'expected a certificate for time-stamping and nothing else, marked critical')
  const usage: unknown = extension(KEY_USAGE)[0]?.parsedValue
  if (usage === undefined) return
  const bits = isHexValued(usage) ? (usage.valueBlock.valueHexView[0] ?? 0) : 0
  // digitalSignature and nonRepudiation are the first two bits.
  if ((bits & 0xc0) === 0 || (bits & 0x3f) !== 0)
    throw wrong('purpose_wrong', 'expected a certificate whose key may sign, and nothing else')
}

async function isSigned(signed: SignedData, data: Uint8Array): Promise<boolean> {
  try {
    return await signed.verify({ signer: 0, data: Uint8Array.from(data).buffer, checkChain: false })
  } catch {
    return false
  }
}

async function chained(
  signer: Certificate,
  others: readonly Certificate[],
  roots: readonly Certificate[],
  at: Date,
): Promise<void> {
  try {
    await checkChain(signer, others, roots, at)
  } catch (error) {
    if (error instanceof AnchorInvalid) throw error
    throw wrong('chain_untrusted', 'the certificates of the answer cannot be read')
  }
}

function attempt<T>(expected: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof AnchorInvalid) throw error
    throw wrong('malformed', `expected ${expected} in DER`)
  }
}

/** What the authority says, for the operator; printable, short. */
function textOf(resp: TimeStampResp): string {
  const text = (resp.status.statusStrings ?? []).map(({ valueBlock }) => valueBlock.value).join(' ')
  const plain = text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120)
  return plain === '' ? '' : `: ${plain}`
}

function wrong(code: AnchorErrorCode, message: string): AnchorInvalid {
  return new AnchorInvalid(code, message)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function isValued(value: unknown): value is { readonly valueBlock: object } {
  return typeof value === 'object' && value !== null && 'valueBlock' in value && typeof value.valueBlock === 'object'
}

function isHexValued(value: unknown): value is { readonly valueBlock: { readonly valueHexView: Uint8Array } } {
  return isValued(value) && 'valueHexView' in value.valueBlock && value.valueBlock.valueHexView instanceof Uint8Array
}
