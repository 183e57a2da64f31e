/** Receipts for whoever holds one: no `node:` import, so this bundles for browsers and workers. Issuing is in `issue.ts`. */
export {
  leafBytes,
  leafText,
  type PublicLeaf,
  RECEIPT_TYP,
  type ReceiptClaims,
  type ReceiptStage,
  readClaims,
  STREAM_RECEIPT_COMMENT,
} from './claims.ts'
export { type ReceiptErrorCode, ReceiptInvalid } from './errors.ts'
export {
  buildJwks,
  type Ed25519Jwk,
  type FetchJwksOptions,
  fetchJwks,
  findKey,
  type JwksDocument,
  type KeySource,
  type RemoteJwksOptions,
  remoteJwks,
} from './jwks.ts'
export {
  parseSignetV1,
  type SignetV1,
  type SignetV1Key,
  type SignetV1Result,
  verifySignetV1,
} from './signet-v1.ts'
export {
  type FoundStreamReceipt,
  findStreamReceipt,
  readStreamRemainder,
  type VerifiedStream,
  verifyStreamReceipt,
} from './stream.ts'
export { unverifiedClaims } from './unverified.ts'
export { type VerifiedReceipt, type VerifyReceiptOptions, verifyReceipt } from './verify.ts'
