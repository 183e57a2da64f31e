/** What a row is counted, filtered and found by. One reading for the scan and for the index, so that both answer alike. */
import type { Json } from './canonical.ts'
import type { FilterField } from './filter-fields.ts'
import { sealedKeyId } from './seal.ts'
import type { StoredRow } from './stored.ts'

export interface RowFacts {
  readonly tsMs: number
  readonly decision: string
  /** The check that decided: a refusal is filed under its stage, with the check's name beside it. */
  readonly check: string
  readonly filed: string
  /** `type:id`; for a sealed owner `sealed:<key id>`, which says nothing once the key is gone. */
  readonly owner: string
  readonly ownerType: string
  readonly stage: string
  readonly entryId: string
  readonly exchange: string
}

export function factsOf(row: StoredRow): RowFacts {
  return {
    tsMs: Number(row.tsNs / 1_000_000n),
    decision: row.decision,
    check: deciding(row),
    filed: row.checkName,
    owner: ownerOf(row),
    ownerType: row.ownerType,
    stage: stageOf(row),
    entryId: row.entryId,
    exchange: metaText(row, '_exchange_id') ?? '',
  }
}

export function deciding(row: StoredRow): string {
  return metaText(row, '_check_name') ?? row.checkName
}

export function stageOf(row: StoredRow): string {
  return metaText(row, '_stage') ?? '-'
}

export function ownerOf(row: StoredRow): string {
  if (row.ownerType === 'unresolved') return 'unresolved'
  const key = sealedKeyId(row.ownerId)
  return key === undefined ? `${row.ownerType}:${row.ownerId}` : `sealed:${key}`
}

export function metaText(row: StoredRow, name: string): string | undefined {
  const value: Json | undefined = row.metadata.get(name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Per field the values that match; an owner can be there by name and by the id of a key. */
export type Filter = ReadonlyMap<FilterField, readonly string[]>

export type CountField = 'check' | 'owner' | 'decision' | 'owner_type' | 'stage'

export function counted(facts: RowFacts, field: CountField): string {
  switch (field) {
    case 'check':
      return facts.check
    case 'owner':
      return facts.owner
    case 'decision':
      return facts.decision
    case 'owner_type':
      return facts.ownerType
    case 'stage':
      return facts.stage
  }
}

export function matches(facts: RowFacts, filter: Filter): boolean {
  for (const [field, values] of filter) {
    if (field === 'exchange') {
      if (!values.includes(facts.exchange)) return false
    } else if (field === 'check') {
      // By the check that fired, and by the name the row is filed under.
      if (!values.includes(facts.check) && !values.includes(facts.filed)) return false
    } else if (!values.includes(counted(facts, field))) return false
  }
  return true
}
