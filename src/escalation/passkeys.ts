/**
 * Passkeys of approvers: invited, registered, asked, taken away. What each says is verified in `assertion.ts`.
 *
 * Guarantees: a passkey belongs to one principal, who proved who they are when they made it, and, unless the operator lets
 * people register on their own, was invited to by an admin, once; each step is a durable row before it has its effect; a
 * signature is accepted only from a passkey of the very person who decides. What is kept is sealed, so whoever can only
 * write the store cannot make a passkey somebody's. Does not guarantee: that a store put back to an older copy does not hold
 * a passkey that was taken away since. A registration that has begun is forgotten with the process.
 */
import { createHash } from 'node:crypto'
import type { Clock, Random } from '../core/clock.ts'
import type { AuditWriter, MetaValue } from '../core/row.ts'
import type { PasskeyStore, StoredPasskey } from '../core/state.ts'
import {
  ALGORITHMS,
  type Expected,
  loadWebauthn,
  type Registered,
  readAssertion,
  verifyAssertion,
  verifyRegistration,
  type Webauthn,
} from './assertion.ts'
import type { Box } from './box.ts'
import type { Escalation, PasskeyEvidence } from './escalation.ts'
import { type AssertionProblem, type Decided, decisionChallenge, publicKeyDigest } from './evidence.ts'
import { evidenceDocument } from './evidence-document.ts'
import { passkeyRow } from './rows.ts'

export interface RelyingParty {
  /** A host name: what browsers bind a passkey to. */
  readonly id: string
  /** Pages that may ask for it, exactly as browsers write their origin. */
  readonly origins: readonly string[]
}

export interface PasskeyPorts {
  readonly store: PasskeyStore
  readonly box: Box
  readonly audit: AuditWriter
  readonly clock: Clock
  readonly random: Random
  readonly rp: RelyingParty
  /** `invited`: by an admin, first. `self`: whoever may approve. */
  readonly registration: 'invited' | 'self'
}

/** Who acts, and how they were known. */
export interface Actor {
  readonly principal: string
  readonly by: string
}

export interface Passkey extends Registered {
  readonly principal: string
  /** As its owner calls it. */
  readonly name: string
  readonly createdAtMs: number
}

export type NotRegistered = 'not_invited' | 'not_begun' | 'taken' | 'too_many' | AssertionProblem

const INVITATION_MS = 24 * 3_600_000
const CEREMONY_MS = 5 * 60_000
const MAX_BEGUN = 1_000
export const MAX_PASSKEYS_EACH = 10
const TRIES = 8
const PURPOSE = 'passkey'
const EVIDENCE = 'evidence'

export class Passkeys {
  readonly #p: PasskeyPorts
  readonly #webauthn: Webauthn
  /** Registrations under way, the newest of each person. */
  readonly #begun = new Map<string, { readonly challenge: string; readonly untilMs: number }>()

  private constructor(ports: PasskeyPorts, webauthn: Webauthn) {
    this.#p = ports
    this.#webauthn = webauthn
  }

  /** Throws `WebauthnMissing` when the package is not there. */
  static async open(ports: PasskeyPorts): Promise<Passkeys> {
    return new Passkeys(ports, await loadWebauthn())
  }

  /** An admin lets somebody register one passkey. The invitation is told once, and no use to anybody else. */
  async invite(by: Actor, principal: string): Promise<{ readonly invitation: string; readonly expiresAtMs: number }> {
    const { store, box, clock, random } = this.#p
    const invitation = Buffer.from(random.bytes(32)).toString('base64url')
    const now = clock.now()
    await this.#row('passkey.invited', by, principal, 'somebody was invited to register a passkey', {})
    await store.invite(hashOf(invitation), box.tag(principal), now + INVITATION_MS, now)
    return { invitation, expiresAtMs: now + INVITATION_MS }
  }

