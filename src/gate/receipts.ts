/** Receipts of one exchange: named by a row's leaf as soon as the row has its place, signed while the sync runs. */
import type { Placed, Ticket } from '../core/row.ts'
import type { Verdict } from '../core/verdict.ts'
import { KeyError } from '../keys/error.ts'
import type { Signer } from '../keys/signing.ts'
import type { PublicLeaf, ReceiptStage } from '../receipt/claims.ts'
import { issueReceipt } from '../receipt/issue.ts'
import { issueSignetV1 } from '../receipt/signet-v1.ts'
import type { Gate, Receipts } from './gate.ts'

export interface ReceiptFacts {
  readonly ticket: Ticket
  readonly exchange: string
  readonly stage: ReceiptStage
  readonly decision: Verdict['kind']
  readonly req: string
  /** Given exactly when the answer is over. */
  readonly res?: string
  readonly shadow?: true
  readonly owner: string | undefined
  readonly check: string | undefined
}

/** False: receipts are configured and nobody can sign one, so nothing may be released. */
export function receiptsReady(gate: Gate): boolean {
  return gate.receipts === undefined || gate.receipts.keys.at(gate.clock.now()) !== undefined
}

/** No key is valid, or the signer fails: what the receipt is about must not be released. */
export class ReceiptUnsigned extends Error {
  override readonly name = 'ReceiptUnsigned'
}

/** Rejects with `ReceiptUnsigned`, and with `AuditUnavailable` when the row did not come to stand. */
export async function signReceipt(gate: Gate, receipts: Receipts, f: ReceiptFacts): Promise<string> {
  const placed = await f.ticket.placed
  try {
    return await issue(gate, receipts, f, placed)
  } catch (error) {
    throw new ReceiptUnsigned('the receipt of this decision cannot be signed', { cause: error })
  }
}

function issue(gate: Gate, receipts: Receipts, f: ReceiptFacts, placed: Placed): string | Promise<string> {
  if (receipts.form === 'signet-v1')
    return issueSignetV1(f.ticket.entryId, Buffer.from(placed.canonical), signerAt(receipts, gate.clock.now()))
  // One moment for both: the key has to be valid at `iat`.
  const now = gate.clock.now()
  const leaf: PublicLeaf = {
    v: 1,
    entry_id: f.ticket.entryId,
    exchange: f.exchange,
    ts_ns: placed.tsNs.toString(),
    decision: f.decision,
    commit: placed.commit,
  }
  return issueReceipt(
    {
      iss: receipts.issuer,
      iat: Math.floor(now / 1000),
      jti: f.ticket.entryId,
      exchange: f.exchange,
      stage: f.stage,
      decision: f.decision,
      final: f.res !== undefined,
      req: f.req,
      ...(f.res === undefined ? {} : { res: f.res }),
      leaf,
      ...(f.shadow ? { shadow: true } : {}),
      ...(gate.settings.strict || f.owner === undefined ? {} : { owner: f.owner }),
      ...(gate.settings.strict || f.check === undefined ? {} : { check: f.check }),
    },
    signerAt(receipts, now),
  )
}

function signerAt(receipts: Receipts, ms: number): Signer {
  const signer = receipts.keys.at(ms)
  if (signer === undefined) throw new KeyError('key_not_valid', 'no receipt key is valid now')
  return signer
}
