/** What can be done to segments and their manifest. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { bytesOf, flip, linesOf, log, put, rows, type Tampering } from './tampered.ts'

const segment = (folder: string, n: number) => `${log(folder)}.00000${n}.zst`
const swap = (a: string, b: string) => {
  renameSync(a, `${a}.aside`)
  renameSync(b, a)
  renameSync(`${a}.aside`, b)
}
const manifest = (change: (lines: string[]) => void) => (folder: string) => {
  const all = linesOf(`${log(folder)}.manifest`)
  change(all)
  put(`${log(folder)}.manifest`, all)
}

/** A segment with other rows in it, packed as signet packs. */
function repack(path: string, change: (rows: string) => string): void {
  const raw = Buffer.from(change(zstdDecompressSync(readFileSync(path)).toString()))
  const packed = zstdCompressSync(raw)
  const index = Buffer.from(
    JSON.stringify({ v: 1, blocks: [[packed.length, raw.length, raw.toString().split('\n').length - 1]] }),
  )
  const frame = Buffer.alloc(index.length + 20)
  frame.writeUInt32LE(0x184d2a5e, 0)
  frame.writeUInt32LE(index.length + 12, 4)
  index.copy(frame, 8)
  frame.writeUInt32LE(index.length, index.length + 8)
  frame.write('signetx1', index.length + 12, 'latin1')
  writeFileSync(path, Buffer.concat([packed, frame]))
}

export const SEGMENT_TAMPERING: readonly Tampering[] = [
  { what: 'a segment deleted', named: 'segment_missing', act: folder => unlinkSync(segment(folder, 2)) },
  {
    what: 'two segments swapped',
    named: 'segment_swapped',
    act: folder => swap(segment(folder, 1), segment(folder, 2)),
  },
  {
    what: 'a segment replaced by another of the same log',
    named: 'segment_swapped',
    act: folder => copyFileSync(segment(folder, 1), segment(folder, 2)),
  },
  {
    what: 'a segment replaced by one of another log',
    named: 'segment_damaged',
    act: (folder, older) => copyFileSync(segment(join(older, '../other-rolled'), 1), segment(folder, 1)),
  },
  {
    what: 'a byte of a segment',
    named: 'segment_damaged',
    act: folder => bytesOf(segment(folder, 1), b => flip(b, 200)),
  },
  {
    what: 'the index of a segment damaged',
    named: 'segment_damaged',
    act: folder => bytesOf(segment(folder, 1), b => flip(b, b.length - 20)),
  },
  { what: 'a segment cut off', named: 'segment_damaged', act: folder => truncateSync(segment(folder, 1), 300) },
  { what: 'a segment emptied', named: 'segment_damaged', act: folder => truncateSync(segment(folder, 1), 0) },
  {
    what: 'a segment that is no segment',
    named: 'segment_damaged',
    act: folder => writeFileSync(segment(folder, 1), 'not a segment at all, but long enough to be looked into'),
  },
  {
    what: 'a row in a segment edited, packed again',
    named: 'self_mismatch',
    act: folder => repack(segment(folder, 1), rows_ => rows_.replace('request completed', 'request complete!')),
  },
  {
    what: 'a row dropped from a segment, packed again',
    named: 'link_mismatch',
    act: folder => repack(segment(folder, 1), rows_ => dropLine(rows_, 1)),
  },
  {
    what: 'the last row dropped from a segment, packed again',
    named: 'segment_mismatch',
    act: folder => repack(segment(folder, 1), rows_ => dropLine(rows_, -1)),
  },
  {
    what: 'the same rows packed otherwise',
    named: 'segment_damaged',
    act: folder => repack(segment(folder, 1), rows_ => rows_),
  },
  {
    what: 'a segment that the manifest does not know',
    named: 'segment_unlisted',
    act: folder => copyFileSync(segment(folder, 1), segment(folder, 9)),
  },
  { what: 'the manifest deleted', named: 'segment_unlisted', act: folder => unlinkSync(`${log(folder)}.manifest`) },
  {
    what: 'the manifest and all segments deleted',
    named: 'link_mismatch',
    act: folder => {
      for (const name of readdirSync(folder))
        if (name.endsWith('.zst') || name.endsWith('.manifest')) unlinkSync(join(folder, name))
    },
  },
  {
    what: 'a number in the manifest changed',
    named: 'manifest_invalid',
    act: manifest(all => (all[0] = (all[0] ?? '').replace(/"rows":(\d+)/, '"rows":1$1'))),
  },
  {
    what: 'a digest in the manifest changed',
    named: 'manifest_invalid',
    act: manifest(all => {
      const at = all.findIndex(l => l.includes('"packed"'))
      all[at] = (all[at] ?? '').replace(/"sha256":"./, m => `${m.slice(0, -1)}${m.endsWith('0') ? '1' : '0'}`)
    }),
  },
  { what: 'a line of the manifest deleted', named: 'manifest_invalid', act: manifest(all => all.splice(1, 1)) },
  { what: 'the first line of the manifest deleted', named: 'manifest_invalid', act: manifest(all => all.splice(0, 1)) },
  {
    what: 'the last segment struck from the manifest',
    named: 'segment_unlisted',
    act: manifest(all => all.splice(all.findIndex(l => l.includes('"segment":3')))),
  },
  {
    what: 'lines of the manifest swapped',
    named: 'manifest_invalid',
    act: manifest(all => all.splice(0, 2, all[1] ?? '', all[0] ?? '')),
  },
  {
    what: 'a line of the manifest repeated',
    named: 'manifest_invalid',
    act: manifest(all => all.splice(1, 0, all[0] ?? '')),
  },
  { what: 'noise in the manifest', named: 'manifest_invalid', act: manifest(all => all.splice(1, 0, 'noise')) },
  {
    what: 'the manifest of another log',
    named: 'segment_damaged',
    act: (folder, older) =>
      copyFileSync(join(older, '../other-rolled/audit.jsonl.manifest'), `${log(folder)}.manifest`),
  },
  {
    what: 'manifest and segments of an older state',
    named: 'link_mismatch',
    act: (folder, older) => {
      const from = join(older, '../older-rolled')
      for (const name of readdirSync(folder))
        if (name.endsWith('.zst') && !existsSync(join(from, name))) unlinkSync(join(folder, name))
      copyFileSync(join(from, 'audit.jsonl.manifest'), `${log(folder)}.manifest`)
    },
  },
  { what: 'the live file deleted', named: 'log_truncated', act: folder => unlinkSync(log(folder)) },
  { what: 'the live file emptied', named: 'log_truncated', act: folder => truncateSync(log(folder), 0) },
  { what: 'the first row of the live file deleted', named: 'link_mismatch', act: rows(all => all.splice(0, 1)) },
  {
    what: 'a segment unpacked into the live file as well',
    named: 'link_mismatch',
    act: folder => {
      const raw = zstdDecompressSync(readFileSync(segment(folder, 3)))
      writeFileSync(log(folder), Buffer.concat([raw, readFileSync(log(folder))]))
    },
  },
]

function dropLine(text: string, at: number): string {
  const all = text.split('\n').slice(0, -1)
  all.splice(at, 1)
  return all.map(l => `${l}\n`).join('')
}
