/** A passkey's signature over exactly this decision, made by the browser; see docs/escalations.md. */
import { api } from './api.ts'

export async function signDecision(
  id: string,
  decision: 'approve' | 'deny',
  digest: string,
  reason: string | undefined,
): Promise<unknown> {
  const options = await api.passkeyOptions(id, { decision, digest, ...(reason === undefined ? {} : { reason }) })
  const { challenge, rpId, allowCredentials, userVerification, timeout } = options
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({
    challenge: String(challenge),
    ...(typeof rpId === 'string' ? { rpId } : {}),
    ...(typeof timeout === 'number' ? { timeout } : {}),
    ...(userVerification === 'required' ? { userVerification } : {}),
    allowCredentials: Array.isArray(allowCredentials) ? allowCredentials : [],
  })
  const signed = await navigator.credentials.get({ publicKey })
  if (!(signed instanceof PublicKeyCredential)) throw new Error('no passkey signed')
  return signed.toJSON()
}
