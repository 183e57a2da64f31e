/** What can be done to the live file and the head file. */
import { appendFileSync, copyFileSync, readFileSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf, flip, log, rows, type Tampering } from './tampered.ts'

export const FILE_TAMPERING: readonly Tampering[] = [
  { what: 'the last row cut off', named: 'log_truncated', act: rows(all => all.pop()) },
  { what: 'all rows cut off', named: 'log_truncated', act: folder => truncateSync(log(folder), 0) },
  { what: 'all rows but one cut off', named: 'log_truncated', act: rows(all => all.splice(1)) },
  {
    what: 'the last newline cut off',
    named: 'torn_tail',
    act: folder => truncateSync(log(folder), readFileSync(log(folder)).length - 1),
  },
  {
    what: 'half a row at the end',
    named: 'torn_tail',
    act: folder => appendFileSync(log(folder), '{"approval_chain":['),
  },
  {
    what: 'a complete line of noise at the end',
    named: 'malformed_line',
    act: folder => appendFileSync(log(folder), 'noise\n'),
  },
  {
    what: 'a block of zeros in the middle',
    named: 'malformed_line',
    act: folder => bytesOf(log(folder), b => b.fill(0, 2000, 2512)),
  },
  {
    what: 'zeros at the end, as a power cut leaves them',
    named: 'torn_tail',
    act: folder => appendFileSync(log(folder), Buffer.alloc(4096)),
  },
  {
    what: 'the log replaced by an older copy',
    named: 'log_truncated',
    act: (folder, older) => copyFileSync(log(older), log(folder)),
  },
  {
    what: 'the log replaced by another log of the same key',
    named: 'head_mismatch',
    act: (folder, older) => copyFileSync(join(older, '../other/audit.jsonl'), log(folder)),
  },
  { what: 'the head file deleted', named: 'head_mismatch', act: folder => unlinkSync(`${log(folder)}.head`) },
  {
    what: 'a byte of a head record',
    named: 'head_mismatch',
    act: folder => bytesOf(`${log(folder)}.head`, b => flip(b, 30)),
  },
  {
    what: 'both head records damaged',
    named: 'head_mismatch',
    act: folder => bytesOf(`${log(folder)}.head`, b => flip(flip(b, 30), 542)),
  },
  {
    what: 'the head file of another log',
    named: 'log_truncated',
    act: (folder, older) => copyFileSync(join(older, '../other/audit.jsonl.head'), `${log(folder)}.head`),
  },
  {
    what: 'a head file that is too long',
    named: 'head_mismatch',
    act: folder => appendFileSync(`${log(folder)}.head`, Buffer.alloc(512)),
  },
]
