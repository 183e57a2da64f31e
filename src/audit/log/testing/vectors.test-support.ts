/** The vectors, and their keys. */
import { createPrivateKey, sign } from 'node:crypto'
import { SigningKey } from '../../../keys/signing.ts'
import { COSIGNATURE_ED25519, ED25519, type KeyType, type NoteSigner, noteKey } from '../note.ts'
import vectors from '../testdata/vectors.json' with { type: 'json' }

export { vectors }

/** RFC 8410: the DER of an Ed25519 private key before its seed. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

export async function signerOf(name: string, seedByte: number, type: KeyType): Promise<NoteSigner> {
  const der = Buffer.concat([PKCS8, Buffer.alloc(32, seedByte)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const publicKey = SigningKey.fromPem(pem).publicBytes()
  return { key: await noteKey(name, type, publicKey), sign: async data => new Uint8Array(sign(null, data, key)) }
}

export const logSigner = () => signerOf('gate.test/log', 1, ED25519)
export const witnessSigner = () => signerOf('witness.test/w1', 2, COSIGNATURE_ED25519)
export const hashesOf = (proof: readonly string[]) => proof.map(text => new Uint8Array(Buffer.from(text, 'base64')))
export const hashOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
