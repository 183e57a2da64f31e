/** The committed inputs: `corpus/<target>/`, one file each. Seeds have names; what a run found is named after its digest. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('corpus/', import.meta.url))

export interface Entry {
  readonly name: string
  readonly bytes: Uint8Array
}

export function load(target: string): Entry[] {
  const folder = join(FOLDER, target)
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
