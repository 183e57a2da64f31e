/** The audit port that the gate and the pipeline see. Implemented in `audit/`. */
import type { Owner } from './exchange.ts'
import type { Verdict } from './verdict.ts'

/** Strings, safe integers, booleans and lists need no number rules in the canonical form. */
export type MetaValue =
  | string
  | number
  | boolean
  | null
  | readonly string[]
  | Readonly<Record<string, string | number | boolean | null>>

/** No hmac, prev, timestamp or key id: the sequencer owns those. */
export interface Row {
  /** UUIDv7, made by the caller so that a receipt can name the row before it is sequenced. */
  readonly entryId: string
  readonly owner: Owner
  /** `pipeline.preflight`, `pipeline.admission`, `pipeline.inspection`, `pipeline.commitment`, `pipeline.complete`, `pipeline.upstream`, `pipeline.record`, … */
  readonly checkName: string
  readonly decision: Verdict['kind']
  readonly reason: string
  /** `sha256:<hex>` of the raw request, or empty. */
  readonly fingerprint: string
  /** The gate's own keys begin with `_` and win over a check's. */
  readonly metadata: Readonly<Record<string, MetaValue>>
}

export interface AuditWriter {
  /** Synchronous, never throws, never syncs by itself. Rows are sequenced in call order. */
  append(row: Row): Ticket
  /** False: admission answers 503 before any work and `/readyz` turns red. */
  readonly ok: boolean
  /** The last durable row's hmac, or `undefined` for an empty log. */
  readonly head: { readonly size: bigint; readonly hmac: string | undefined }
  /** Resolves when everything appended so far is durable; rejects when it cannot be. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface Ticket {
  readonly entryId: string
  /** Sequenced and written: sign the receipt now, beside the sync. */
  readonly placed: Promise<Placed>
  /** ASKING makes the next sync happen; one sync serves everyone who asked. Rejects with `AuditUnavailable`. */
  durable(): Promise<Placed>
}

export interface Placed {
  readonly index: bigint
  readonly tsNs: bigint
  readonly hmac: string
  /** The row's public commitment: SHA-256(salt || canonical row), lower-case hex. */
  readonly commit: string
  /** The row's canonical text without `hmac`: what the chain and a `signet=v1` receipt sign. */
  readonly canonical: string
  /** The public leaf, JCS of `{v, entry_id, exchange, ts_ns, decision, commit}`; in the log are its bytes as UTF-8. */
  readonly leaf: string
}

/**
 * How sure a decision is. `durable`: its row outlives a power cut. `logged`: the row is under a signed checkpoint of the
 * transparency log. `witnessed`: enough witnesses have cosigned such a checkpoint. Each holds what the ones before hold.
 */
export const ASSURANCES = ['durable', 'logged', 'witnessed'] as const
export type Assurance = (typeof ASSURANCES)[number]
/** What the transparency log adds to the audit log's own `durable()`. */
export type LogLevel = Exclude<Assurance, 'durable'>

/** The transparency log, to whoever must wait for it. */
export interface RowLog {
  /** For a durable row. Asking makes the next checkpoint come at once. Rejects when it cannot be made. */
  reached(index: number, level: LogLevel): Promise<void>
  readonly status: RowLogStatus
}

/** What the log has, against what it should have. */
export interface RowLogStatus {
  readonly ok: boolean
  /** Why not; one line, for the operator. */
  readonly reason: string | undefined
  /** Stopped for good by evidence of another history; only the operator can let it go on. */
  readonly halted: boolean
  /** Entries under the last signed checkpoint. */
  readonly size: number
  /** Durable rows that are not. */
  readonly behind: number
  /** How long the oldest of them has waited, in milliseconds. */
  readonly behindMs: number
  /** Entries under the last checkpoint that the witnesses' policy accepts; `undefined` without witnesses. */
  readonly witnessed: number | undefined
}

export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable'
  readonly code = 'audit_unavailable'
}
