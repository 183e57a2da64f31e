/**
 * Moves a packed segment to another folder, cold storage for instance.
 *
 * Guarantees: the original goes only when a synced copy with the manifest's SHA-256 has its name in the other folder; a gate
 * may run meanwhile. A folder that is its own by another path (a link, a bind mount) is refused, and so is a link under the
 * name: what would be found there is the original. Does not: overwrite another file of that name, or know the same folder
 * under another device, as a network mount of this machine's own disk is.
 */
import type { BigIntStats } from 'node:fs'
import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Packed } from './manifest.ts'
import { PackedFile, SegmentFault } from './packed.ts'

export function moveSegment(from: string, folder: string, packed: Packed): string {
  const to = join(folder, packed.file)
  const own = dirname(from)
  if (same(statSync(own, { bigint: true }), statSync(folder, { bigint: true }))) {
    throw new SegmentFault(`${folder} is the folder that it is in already; name another one`)
  }
  const there = lstatSync(to, { throwIfNoEntry: false })
  if (there !== undefined) {
    if (!there.isFile()) throw new SegmentFault(`${to} is there already and is no regular file`)
    if (digestOf(to) !== packed.sha256) throw new SegmentFault(`${to} is there already and is another file`)
  } else {
    const aside = `${to}.${process.pid}.tmp`
    copyFileSync(from, aside, constants.COPYFILE_EXCL)
    try {
      sync(aside)
      if (digestOf(aside) !== packed.sha256) {
        throw new SegmentFault(`${from} is not the file that was packed: its SHA-256 is another`)
      }
      linkSync(aside, to)
    } finally {
      unlinkSync(aside)
    }
    sync(folder)
  }
  unlinkSync(from)
  sync(own)
  return to
}

function same(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino
}

function digestOf(path: string): string {
  const file = new PackedFile(path)
  try {
    return file.sha256()
  } finally {
    file.close()
  }
}

function sync(path: string): void {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
