/** Time-stamp requests: RFC 3161 section 2.4.1. SHA-256, with a nonce, asking for the certificates. */
import { hash } from 'node:crypto'
import { Integer, OctetString } from 'asn1js'
import { AlgorithmIdentifier, MessageImprint, TimeStampReq } from 'pkijs'

export const SHA256 = '2.16.840.1.101.3.4.2.1'
export interface StampRequest {
  /** DER. */
  readonly bytes: Uint8Array
  /** As the response has to repeat it: the content of the INTEGER. */
  readonly nonce: Uint8Array
}

/** `policy`: an object identifier, to be stamped under this policy only. `random`: what the nonce is made of. */
export function makeRequest(data: Uint8Array, policy: string | undefined, random: Uint8Array): StampRequest {
  const nonce = Uint8Array.from(random)
  // A positive INTEGER in its shortest form: the first byte is neither zero nor negative.
  nonce[0] = ((nonce[0] ?? 0) & 0x3f) | 0x40
  const request = new TimeStampReq({
    version: 1,
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithmId: SHA256 }),
      hashedMessage: new OctetString({ valueHex: imprintOf(data).buffer }),
    }),
    nonce: new Integer({ valueHex: nonce.buffer }),
    certReq: true,
    ...(policy === undefined ? {} : { reqPolicy: policy }),
  })
  return { bytes: new Uint8Array(request.toSchema().toBER()), nonce }
}

export function imprintOf(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hash('sha256', data, 'buffer'))
}
