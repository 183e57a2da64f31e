/**
 * Issuing receipts: RFC 7515 compact JWS with EdDSA (RFC 8037). On the path of every answer, so the payload is written
 * by hand and the header is encoded once per key. The signer works off the main thread. Node only; verifiers import
 * `verify.ts`.
 */
import { leafText, RECEIPT_TYP, type ReceiptClaims } from './claims.ts'

/** The part of a signing key that issuing needs. */
export interface ReceiptSigner {
  readonly kid: string
  readonly alg: 'EdDSA'
  /** 64 bytes of Ed25519 signature. */
  sign(data: Uint8Array): Promise<Uint8Array>
}

const headers = new WeakMap<ReceiptSigner, string>()

/** Rejects when the signer does; a receipt is never sent unsigned. */
export async function issueReceipt(claims: ReceiptClaims, signer: ReceiptSigner): Promise<string> {
  const input = `${headerSegment(signer)}.${Buffer.from(payloadText(claims)).toString('base64url')}`
  const signature = await signer.sign(Buffer.from(input, 'latin1'))
  if (signature.length !== 64) throw new Error(`expected an Ed25519 signature of 64 bytes, got ${signature.length}`)
  return `${input}.${Buffer.from(signature.buffer, signature.byteOffset, signature.byteLength).toString('base64url')}`
}

/** Is this what `issueReceipt` would ask this signer to sign, and no other kind of token? */
export function isReceiptInput(input: Uint8Array, signer: ReceiptSigner): boolean {
  const begins = Buffer.from(`${headerSegment(signer)}.`, 'latin1')
  return input.length > begins.length && begins.equals(input.subarray(0, begins.length))
}

function headerSegment(signer: ReceiptSigner): string {
  const known = headers.get(signer)
  if (known !== undefined) return known
  const made = Buffer.from(`{"alg":"EdDSA","typ":"${RECEIPT_TYP}","kid":${JSON.stringify(signer.kid)}}`).toString(
    'base64url',
  )
  headers.set(signer, made)
  return made
}

function payloadText(c: ReceiptClaims): string {
  if (c.final !== (c.res !== undefined)) throw new TypeError('a receipt carries `res` exactly when it is final')
  return (
    `{"iss":${JSON.stringify(c.iss)},"iat":${c.iat},"jti":${JSON.stringify(c.jti)},` +
    `"exchange":${JSON.stringify(c.exchange)},"stage":"${c.stage}","decision":"${c.decision}","final":${c.final},` +
    `"req":${JSON.stringify(c.req)}${member('res', c.res)},"leaf":${leafText(c.leaf)}` +
    `${c.shadow === true ? ',"shadow":true' : ''}${member('owner', c.owner)}${member('check', c.check)}}`
  )
}

function member(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`
}
