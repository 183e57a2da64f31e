import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Every module that the entry loads at run time, with what it imports: type-only imports vanish. */
export function modulesFrom(
  entry: string,
  seen = new Map<string, readonly string[]>(),
): Map<string, readonly string[]> {
  if (seen.has(entry)) return seen
  const source = readFileSync(entry, 'utf8')
  const from = [...source.matchAll(/^(?:import|export) (?!type )[^'"]*?from '([^']+)'/gms)].map(found => found[1] ?? '')
  seen.set(entry, from)
  for (const name of from) if (name.startsWith('.')) modulesFrom(join(dirname(entry), name), seen)
  return seen
}
