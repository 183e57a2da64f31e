/**
 * Moves a packed segment to another folder, cold storage for instance.
 *
 * Guarantees: the original goes only when a synced copy with the manifest's SHA-256 has its name in the other folder; a gate
 * may run meanwhile. Does not: overwrite another file of that name.
 */
import { closeSync, constants, copyFileSync, existsSync, fsyncSync, linkSync, openSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Packed } from './manifest.ts'
import { PackedFile, SegmentFault } from './packed.ts'

export function moveSegment(from: string, folder: string, packed: Packed): string {
  const to = join(folder, packed.file)
  if (existsSync(to)) {
    if (digestOf(to) !== packed.sha256) throw new SegmentFault(`${to} is there already and is another file`)
  } else {
    const aside = `${to}.tmp`
    copyFileSync(from, aside)
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
  sync(dirname(from))
  return to
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
