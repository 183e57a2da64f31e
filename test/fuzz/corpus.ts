/** The committed inputs: `corpus/<target>/`, one file each. Seeds have names; what a run found is named after its digest. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Entry, Target } from './target.ts'

const FOLDER = fileURLToPath(new URL('corpus/', import.meta.url))

/** Everything a run over the target begins with. */
export function load(target: Target): Entry[] {
  return [...read(join(FOLDER, target.name)), ...(target.seeds?.() ?? [])]
}

/** The files of a folder, by name; none where there is no folder. */
export function read(folder: string): Entry[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .map(name => ({ name, bytes: new Uint8Array(readFileSync(join(folder, name))) }))
}

/** Keeps a failing input; returns where. */
export function save(target: string, bytes: Uint8Array): string {
  const folder = join(FOLDER, target)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `found-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`)
  writeFileSync(path, bytes)
  return path
}

export function folders(): string[] {
  return readdirSync(FOLDER).sort()
}
