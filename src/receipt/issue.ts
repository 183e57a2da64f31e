/**
 * Issuing receipts: compact JWS with EdDSA. On the path of every answer, so the payload is written by hand. Node only;
 * verifiers import `verify.ts`.
 */
import { type JwsSigner, signCompact } from '../jws/sign.ts'
import { leafText, RECEIPT_TYP, type ReceiptClaims } from './claims.ts'

/** The part of a signing key that issuing needs. */
export type ReceiptSigner = JwsSigner

/** Rejects when the signer does; a receipt is never sent unsigned. */
export async function issueReceipt(claims: ReceiptClaims, signer: ReceiptSigner): Promise<string> {
  return signCompact(RECEIPT_TYP, payloadText(claims), signer)
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