  /** What `navigator.credentials.create` is given (PublicKeyCredentialCreationOptionsJSON). */
  async begin(
    who: Actor,
    invitation: string | undefined,
  ): Promise<
    { readonly ok: true; readonly options: object } | { readonly ok: false; readonly problem: NotRegistered }
  > {
    const { clock, random, rp } = this.#p
    const refused = await this.#mayRegister(who.principal, invitation)
    if (refused !== undefined) return { ok: false, problem: refused }
    const now = clock.now()
    const challenge = random.bytes(32)
    for (const [principal, { untilMs }] of this.#begun)
      if (untilMs <= now || this.#begun.size >= MAX_BEGUN) this.#begun.delete(principal)
    this.#begun.delete(who.principal)
    this.#begun.set(who.principal, {
      challenge: Buffer.from(challenge).toString('base64url'),
      untilMs: now + CEREMONY_MS,
    })
    const options = await this.#webauthn.generateRegistrationOptions({
      rpName: 'signet',
      rpID: rp.id,
      userName: who.principal,
      userDisplayName: who.principal,
      // Says nothing about the person: https://www.w3.org/TR/webauthn-3/#sctn-user-handle-privacy
      userID: new Uint8Array(createHash('sha256').update(this.#p.box.tag(who.principal)).digest()),
      challenge: new Uint8Array(challenge),
      timeout: CEREMONY_MS,
      attestationType: 'none',
      excludeCredentials: (await this.list(who.principal)).map(p => ({ id: p.credentialId })),
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
      supportedAlgorithmIDs: ALGORITHMS,
    })
    return { ok: true, options }
  }

