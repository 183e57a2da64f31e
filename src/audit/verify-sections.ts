/** The sections of a report that come from the chain's own pass. */
import type { HeadState } from './head.ts'
import type { Layout } from './layout.ts'
import type { Joined } from './verify-join.ts'
import { type Section, sectionOf, type VerifyFrom } from './verify-report.ts'

function issues(joined: Joined, section: ReturnType<typeof sectionOf>): number {
  return joined.breaks.filter(b => sectionOf(b.kind) === section).length
}

export function chainSection(joined: Joined, from: VerifyFrom | undefined): Section {
  const found = issues(joined, 'chain') + joined.moreBreaks
  const first = Number(from?.position.count ?? 0n)
  const unread = joined.unread === 0 ? '' : ` without ${joined.unread} that could not be read`
  return {
    status: found === 0 ? 'sound' : 'broken',
    text: `${joined.rows > first ? `rows ${first} to ${joined.rows - 1}` : `no row from ${first} on`}${unread}, ${plural(found, 'issue')}`,
    details: {
      first_row: first,
      rows: joined.rows - first,
      not_read: joined.unread,
      issues: found,
      last_hmac: joined.lastHmac,
    },
  }
}

export function headSection(joined: Joined, head: HeadState | undefined): Section {
  const found = issues(joined, 'head')
  if (found > 0) return { status: 'broken', text: plural(found, 'issue'), details: { issues: found } }
  if (head === undefined) return { status: 'not_checked', text: 'the head file was not asked', details: {} }
  if (head.kind !== 'found') return { status: 'absent', text: 'there is no head file', details: {} }
  return {
    status: 'sound',
    text: `it knows ${head.position.count} rows`,
    details: { rows: Number(head.position.count), bytes: head.position.length },
  }
}

export function segmentSection(joined: Joined, layout: Layout): Section {
  const found = issues(joined, 'segments')
  const { pieces, manifest } = layout
  if (found === 0 && manifest.entries.length === 0) {
    return { status: 'absent', text: 'the log is one file', details: {} }
  }
  const packed = pieces.filter(p => p.kind === 'packed').length
  const rolled = pieces.filter(p => p.kind === 'rolled').length
  const missing = joined.missing.length === 0 ? '' : `, not here: ${joined.missing.join(', ')}`
  return {
    status: found === 0 ? 'sound' : 'broken',
    text: `${plural(manifest.entries.length, 'segment')} and the live file, ${plural(found, 'issue')}${missing}`,
    details: { segments: manifest.entries.length, packed, rolled, missing: joined.missing, issues: found },
  }
}

function plural(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`
}
