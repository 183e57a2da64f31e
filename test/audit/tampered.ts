/** What tampering is, and how files of lines are changed. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BreakKind } from '../../src/audit/walk.ts'

export interface Tampering {
  readonly what: string
  /** Among the names that verification gives. */
  readonly named: BreakKind
  /** Index of the first broken row, when the row is what is named. */
  readonly at?: number
  /** `folder` holds a sound log `audit.jsonl`; `older` a copy of it from before its last rows. */
  readonly act: (folder: string, older: string) => void
}

export const log = (folder: string) => join(folder, 'audit.jsonl')
export const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)
export const put = (path: string, lines: readonly string[]) => writeFileSync(path, lines.map(l => `${l}\n`).join(''))

export const rows =
  (change: (all: string[]) => void) =>
  (folder: string): void => {
    const all = linesOf(log(folder))
    change(all)
    put(log(folder), all)
  }

export const bytesOf = (path: string, change: (bytes: Buffer) => Buffer | undefined) => {
  const bytes = readFileSync(path)
  const changed = change(bytes) ?? bytes
  writeFileSync(path, changed)
}
export const flip = (bytes: Buffer, at: number) => {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  return bytes
}
