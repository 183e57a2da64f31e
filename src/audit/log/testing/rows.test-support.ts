/** Rows of an audit log that was never on a disk, and a transparency log over them. */

import { Chain, EMPTY } from '../../chain.ts'
import { Timers } from '../../testing/disk.test-support.ts'
import { testRing, testRow } from '../../testing/rows.test-support.ts'
import type { DurableRow } from '../../writer.ts'
import { type OpenLogOptions, openTransparencyLog } from '../open.ts'
import type { RowSource } from '../rows.ts'
import { MemoryFolder } from './folder.test-support.ts'
import { logSigner } from './vectors.test-support.ts'

/** `salt`: every row's salts are made of it, so that another one is another audit log. */
export function makeRows(n: number, salt = 1): DurableRow[] {
  let next = salt * 1_000_000
  const random = (bytes: number) => {
    const out = Buffer.alloc(bytes)
    out.writeUInt32BE(next++)
    return out
  }
  const chain = new Chain(testRing(), () => 1_700_000_000_000_000_000n, random, EMPTY)
  return Array.from({ length: n }, (_, i) => {
    const row = testRow(i)
    const { placed, line } = chain.append(row)
    return { entryId: row.entryId, placed, line }
  })
}

export function sourceOf(rows: readonly DurableRow[]): RowSource & { read: number } {
  return {
    read: 0,
    async *rows(from, to) {
      for (const row of rows.slice(from, to)) {
        this.read++
        yield row.line.subarray(0, -1)
      }
    },
  }
}

/** What is shown to the world of these rows. */
export const leavesOf = (rows: readonly DurableRow[]) => rows.map(row => Buffer.from(row.placed.leaf))

export interface Rig {
  readonly folder: MemoryFolder
  readonly timers: Timers
}

/** `rows`: durable before the log is opened. */
export async function openLog(
  rows: readonly DurableRow[],
  folder = new MemoryFolder(),
  more: Partial<OpenLogOptions> = {},
) {
  const timers = new Timers()
  const log = await openTransparencyLog({
    path: folder.path,
    files: folder,
    signer: await logSigner(),
    source: sourceOf(rows),
    rows: rows.length,
    intervalMs: 1000,
    later: timers.later,
    ...more,
  })
  return { log, folder, timers }
}
