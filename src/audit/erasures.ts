/**
 * Erasures as rows. Whoever erases (a command, in another process than the gate that holds the log) leaves a note in the
 * sealing folder and then destroys the key; whoever holds the log writes the row and takes the note away.
 *
 * Guarantees: the note is durable before the key goes, so no erasure is without a row; the row is durable before the note
 * goes, so a crash in between writes it twice rather than never. The row names the key, never the person.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditWriter } from '../core/row.ts'
import { createPrivate, readPrivate } from '../keys/store.ts'
import { noteRow } from './own-rows.ts'
import type { SealingFolder } from './seal.ts'

const NOTE = /^[0-9a-f]{32}-[0-9a-f]{8}$/

function folderOf(sealing: SealingFolder): string {
  return join(sealing.path, 'erasures')
}

/** Returns the key that is gone; `undefined` when the person has none. */
export function erasePerson(sealing: SealingFolder, person: string, nowNs: bigint): string | undefined {
  const id = sealing.keyIdOf(person)
  if (id === undefined) return undefined
  mkdirSync(folderOf(sealing), { recursive: true, mode: 0o700 })
  const name = `${id}-${randomBytes(4).toString('hex')}`
  createPrivate(join(folderOf(sealing), name), () => `${nowNs}\n`)
  return sealing.erase(person)
}

/** Notes that have no row yet. */
export function pendingErasures(sealing: SealingFolder): readonly string[] {
  try {
    return readdirSync(folderOf(sealing)).filter(name => NOTE.test(name))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** Writes the rows of all notes. Rejects when the log cannot be written; the notes then stay. */
export async function recordErasures(
  sealing: SealingFolder,
  log: AuditWriter,
  newId: () => string,
): Promise<readonly string[]> {
  const done: string[] = []
  for (const name of pendingErasures(sealing)) {
    const path = join(folderOf(sealing), name)
    const at = readPrivate(path)?.trim() ?? ''
    const id = name.slice(0, 32)
    const details = { key_id: id, requested_at_ns: /^\d{1,20}$/.test(at) ? at : '' }
    const reason = 'the key of an owner was destroyed; what was sealed under it cannot be read again'
    await log.append(noteRow(newId(), 'audit.erased', reason, details)).durable()
    unlinkSync(path)
    done.push(id)
  }
  return done
}

/** Looks for notes now and then until it is stopped. */
export function watchErasures(
  sealing: SealingFolder,
  log: AuditWriter,
  newId: () => string,
  later: (ms: number, f: () => void) => () => void,
): () => void {
  let cancel: () => void = () => undefined
  let stopped = false
  const look = () => {
    const recorded = log.ok ? recordErasures(sealing, log, newId) : Promise.resolve([])
    recorded
      // The log cannot be written, which it says itself, or the folder cannot be read: the notes stay for the next look.
      .catch(() => undefined)
      .finally(() => {
        if (!stopped) cancel = later(LOOK_MS, look)
      })
  }
  look()
  return () => {
    stopped = true
    cancel()
  }
}

const LOOK_MS = 1000
