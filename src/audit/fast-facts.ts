/** The facts of a stored line, quickly: one scan that says it is a row, one parse by the engine. */
import { factsOf, type RowFacts } from './facts.ts'
import { newFacts, scanLine } from './line.ts'
import { sealedKeyId } from './seal.ts'
import { type LineFault, readStored } from './stored.ts'

export type ReadFacts =
  | { readonly kind: 'facts'; readonly facts: RowFacts; readonly hmac: string }
  | { readonly kind: 'fault'; readonly fault: LineFault }

const scanned = newFacts()

interface Parsed {
  readonly check_name: string
  readonly decision: string
  readonly entry_id: string
  readonly hmac: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly owner_id: string
  readonly owner_type: string
}

export function readFacts(line: Buffer): ReadFacts {
  if (!scanLine(line, 0, line.length, scanned)) return slowly(line)
  const row = parsed(line)
  if (row === undefined) return slowly(line)
  const { metadata } = row
  const text = (name: string): string => {
    const value = metadata[name]
    return typeof value === 'string' ? value : ''
  }
  const sealed = row.owner_id.startsWith('sealed:') ? sealedKeyId(row.owner_id) : undefined
  return {
    kind: 'facts',
    hmac: row.hmac,
    facts: {
      tsMs: scanned.tsNsEnd - scanned.tsNs > 6 ? Number(line.toString('latin1', scanned.tsNs, scanned.tsNsEnd - 6)) : 0,
      decision: row.decision,
      check: text('_check_name') || row.check_name,
      filed: row.check_name,
      owner:
        row.owner_type === 'unresolved'
          ? 'unresolved'
          : sealed === undefined
            ? `${row.owner_type}:${row.owner_id}`
            : `sealed:${sealed}`,
      ownerType: row.owner_type,
      stage: text('_stage') || '-',
      entryId: row.entry_id,
      exchange: text('_exchange_id'),
    },
  }
}

function slowly(line: Buffer): ReadFacts {
  const read = readStored(line)
  return read.ok
    ? { kind: 'facts', facts: factsOf(read.row), hmac: read.row.hmac }
    : { kind: 'fault', fault: read.fault }
}

/** The scan has found the twelve fields, each of its type. */
function parsed(line: Buffer): Parsed | undefined {
  const value: unknown = JSON.parse(line.toString('utf8'))
  return isParsed(value) ? value : undefined
}

function isParsed(value: unknown): value is Parsed {
  return typeof value === 'object' && value !== null && 'metadata' in value && 'owner_id' in value
}
