/**
 * Signing compact JWS with EdDSA (RFC 7515, RFC 8037). On the path of every answer, so payloads are written by hand and a
 * header is encoded once per key and type. The signer works off the main thread. Node only; verifiers import `compact.ts`.
 */

/** The part of a signing key that signing needs. */
export interface JwsSigner {
  readonly kid: string
  readonly alg: 'EdDSA'
  /** 64 bytes of Ed25519 signature. */
  sign(data: Uint8Array): Promise<Uint8Array>
}

const headers = new WeakMap<JwsSigner, Map<string, string>>()

/** `payload`: JSON text. Rejects when the signer does. */
export async function signCompact(typ: string, payload: string, signer: JwsSigner): Promise<string> {
  const input = `${headerSegment(typ, signer)}.${Buffer.from(payload).toString('base64url')}`
  const signature = await signer.sign(Buffer.from(input, 'latin1'))
  if (signature.length !== 64) throw new Error(`expected an Ed25519 signature of 64 bytes, got ${signature.length}`)
  return `${input}.${Buffer.from(signature.buffer, signature.byteOffset, signature.byteLength).toString('base64url')}`
}

/** Is this what `signCompact` would ask this signer to sign for a token of this type, and no other? */
export function isTokenInput(typ: string, input: Uint8Array, signer: JwsSigner): boolean {
  const begins = Buffer.from(`${headerSegment(typ, signer)}.`, 'latin1')
  return input.length > begins.length && begins.equals(input.subarray(0, begins.length))
}

function headerSegment(typ: string, signer: JwsSigner): string {
  let known = headers.get(signer)
  if (known === undefined) headers.set(signer, (known = new Map()))
  let made = known.get(typ)
  if (made === undefined) {
    made = Buffer.from(`{"alg":"EdDSA","typ":"${typ}","kid":${JSON.stringify(signer.kid)}}`).toString('base64url')
    known.set(typ, made)
  }
  return made
}
