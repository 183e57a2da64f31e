/**
 * Text that only repeats or decodes other text: ids, names, the constant fields of an envelope, final events. An answer has
 * many of them, and nearly none holds anything. Guarantees that a text goes unasked only where every check has said so
 * (`Check.snapshots`): it wants none of them, or none of its patterns hits in the whole text. All of it is scanned.
 */
import type { Check } from '../core/check.ts'
import type { Scanner } from '../text/scan.ts'

export interface SnapshotReaders {
  /** No check has anything to say about this text. */
  quiet(text: string): boolean
}

export function snapshotReaders(checks: readonly Check[], scanner: Scanner): SnapshotReaders {
  const inspecting = checks.filter(check => check.inspect !== undefined && check.snapshots !== 'none')
  if (inspecting.some(check => check.snapshots !== 'hits')) return { quiet: () => false }
  const sets = inspecting.flatMap(check => (check.patterns === undefined ? [] : [check.patterns]))
  return {
    quiet: text => {
      if (sets.length === 0) return true
      const scan = scanner.whole(text)
      for (const set of sets) if (scan.hits(set).length > 0) return false
      return true
    },
  }
}
