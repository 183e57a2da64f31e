/** What verification reports: one document for everything that a log rests on, plain data throughout. */
import type { Position } from './chain.ts'
import type { Break, BreakKind } from './walk.ts'

export type SectionStatus =
  /** Looked at, and nothing is wrong. */
  | 'sound'
  | 'broken'
  /** There is none: nothing of the kind was ever kept for this log. */
  | 'absent'
  /** Not looked at: asked not to, or no keys for it. */
  | 'not_checked'

/** Details are for machines; `text` is the one line that people read. */
export interface Section {
  readonly status: SectionStatus
  readonly text: string
  readonly details: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

export const SECTION_NAMES = ['chain', 'head', 'segments', 'tree', 'checkpoints', 'cosignatures', 'anchors'] as const
export type SectionName = (typeof SECTION_NAMES)[number]

export interface VerifyReport {
  readonly ok: boolean
  /** Rows of the log; with `from`, the rows before it included and not looked at. */
  readonly total_entries: number
  readonly breaks: readonly Break[]
  /** Breaks beyond those listed. */
  readonly more_breaks: number
  /** -1 when not even the first row is good. */
  readonly last_known_good_index: number
  readonly last_known_good_hmac: string
  /** Did a head file vouch for the length? */
  readonly head: 'checked' | 'absent' | 'ignored'
  /** Where verification began, and what vouches for everything before it. `null`: at the first row. */
  readonly from: { readonly index: number; readonly hmac: string; readonly fixed_by: string } | null
  readonly sections: Readonly<Partial<Record<SectionName, Section>>>
  readonly signet_version: string
  /** ISO 8601, UTC. */
  readonly verified_at: string
}

/** A place in a log that something other than the rows before it vouches for. */
export interface VerifyFrom {
  readonly position: Position
  /** `state file`, `manifest`, `row`, `checkpoint`. */
  readonly fixedBy: string
}

/** Another part of a log that can be checked beside the chain: tree, checkpoints, cosignatures, anchors. */
export interface SectionCheck {
  readonly name: SectionName
  /** Rejects only when something cannot be read; what is wrong is in the section. */
  check(): Promise<Section>
}

const SEGMENT_KINDS: ReadonlySet<BreakKind> = new Set([
  'segment_missing',
  'segment_damaged',
  'segment_swapped',
  'segment_mismatch',
  'segment_unlisted',
  'manifest_invalid',
])
const HEAD_KINDS: ReadonlySet<BreakKind> = new Set(['head_mismatch', 'log_truncated'])

export function sectionOf(kind: BreakKind): 'chain' | 'head' | 'segments' {
  if (SEGMENT_KINDS.has(kind)) return 'segments'
  return HEAD_KINDS.has(kind) ? 'head' : 'chain'
}
