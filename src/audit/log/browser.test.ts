import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Every module that the entry loads at run time: type-only imports vanish. */
function modulesFrom(entry: string, seen = new Map<string, readonly string[]>()): Map<string, readonly string[]> {
  if (seen.has(entry)) return seen
  const source = readFileSync(entry, 'utf8')
  const from = [...source.matchAll(/^(?:import|export) (?!type )[^'"]*?from '([^']+)'/gms)].map(found => found[1] ?? '')
  seen.set(entry, from)
  for (const name of from) if (name.startsWith('.')) modulesFrom(join(dirname(entry), name), seen)
  return seen
}

describe('the log entry', () => {
  it('loads nothing but its own files, and touches no Node global', () => {
    const modules = modulesFrom(join(import.meta.dirname, 'index.ts'))
    expect(modules.size).toBeGreaterThan(7)
    expect([...modules.values()].flat().filter(name => !name.startsWith('.'))).toEqual([])
    for (const file of modules.keys())
      expect(readFileSync(file, 'utf8')).not.toMatch(/\b(?:Buffer|process|require)\b[.([]/)
  })
})
