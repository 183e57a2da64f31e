/** The form of a public leaf; see `leaf.ts`. Without `node:` imports: browsers make it too. */

export interface LeafParts {
  /** JSON strings, as they stand in the row. */
  readonly entryId: string
  readonly exchange: string
  readonly decision: string
  readonly tsNs: bigint
  /** Lower-case hex. */
  readonly commit: string
}

/** For strings without lone surrogates RFC 8785 section 3.2.2.2 escapes as JSON.stringify does. */
export function leafJson({ entryId, exchange, decision, tsNs, commit }: LeafParts): string {
  return (
    `{"commit":"${commit}","decision":"${decision}","entry_id":${entryId},` +
    `"exchange":${exchange},"ts_ns":"${tsNs}","v":1}`
  )
}

/** Bytes of a name in a leaf, as JSON; beyond it the name is cut. No row of this gate is that long. */
export const MAX_NAME_BYTES = 30_000
/** UTF-16 units that are then kept: at most six bytes each. */
export const CUT_NAME = 4096
