/** Issuing capabilities: compact JWS with EdDSA. Node only; executors import `index.ts`. */
import { type JwsSigner, signCompact } from '../jws/sign.ts'
import { CAPABILITY_TYP, type CapabilityClaims, readClaims } from './claims.ts'

/** Rejects for claims that no verifier would take, and when the signer does: a call never leaves with half a capability. */
export async function issueCapability(claims: CapabilityClaims, signer: JwsSigner): Promise<string> {
  return signCompact(CAPABILITY_TYP, JSON.stringify(readClaims(claims)), signer)
}