  async register(
    who: Actor,
    { invitation, name, response }: { readonly invitation?: string; readonly name: string; readonly response: unknown },
  ): Promise<
    { readonly ok: true; readonly passkey: Passkey } | { readonly ok: false; readonly problem: NotRegistered }
  > {
    const { store, box, clock } = this.#p
    const refuse = async (problem: NotRegistered) => {
      await this.#row('passkey.not_registered', who, who.principal, 'a passkey was not registered', { _code: problem })
      return { ok: false as const, problem }
    }
    const begun = this.#begun.get(who.principal)
    // One answer for each beginning, whether it is good or bad.
    this.#begun.delete(who.principal)
    if (begun === undefined || clock.now() >= begun.untilMs) return refuse('not_begun')
    const refused = await this.#mayRegister(who.principal, invitation)
    if (refused !== undefined) return refuse(refused)
    const made = await verifyRegistration(this.#webauthn, response, this.#expected(begun.challenge))
    if (!made.ok) return refuse(made.problem)
    const { registered } = made
    if ((await store.get(registered.credentialId)) !== undefined) return refuse('taken')
    const passkey: Passkey = { ...registered, principal: who.principal, name, createdAtMs: clock.now() }
    await this.#row('passkey.registered', who, who.principal, 'a passkey was registered', {
      ...facts(passkey),
      _invited: invitation !== undefined,
    })
    const added = await store.add(
      toStored(box, passkey, 1),
      invitation === undefined ? undefined : hashOf(invitation),
      MAX_PASSKEYS_EACH,
      clock.now(),
    )
    return added === 'added' ? { ok: true, passkey } : refuse(added)
  }

  /** Oldest first. */
  async list(principal: string): Promise<readonly Passkey[]> {
    const { store, box } = this.#p
    return (await store.of(box.tag(principal))).map(stored => fromStored(box, stored).passkey)
  }

  /** `mine`: only if it is the actor's own. False when there is no such passkey for them. */
  async revoke(by: Actor, credentialId: string, mine: boolean): Promise<boolean> {
    const read = await this.#read(credentialId)
    if (read === undefined || (mine && read.passkey.principal !== by.principal)) return false
    await this.#row('passkey.revoked', by, read.passkey.principal, 'a passkey was taken away', facts(read.passkey))
    return await this.#p.store.remove(credentialId)
  }

  /** What `navigator.credentials.get` is given (PublicKeyCredentialRequestOptionsJSON); `undefined`: they have no passkey. */
  async ask(said: Decided): Promise<object | undefined> {
    const passkeys = await this.list(said.approver)
    if (passkeys.length === 0) return undefined
    return await this.#webauthn.generateAuthenticationOptions({
      rpID: this.#p.rp.id,
      challenge: new Uint8Array(Buffer.from(decisionChallenge(said), 'base64url')),
      timeout: CEREMONY_MS,
      userVerification: 'required',
      allowCredentials: passkeys.map(p => ({ id: p.credentialId, transports: [...p.transports] })),
    })
  }

  /** The evidence that this person's passkey signed this decision. */
  async evidence(
    said: Decided,
    response: unknown,
  ): Promise<
    | { readonly ok: true; readonly evidence: PasskeyEvidence }
    | { readonly ok: false; readonly problem: AssertionProblem }
  > {
    const given = readAssertion(response)
    if (given === undefined) return { ok: false, problem: 'malformed' }
    for (let tries = 0; tries < TRIES; tries += 1) {
      const read = await this.#read(given.id)
      if (read?.passkey.principal !== said.approver) return { ok: false, problem: 'another_passkey' }
      const verified = await verifyAssertion(
        this.#webauthn,
        given,
        read.passkey,
        this.#expected(decisionChallenge(said)),
      )
      if (!verified.ok) return verified
      // Before the decision: of two signatures with one count only one is taken.
      const next = toStored(this.#p.box, { ...read.passkey, counter: verified.counter }, read.version + 1)
      if (await this.#p.store.replace(next)) return { ok: true, evidence: verified.evidence }
    }
    throw new Error('the passkey changed again and again while it was used')
  }

  /** What passkeys have signed of it outlives the escalation. Nothing is kept of one that none has signed. */
  async keep(e: Escalation): Promise<void> {
    if (e.decisions.every(d => d.evidence === undefined)) return
    const document = Buffer.from(JSON.stringify(evidenceDocument(e)))
    await this.#p.store.keep(e.id, this.#p.box.seal(EVIDENCE, e.id, document))
  }

  /** The evidence document of an escalation that is forgotten, as it was at its last signature. */
  async kept(escalation: string): Promise<object | undefined> {
    const sealed = await this.#p.store.kept(escalation)
    if (sealed === undefined) return undefined
    const document: object = JSON.parse(Buffer.from(this.#p.box.open(EVIDENCE, escalation, sealed)).toString())
    return document
  }

  async close(): Promise<void> {
    await this.#p.store.close()
  }

  #expected(challenge: string): Expected {
    return { challenge, rpId: this.#p.rp.id, origins: this.#p.rp.origins }
  }

  async #mayRegister(principal: string, invitation: string | undefined): Promise<NotRegistered | undefined> {
    const { store, box, clock, registration } = this.#p
    if (invitation === undefined) {
      if (registration === 'invited') return 'not_invited'
    } else if (!(await store.invited(hashOf(invitation), box.tag(principal), clock.now()))) return 'not_invited'
    return (await store.of(box.tag(principal))).length >= MAX_PASSKEYS_EACH ? 'too_many' : undefined
  }

  async #read(id: string): Promise<{ readonly passkey: Passkey; readonly version: number } | undefined> {
    const stored = await this.#p.store.get(id)
    return stored === undefined ? undefined : fromStored(this.#p.box, stored)
  }

  async #row(
    name: string,
    by: Actor,
    principal: string,
    reason: string,
    metadata: Readonly<Record<string, MetaValue>>,
  ): Promise<void> {
    await this.#p.audit.append(passkeyRow(name, by, principal, reason, metadata, () => this.#p.random.uuid())).durable()
  }
}

function facts(p: Passkey): Readonly<Record<string, MetaValue>> {
  return {
    _passkey_id: p.credentialId,
    _passkey_key_sha256: publicKeyDigest(p.publicKey),
    _passkey_aaguid: p.aaguid,
    _passkey_synced: p.synced,
  }
}

function toStored(box: Box, passkey: Passkey, version: number): StoredPasskey {
  return {
    id: passkey.credentialId,
    ownerTag: box.tag(passkey.principal),
    createdAtMs: passkey.createdAtMs,
    version,
    record: box.seal(`${PURPOSE} ${version}`, passkey.credentialId, Buffer.from(JSON.stringify(passkey))),
  }
}

/** Throws `SealBroken` when the record is not what was sealed under this id and version. */
function fromStored(box: Box, stored: StoredPasskey): { readonly passkey: Passkey; readonly version: number } {
  const plain = box.open(`${PURPOSE} ${stored.version}`, stored.id, stored.record)
  // What was authenticated is what `toStored` wrote: its shape needs no second proof.
  const passkey: Passkey = JSON.parse(Buffer.from(plain).toString())
  return { passkey, version: stored.version }
}

/** Invitations are random and long: a plain hash gives nothing away. */
function hashOf(invitation: string): string {
  return createHash('sha256').update(invitation).digest('hex')
}
