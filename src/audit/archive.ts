/**
 * Archives that the Python implementation's compaction wrote (`SIGNET-ARCHIVE-V1`): read, never written.
 *
 * Guarantees: rows are cut at line feeds only (its own reader also cut at U+2028 and the like, which are legal in a row); the
 * Merkle root is recomputed from the rows and must be the one in the header and in the tree; what does not fit is an
 * `ArchiveFault` in one line. Does not: check HMACs (whoever reads the rows does), or inflate more than `MOST` bytes.
 */
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { readStored } from './stored.ts'

export class ArchiveFault extends Error {
  override readonly name = 'ArchiveFault'
}

export interface Archive {
  /** Lines, each with its line feed. */
  readonly rows: Buffer
  readonly count: number
  readonly merkleRoot: string
}

const MAGIC = 'SIGNET-ARCHIVE-V1\n'
const MOST = 2 ** 31 - 1

export function isArchive(start: Buffer): boolean {
  return start.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC))
}

export function readArchive(bytes: Buffer): Archive {
  const cursor = { at: 0 }
  const expect = (text: string, what: string) => {
    const found = bytes.subarray(cursor.at, cursor.at + text.length)
    if (!found.equals(Buffer.from(text))) throw new ArchiveFault(`the archive has no ${what} at byte ${cursor.at}`)
    cursor.at += text.length
  }
  const number = () => {
    if (cursor.at + 4 > bytes.length) throw new ArchiveFault('the archive ends in its tree')
    const value = bytes.readUInt32BE(cursor.at)
    cursor.at += 4
    return value
  }
  const text = (length: number) => {
    if (cursor.at + length > bytes.length) throw new ArchiveFault('the archive ends in its tree')
    const value = bytes.toString('latin1', cursor.at, cursor.at + length)
    cursor.at += length
    return value
  }
  expect(MAGIC, 'first line')
  const end = bytes.indexOf(0x0a, cursor.at)
  if (end < 0) throw new ArchiveFault('the archive has no header')
  const header = headerOf(bytes.toString('utf8', cursor.at, end))
  cursor.at = end + 1
  expect('MERKLE-START\n', 'tree')
  expect('MERKLE-V1\n', 'tree')
  const leaves = number()
  const length = number()
  if (length !== 64) throw new ArchiveFault('the archive has leaves of another length')
  const listed: string[] = []
  for (let i = 0; i < leaves; i++) listed.push(text(64))
  const root = text(number())
  expect('\nMERKLE-END\n', 'end of the tree')
  expect('ENTRIES-START\n', 'rows')
  const tail = Buffer.from('\nENTRIES-END\n')
  if (!bytes.subarray(bytes.length - tail.length).equals(tail)) throw new ArchiveFault('the archive has no end')
  const rows = inflate(bytes.subarray(cursor.at, bytes.length - tail.length))
  const hashes = leavesOf(rows)
  if (hashes.length !== header.count) {
    throw new ArchiveFault(`the archive's header counts ${header.count} rows, it has ${hashes.length}`)
  }
  const computed = rootOf(hashes)
  if (computed !== header.merkleRoot || computed !== root || listed.some((leaf, i) => leaf !== hashes[i])) {
    throw new ArchiveFault('the archive’s rows do not give its Merkle root')
  }
  return { rows, count: header.count, merkleRoot: computed }
}

function headerOf(text: string): { readonly count: number; readonly merkleRoot: string } {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new ArchiveFault('the archive has a header that is no JSON')
  }
  if (
    typeof json === 'object' &&
    json !== null &&
    'archive_format_version' in json &&
    json.archive_format_version === 1
  ) {
    const count = 'entry_count' in json ? json.entry_count : undefined
    const merkleRoot = 'merkle_root' in json ? json.merkle_root : undefined
    if (typeof count === 'number' && Number.isSafeInteger(count) && typeof merkleRoot === 'string') {
      return { count, merkleRoot }
    }
  }
  throw new ArchiveFault('the archive has a header of another version')
}

function inflate(packed: Buffer): Buffer {
  try {
    return gunzipSync(packed, { maxOutputLength: MOST })
  } catch {
    throw new ArchiveFault('the archive’s rows do not inflate')
  }
}

/** Leaf: SHA-256 of the row's `hmac`, as text. */
function leavesOf(rows: Buffer): string[] {
  const leaves: string[] = []
  let from = 0
  for (let end = rows.indexOf(0x0a); end >= 0; end = rows.indexOf(0x0a, from)) {
    const read = readStored(rows.subarray(from, end))
    if (!read.ok) throw new ArchiveFault(`row ${leaves.length} of the archive is broken: ${read.fault.detail}`)
    leaves.push(createHash('sha256').update(read.row.hmac, 'latin1').digest('hex'))
    from = end + 1
  }
  if (from !== rows.length) throw new ArchiveFault('the archive’s last row has no end')
  return leaves
}

/** Parents hash their children's raw bytes; an odd one is paired with itself. */
function rootOf(leaves: readonly string[]): string {
  if (leaves.length === 0) return createHash('sha256').digest('hex')
  let level: Buffer[] = leaves.map(l => Buffer.from(l, 'hex'))
  while (level.length > 1) {
    const next: Buffer[] = []
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] ?? Buffer.alloc(0)
      next.push(
        createHash('sha256')
          .update(left)
          .update(level[i + 1] ?? left)
          .digest(),
      )
    }
    level = next
  }
  return level[0]?.toString('hex') ?? ''
}
