/**
 * The alarm of a log: a witness has seen another history than this folder holds. It outlives restarts, as a file in the
 * folder; while it is there nothing is signed or shown, and only the operator takes it away.
 */
import { fromUtf8, toUtf8 } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { FolderFiles } from './folder-files.ts'
import { keepFile } from './kept-file.ts'

/** `split_view`: a tree that does not continue the one seen before. `rollback`: a smaller one. */
export type AlarmKind = 'split_view' | 'rollback'

export interface Alarm {
  readonly kind: AlarmKind
  /** Its name in the policy. */
  readonly witness: string
  /** One line. */
  readonly detail: string
  /** Unix time in milliseconds. */
  readonly atMs: number
  /** The checkpoint that was submitted: with the witness's own, it is the evidence. */
  readonly note: string
}

const FILE = 'alarm'

export async function readAlarm(files: FolderFiles): Promise<Alarm | undefined> {
  const bytes = await files.read(FILE)
  return bytes === undefined ? undefined : parse(bytes)
}

/** The first one stays: what came later follows from it. */
export async function raiseAlarm(files: FolderFiles, alarm: Alarm): Promise<void> {
  if ((await files.read(FILE)) !== undefined) return
  const { kind, witness, detail, atMs, note } = alarm
  await keepFile(
    files,
    FILE,
    toUtf8(`${JSON.stringify({ v: 1, kind, witness, detail, at_ms: atMs, note }, null, 2)}\n`),
  )
}

/** Moves the alarm aside, as evidence; its new name, or `undefined` when there was none. */
export async function clearAlarm(files: FolderFiles, nowMs: number): Promise<string | undefined> {
  if ((await files.read(FILE)) === undefined) return undefined
  const cleared = `${FILE}.cleared-${nowMs}`
  await files.rename(FILE, cleared)
  await files.syncFolder('.')
  return cleared
}

export function halted({ kind, witness, detail }: Alarm): LogInvalid {
  const what = kind === 'rollback' ? 'a rollback' : 'a split view'
  return new LogInvalid(
    'log_halted',
    `the transparency log is halted: the witness ${witness} reports ${what} (${detail}); see signet log alarm`,
  )
}

/** A file that cannot be read is an alarm all the same. */
function parse(bytes: Uint8Array): Alarm {
  const unreadable: Alarm = {
    kind: 'split_view',
    witness: 'unknown',
    detail: 'the alarm file is not readable',
    atMs: 0,
    note: '',
  }
  try {
    const found: unknown = JSON.parse(fromUtf8(bytes))
    if (typeof found !== 'object' || found === null) return unreadable
    const of = (name: string): unknown => Object.entries(found).find(([key]) => key === name)?.[1]
    const text = (name: string): string => (typeof of(name) === 'string' ? String(of(name)) : '')
    const atMs = of('at_ms')
    return {
      kind: of('kind') === 'rollback' ? 'rollback' : 'split_view',
      witness: text('witness'),
      detail: text('detail'),
      atMs: typeof atMs === 'number' ? atMs : 0,
      note: text('note'),
    }
  } catch {
    return unreadable
  }
}
