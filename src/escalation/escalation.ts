/**
 * An escalation: an exchange held for a human. `pending → approved | denied | expired`, and `approved → released | expired`;
 * nothing leads out of `denied`, `expired` or `released`.
 */
import type { Owner } from '../core/exchange.ts'

export type EscalationState = 'pending' | 'approved' | 'denied' | 'expired' | 'released'

/** Plain data: it is sealed and stored as JSON. Times are milliseconds since the epoch. */
export interface Escalation {
  readonly id: string
  /** The exchange's id: the correlation id callers see. */
  readonly exchange: string
  readonly owner: Owner
  /** Before the model was called, or about calls that it proposes. */
  readonly stage: 'admission' | 'commitment'
  readonly surface: string
  readonly upstream: string
  readonly policyDigest: string
  /** `sha256:<hex>` of the request bytes. */
  readonly requestDigest: string
  /** Why a human is asked: the check that escalated and its reason. */
  readonly check: string
  readonly reason: string
  readonly calls: readonly ProposedCall[]
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly rule: ApprovalRule
  /** What an approver approves; see `digest.ts`. */
  readonly digest: string
  /** SHA-256 (hex) of the token that the status address carries: whoever reads the store cannot ask in the owner's name. */
  readonly tokenHash: string
  readonly state: EscalationState
  readonly decisions: readonly ApproverDecision[]
  readonly release?: Release
}

export interface ProposedCall {
  readonly key: string
  readonly id: string
  readonly tool: string
  /** As the model wrote them. */
  readonly argumentsText: string
  /** `sha256:<hex>` over the RFC 8785 form; over the text itself where it is no I-JSON object. */
  readonly argumentsDigest: string
  /** Who may run it, when a capability is to be minted. */
  readonly audience?: string
  /** As the check that held it rates the tool. */
  readonly tier?: string
}

/**
 * Who has to say yes. `chain`: each in turn, in this order. `quorum`: any `needed` different ones. One no is a no.
 * Principals are `type:id` in their one accepted spelling. `auth`: a yes counts only with a passkey's signature over it.
 */
export type ApprovalRule =
  | { readonly kind: 'chain'; readonly approvers: readonly string[]; readonly auth?: 'passkey' }
  | {
      readonly kind: 'quorum'
      readonly approvers: readonly string[]
      readonly needed: number
      readonly auth?: 'passkey'
    }

export interface ApproverDecision {
  readonly approver: string
  readonly decision: 'approve' | 'deny'
  /** How the approver was authenticated: the strategy's name, then `passkey` where one signed: `jwt, passkey`. */
  readonly by: string
  readonly atMs: number
  /** The digest that the approver was shown and sent back. */
  readonly digest: string
  readonly reason?: string
  /** What proves it to somebody else: the passkey's signature over exactly this decision. */
  readonly evidence?: PasskeyEvidence
}

/**
 * A WebAuthn assertion (https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion) and all that is needed to verify it again
 * without asking anybody. Bytes in base64url.
 */
export interface PasskeyEvidence {
  readonly kind: 'passkey'
  readonly credentialId: string
  /** COSE_Key (RFC 9052). */
  readonly publicKey: string
  readonly authenticatorData: string
  readonly clientDataJson: string
  readonly signature: string
  /** The relying party whose hash the authenticator signed, and the page that asked. */
  readonly rpId: string
  readonly origin: string
}

/** One durable transition: what it fixes is what every later read gives. */
export interface Release {
  readonly atMs: number
  /** The released bytes may be read again until then: when the capabilities expire. */
  readonly untilMs: number
  /** Of the capabilities minted, in the order of the calls; empty where a tool has no audience. */
  readonly jtis: readonly string[]
  /** `sha256:<hex>` of the bytes the caller gets. */
  readonly body: string
  /** How many of them, at the end, are the bare end mark of a stream: a receipt goes before it. */
  readonly tail: number
}

/** Nobody will decide any more. */
export function isOver(state: EscalationState): boolean {
  return state === 'denied' || state === 'expired' || state === 'released'
}
