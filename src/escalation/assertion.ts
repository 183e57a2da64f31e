/**
 * Passkeys' answers, verified: WebAuthn assertions and registrations (https://www.w3.org/TR/webauthn-3/#sctn-rp-operations).
 *
 * Guarantees: what is accepted was made for this challenge, this relying party and one of these pages, by this key, with the
 * user present and verified (PIN, fingerprint, face), not inside a page of somebody else. Whatever does not fit is one word
 * that says why, and never an exception. The package that reads CBOR and COSE is an optional peer, loaded when it is wanted.
 */
import { isFault, readJson, toValue } from '../dialects/json.ts'
import type { PasskeyEvidence } from './escalation.ts'
import type { AssertionProblem } from './evidence.ts'

export class WebauthnMissing extends Error {
  override readonly name = 'WebauthnMissing'
}

export type Webauthn = typeof import('@simplewebauthn/server')

/** Throws `WebauthnMissing` when the package is not there. */
export async function loadWebauthn(): Promise<Webauthn> {
  try {
    return await import('@simplewebauthn/server')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new WebauthnMissing(
        'passkeys: the package "@simplewebauthn/server" is not installed; run: npm install @simplewebauthn/server',
      )
    }
    throw error
  }
}

export interface Expected {
  readonly challenge: string
  readonly rpId: string
  readonly origins: readonly string[]
}

/** COSE algorithms (https://www.iana.org/assignments/cose): EdDSA, ES256, RS256. */
export const ALGORITHMS = [-8, -7, -257]

/** As `PublicKeyCredential.toJSON()` gives it (AuthenticationResponseJSON). */
export interface AssertionJson {
  readonly id: string
  readonly authenticatorData: string
  readonly clientDataJSON: string
  readonly signature: string
}

/** Base64url without padding; longer than any authenticator makes it is none. */
const BASE64URL = /^[A-Za-z0-9_-]{1,16384}$/

/** `undefined` when it has not the shape. What is not needed is left out. */
export function readAssertion(value: unknown): AssertionJson | undefined {
  const whole = record(value)
  const response = record(whole?.['response'])
  const [id, rawId] = [base64url(whole?.['id']), base64url(whole?.['rawId'])]
  const authenticatorData = base64url(response?.['authenticatorData'])
  const clientDataJSON = base64url(response?.['clientDataJSON'])
  const signature = base64url(response?.['signature'])
  if (whole?.['type'] !== 'public-key' || id === undefined || id !== rawId) return undefined
  if (authenticatorData === undefined || clientDataJSON === undefined || signature === undefined) return undefined
  return { id, authenticatorData, clientDataJSON, signature }
}

export interface KnownKey {
  readonly credentialId: string
  readonly publicKey: string
  /** Of the last signature; 0 for passkeys that do not count, synced ones among them. */
  readonly counter: number
}

export async function verifyAssertion(
  webauthn: Webauthn,
  given: AssertionJson,
  key: KnownKey,
  expected: Expected,
): Promise<
  | { readonly ok: true; readonly counter: number; readonly evidence: PasskeyEvidence }
  | { readonly ok: false; readonly problem: AssertionProblem }
> {
  const client = readClientData(given.clientDataJSON, 'webauthn.get', expected)
  if (typeof client === 'string') return { ok: false, problem: client }
  if (given.id !== key.credentialId) return { ok: false, problem: 'another_passkey' }
  const { id, authenticatorData, clientDataJSON, signature } = given
  try {
    const { verified, authenticationInfo } = await webauthn.verifyAuthenticationResponse({
      response: {
        id,
        rawId: id,
        type: 'public-key',
        response: { authenticatorData, clientDataJSON, signature },
        clientExtensionResults: {},
      },
      expectedChallenge: expected.challenge,
      expectedOrigin: [...expected.origins],
      expectedRPID: expected.rpId,
      requireUserVerification: true,
      credential: { id, publicKey: bytes(key.publicKey), counter: key.counter },
    })
    if (!verified) return { ok: false, problem: 'signature' }
    return {
      ok: true,
      counter: authenticationInfo.newCounter,
      evidence: {
        kind: 'passkey',
        credentialId: id,
        publicKey: key.publicKey,
        authenticatorData,
        clientDataJson: clientDataJSON,
        signature,
        rpId: expected.rpId,
        origin: client.origin,
      },
    }
  } catch (error) {
    return { ok: false, problem: problemOf(error) }
  }
}

