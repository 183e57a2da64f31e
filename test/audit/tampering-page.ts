/** docs/tampering.md, from the table of the test. `node test/audit/tampering-page.ts` writes it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tampering } from './tampered.ts'
import { FILE_TAMPERING } from './tampered-files.ts'
import { ROW_TAMPERING } from './tampered-rows.ts'
import { SEGMENT_TAMPERING } from './tampered-segments.ts'

export const PAGE = join(import.meta.dirname, '../../docs/tampering.md')

export function tamperingPage(): string {
  const table = (list: readonly Tampering[]) =>
    ['| what is done | named |', '|---|---|', ...list.map(t => `| ${t.what} | \`${t.named}\` |`)].join('\n')
  const kinds = ROW_TAMPERING.length + FILE_TAMPERING.length + SEGMENT_TAMPERING.length
  return `# Tampering

Each line is done to a sound log by \`test/audit/tampering.test.ts\`, and \`signet audit verify\` must exit 1, name it so, and
print no stack trace. ${kinds} kinds, and besides them: any one byte of the rows changed, and a write torn at every byte of
the last two rows. This page is printed by \`node test/audit/tampering-page.ts\`, and a test compares it.

## Rows

${table(ROW_TAMPERING)}

## The live file and the head file

${table(FILE_TAMPERING)}

## Segments and their manifest

${table(SEGMENT_TAMPERING)}

## Not found by the log alone

Everything of a log (rows, head, manifest, segments) put back together to an older state verifies: nothing in it is newer.
Copies elsewhere, receipts, saved states (\`--save-state\`) and checkpoints show it. Whoever holds the chain's key can write
another log; what was published of the first one shows that.
`
}

if (process.argv[1] === import.meta.filename) writeFileSync(PAGE, tamperingPage())
