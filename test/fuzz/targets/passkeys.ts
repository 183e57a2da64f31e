/** What browsers send of passkeys, and evidence that was kept: nothing that the key did not sign is believed, nothing throws. */
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { encodeCBOR } from '@levischuck/tiny-cbor'
import { canonicalJson } from '../../../src/core/jcs.ts'
import { loadWebauthn, readAssertion, verifyAssertion, verifyRegistration } from '../../../src/escalation/assertion.ts'
import { digestOf } from '../../../src/escalation/digest.ts'
import type { PasskeyEvidence } from '../../../src/escalation/escalation.ts'
import { decisionChallenge, evidenceDigest } from '../../../src/escalation/evidence.ts'
import { verifyEvidence } from '../../../src/escalation/verify-evidence.ts'
import { bytesOf, equal, must, type Target, textOf } from '../target.ts'
import { buildJson } from './json.ts'

/** RFC 8032 section 7.1, test 1: a key everybody knows, so that the corpus can hold what it signed. */
const KEY = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
})
const RP = { rpId: 'localhost', origins: ['http://localhost:8444'] }
const [ORIGIN = ''] = RP.origins
const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

const X = Buffer.from(createPublicKey(KEY).export({ format: 'jwk' }).x ?? '', 'base64url')
const COSE = encodeCBOR(
  new Map<number, number | Uint8Array>([
    [1, 1],
    [3, -8],
    [-1, 6],
    [-2, new Uint8Array(X)],
  ]),
)
const ID = Buffer.alloc(16, 7)
const authData = (flags: number, more: Uint8Array = Buffer.of()) =>
  Buffer.concat([createHash('sha256').update(RP.rpId).digest(), Buffer.of(flags), Buffer.of(0, 0, 0, 1), more])
const clientData = (type: string, challenge: string) =>
  Buffer.from(JSON.stringify({ type, challenge, origin: ORIGIN, crossOrigin: false }))

const shown = { escalation: 'e-1', owner: 'human:alice', calls: [{ tool: 'issue_refund' }] }
const SAID = {
  escalation: 'e-1',
  digest: digestOf(canonicalJson(shown)),
  decision: 'approve' as const,
  approver: 'human:bob',
  reason: 'ticket 7',
}
const CHALLENGE = decisionChallenge(SAID)
const signedData = authData(0x05)
const client = clientData('webauthn.get', CHALLENGE)
const ASSERTION = {
  id: b64(ID),
  rawId: b64(ID),
  type: 'public-key',
  response: {
    authenticatorData: b64(signedData),
    clientDataJSON: b64(client),
    signature: b64(sign(null, Buffer.concat([signedData, createHash('sha256').update(client).digest()]), KEY)),
  },
}
const EVIDENCE: PasskeyEvidence = {
  kind: 'passkey',
  credentialId: b64(ID),
  publicKey: b64(COSE),
  authenticatorData: ASSERTION.response.authenticatorData,
  clientDataJson: ASSERTION.response.clientDataJSON,
  signature: ASSERTION.response.signature,
  rpId: RP.rpId,
  origin: ORIGIN,
}
const DOCUMENT = {
  v: 1,
  escalation: SAID.escalation,
  state: 'approved',
  digest: SAID.digest,
  shown,
  rule: { kind: 'chain', approvers: ['human:bob'] },
  decisions: [
    {
      approver: SAID.approver,
      decision: SAID.decision,
      by: 'api_key, passkey',
      at_ms: 1,
      digest: SAID.digest,
      reason: SAID.reason,
      evidence: EVIDENCE,
      evidence_digest: evidenceDigest(EVIDENCE),
    },
  ],
}
const REGISTRATION = {
  ...ASSERTION,
  response: {
    clientDataJSON: b64(clientData('webauthn.create', 'AAAA')),
    attestationObject: b64(
      encodeCBOR(
        new Map<string, string | Uint8Array | Map<string, string>>([
          ['fmt', 'none'],
          ['attStmt', new Map<string, string>()],
          [
            'authData',
            new Uint8Array(authData(0x45, Buffer.concat([Buffer.alloc(16), Buffer.of(0, ID.length), ID, COSE]))),
          ],
        ]),
      ),
    ),
    transports: ['internal'],
  },
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes))
  } catch {
    return undefined
  }
}

export const evidence: Target = {
  name: 'evidence',
  words: ['"deny"', '"approve"', '"reason":null', 'human:carol', '"evidence":null', '"v":1', b64(COSE), SAID.digest],
  build: random => bytesOf(JSON.stringify(random.chance(2) ? DOCUMENT : { ...DOCUMENT, shown: buildJson(random) })),
  check: async bytes => {
    const report = await verifyEvidence(parsed(bytes))
    for (const d of report?.decisions ?? []) {
      if (d.verdict !== 'signed') continue
      equal([report?.escalation, report?.digest], [SAID.escalation, SAID.digest], 'what was signed')
      equal([d.approver, d.decision], [SAID.approver, SAID.decision], 'whose decision it was')
      if (report?.digestHolds === true) equal(report.shown, shown, 'what the digest is over')
    }
  },
}

export const assertion: Target = {
  name: 'assertion',
  words: ['"type":"public-key"', '"rawId":', b64(ID), 'AAAA', '"crossOrigin":true', ASSERTION.response.clientDataJSON],
  build: random =>
    bytesOf(JSON.stringify(random.chance(3) ? { ...ASSERTION, response: buildJson(random) } : ASSERTION)),
  check: async bytes => {
    const given = readAssertion(parsed(bytes))
    if (given === undefined) return
    const key = { credentialId: b64(ID), publicKey: b64(COSE), counter: 0 }
    const said = await verifyAssertion(await loadWebauthn(), given, key, { ...RP, challenge: CHALLENGE })
    if (!said.ok) return
    // Another spelling of the same bytes is the same.
    const bytesOfIt = (text: string) => Buffer.from(text, 'base64url').toString('hex')
    equal(bytesOfIt(given.signature), bytesOfIt(EVIDENCE.signature), 'the signature')
    equal(bytesOfIt(given.clientDataJSON), bytesOfIt(EVIDENCE.clientDataJson), 'what the browser said')
    equal(bytesOfIt(given.authenticatorData), bytesOfIt(EVIDENCE.authenticatorData), 'what the authenticator said')
  },
}

export const registration: Target = {
  name: 'registration',
  words: ['"attestationObject":', '"fmt"', b64(COSE), b64(ID), 'o2NmbXRkbm9uZQ', '"transports":["usb"]'],
  build: random =>
    bytesOf(JSON.stringify(random.chance(3) ? { ...REGISTRATION, response: buildJson(random) } : REGISTRATION)),
  check: async bytes => {
    const made = await verifyRegistration(await loadWebauthn(), parsed(bytes), { ...RP, challenge: 'AAAA' })
    if (!made.ok) return
    const { credentialId, publicKey, transports } = made.registered
    must(/^[A-Za-z0-9_-]+$/.test(credentialId) && publicKey !== '', 'a passkey has an id and a key')
    must(
      transports.every(t => /^[a-z-]+$/.test(t)),
      'transports are words',
    )
  },
}
