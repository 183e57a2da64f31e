/**
 * What a check is. Pure contract: no Node types, no dialect, no I/O. A check never sees a wire format: requests come
 * as segments, responses as channels of text and as complete tool calls.
 */
import type { PatternSet, Scan } from '../text/scan.ts'
import type { Exchange, Levels, Outcome, Owner } from './exchange.ts'
import type { Assurance } from './row.ts'
import type { SharedState } from './state.ts'
import type { Because, TextEdit, Verdict } from './verdict.ts'
import type { Channel, Segment, ToolCall } from './wire.ts'

/** A check that needs no waiting returns plainly; the pipeline then makes no promise and no timer. */
export type MaybeAsync<T> = T | Promise<T>

/** The version of this contract. A plugin declares the one it was written for in its package.json. */
export const CHECK_ABI_VERSION = 1

export interface Check {
  /** `[a-z][a-z0-9_]*`, unique in a pipeline. */
  readonly name: string
  /** Lower runs first; equal priorities keep their registration order. Cheap checks should run early. */
  readonly priority: number
  /** Bounds asynchronous work only, in milliseconds; synchronous work must be bounded by construction. */
  readonly timeLimitMs: number
  /** Decide and record, never enforce. Set by the operator, per check. */
  readonly shadow?: boolean
  /** Joined at pipeline build with every other check's into one scan per text. */
  readonly patterns?: PatternSet
  /**
   * What `inspect` has to be asked about text that only repeats or decodes other text (`channel.snapshot`). `hits`: nothing,
   * where none of `patterns` hits in the whole of it; the check then promises that it would have allowed it. `none`: nothing
   * at all. Default: everything.
   */
  readonly snapshots?: 'all' | 'hits' | 'none'
  /** Plain JSON: name, stages, options. The policy digest, `signet lint`, the console and replay read it. */
  describe(): Readonly<Record<string, unknown>>
  /** Does it know, from its options, that it can hold a call for a human? Then a gate without approvers does not start. */
  readonly canEscalate?: boolean
  /** For checks that know tools: how sure an approved call's row must be before the call leaves. */
  readonly assurance?: Assurances
  /** For checks that know tools: who may run an approved call. Such a call leaves with a capability. */
  readonly audience?: Audiences
  /** For checks that know tools: how whoever approves a call must have shown who they are. */
  readonly approverAuth?: ApproverAuths
  /** Called at start, before `describe`, when several gates share state. A check that was given a state of its own keeps that. */
  shareState?(shared: SharedState): void
  /** Before the model is called. To redact, call `ctx.edit(segment, edits)` and return a redact verdict with `edits: []`. */
  admit?(x: Exchange, ctx: Ctx): MaybeAsync<Verdict>
  /** Called once per exchange; the closure holds per-exchange state shared by its channels. */
  inspect?(x: Exchange, ctx: Ctx): (channel: Channel) => Inspector | undefined
  /** Every complete tool call the model proposes, before the caller sees it. */
  commit?(call: ToolCall, x: Exchange, ctx: Ctx): MaybeAsync<Verdict>
  /** After the exchange. Flags only: the type cannot block. */
  record?(outcome: Outcome, x: Exchange, ctx: Ctx): MaybeAsync<readonly Because[]>
}

/** What tools demand of the row of their calls. */
export interface Assurances {
  /** The most that any tool demands: whether the gate can give it is found out at start. */
  readonly highest: Assurance
  of(tool: string): Assurance
}

/** For whom capabilities are issued. */
export interface Audiences {
  /** Does any tool have one? */
  readonly any: boolean
  /** The executor that may run it (`aud`); `undefined`: no capability is issued for this tool. */
  of(tool: string): string | undefined
}

/** How sure it must be who approved. */
export interface ApproverAuths {
  /** Does any tool demand a passkey? Whether there can be one is found out at start. */
  readonly any: boolean
  /** `passkey`: by a signature of the approver's own; `undefined`: by whatever proves people at the control plane. */
  of(tool: string): 'passkey' | undefined
}

export interface Ctx {
  /** Aborted when the exchange ends or the caller goes away. One per exchange. */
  readonly signal: AbortSignal
  /** Milliseconds since the epoch, from the injected clock. */
  now(): number
  /**
   * Commitment only: the calls of an answer that waited for a human are judged once more before it leaves. What counts calls
   * has counted them when they were proposed.
   */
  readonly again?: true
  /** The shared fold and joined scan of a request text: computed once however many checks ask. */
  scan(text: string): Scan
  /** Admission only: replace parts of a segment of the CURRENT view; later checks see the result. An empty replacement is refused. */
  edit(segment: Segment, edits: readonly TextEdit[]): void
  /** Admission only: name the owner of an exchange that has none. Throws when one is already resolved. */
  claimOwner(owner: Owner): void
  /** Admission only: raise or fix the data level that the exchange's output is held to. See `Exchange.levels`. */
  setLevels(levels: Levels): void
  /** Runs exactly once for EVERY outcome, in reverse order of registration. For reserve-and-settle. */
  onSettle(f: (outcome: Outcome) => MaybeAsync<void>): void
}

/**
 * One per (check, channel). The same pieces in any cutting must give the same findings and the same final `settled`.
 * It goes on being fed after a finding: one that is shadowed or moot does not end the channel.
 */
export interface Inspector {
  push(piece: Piece): MaybeAsync<Inspection>
  /** The channel is complete; everything must be settled now (`settled` = total length). */
  end(piece: Piece): MaybeAsync<Inspection>
}

/**
 * `settled`: below this channel offset the inspector will never change its mind; monotonic, at most `piece.at + piece.text.length`.
 * A block or an edit below an already reported `settled` is a `check_error`. `at`: the offset of the finding, for the row.
 */
export interface Inspection {
  readonly settled: number
  readonly verdict: Verdict
  readonly at?: number
  /** Every range behind a block. Given, the block is moot when earlier checks have redacted all of them. */
  readonly ranges?: readonly { readonly from: number; readonly to: number }[]
}

/** A piece of one channel. `end()` receives an empty last piece, whose scan has decided everything. */
export interface Piece {
  readonly text: string
  /** Channel offset of the first unit of `text`, in UTF-16 units. */
  readonly at: number
  /** `hits` are those decided by this piece (channel offsets, never reported twice); `openFrom` the earliest offset still undecided. */
  readonly scan: Scan
}