export interface Registered {
  readonly credentialId: string
  readonly publicKey: string
  readonly counter: number
  readonly aaguid: string
  /** It lives in more than one device. */
  readonly synced: boolean
  readonly transports: readonly string[]
}

/** RegistrationResponseJSON, as a browser made it, is read here; attestation is not asked for and proves nothing here. */
export async function verifyRegistration(
  webauthn: Webauthn,
  value: unknown,
  expected: Expected,
): Promise<
  { readonly ok: true; readonly registered: Registered } | { readonly ok: false; readonly problem: AssertionProblem }
> {
  const whole = record(value)
  const response = record(whole?.['response'])
  const [id, rawId] = [base64url(whole?.['id']), base64url(whole?.['rawId'])]
  const attestationObject = base64url(response?.['attestationObject'])
  const clientDataJSON = base64url(response?.['clientDataJSON'])
  if (whole?.['type'] !== 'public-key' || id === undefined || id !== rawId) return { ok: false, problem: 'malformed' }
  if (attestationObject === undefined || clientDataJSON === undefined) return { ok: false, problem: 'malformed' }
  const client = readClientData(clientDataJSON, 'webauthn.create', expected)
  if (typeof client === 'string') return { ok: false, problem: client }
  try {
    const made = await webauthn.verifyRegistrationResponse({
      response: {
        id,
        rawId: id,
        type: 'public-key',
        response: { attestationObject, clientDataJSON },
        clientExtensionResults: {},
      },
      expectedChallenge: expected.challenge,
      expectedOrigin: [...expected.origins],
      expectedRPID: expected.rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    })
    if (!made.verified) return { ok: false, problem: 'signature' }
    const { credential, aaguid, credentialBackedUp, credentialDeviceType } = made.registrationInfo
    if (credential.id !== id) return { ok: false, problem: 'another_passkey' }
    const transports: readonly unknown[] = Array.isArray(response?.['transports']) ? response['transports'] : []
    return {
      ok: true,
      registered: {
        credentialId: id,
        publicKey: Buffer.from(credential.publicKey).toString('base64url'),
        counter: credential.counter,
        aaguid,
        synced: credentialBackedUp || credentialDeviceType === 'multiDevice',
        transports: transports
          .filter((t): t is string => typeof t === 'string' && /^[a-z-]{1,20}$/.test(t))
          .slice(0, 8),
      },
    }
  } catch (error) {
    return { ok: false, problem: problemOf(error) }
  }
}

/** https://www.w3.org/TR/webauthn-3/#dictdef-collectedclientdata, strictly: of two members with one name, readers differ. */
function readClientData(
  text: string,
  type: string,
  expected: Expected,
): { readonly origin: string } | AssertionProblem {
  const doc = readJson(bytes(text))
  const data = isFault(doc) ? undefined : record(toValue(doc.root))
  if (data === undefined || data['type'] !== type) return 'malformed'
  const { challenge, origin, crossOrigin, topOrigin } = data
  if (challenge !== expected.challenge) return 'another_challenge'
  if (typeof origin !== 'string' || !expected.origins.includes(origin)) return 'another_origin'
  // In a frame of another page its user may not see what is signed.
  if ((crossOrigin !== undefined && crossOrigin !== false) || topOrigin !== undefined) return 'framed'
  return { origin }
}

/** The package says why in a sentence; a sentence that is not known here is a malformed answer. */
function problemOf(error: unknown): AssertionProblem {
  const message = error instanceof Error ? error.message : ''
  if (/user verification|user could not be verified|not present/i.test(message)) return 'user_not_verified'
  if (/counter value/i.test(message)) return 'counter'
  if (/RP ID/i.test(message)) return 'another_relying_party'
  return 'malformed'
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}

function base64url(value: unknown): string | undefined {
  return typeof value === 'string' && BASE64URL.test(value) ? value : undefined
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}
