import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const dist = join(import.meta.dirname, '../dist')

/** Every file of the package that is loaded with this one before it runs. */
function loaded(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, from] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b[^'"\n]*["'](\.[^'"]+)["']/gm)) {
    if (from !== undefined) loaded(join(dirname(file), from), seen)
  }
  return seen
}

describe('a thread of the published program', () => {
  it.each([
    'state/escalations/sqlite-thread.js',
    'state/redemptions/sqlite-thread.js',
    'audit/index-thread.js',
    'audit/segments/packer.js',
  ])('loads what it works with, and not the gate: %s', entry => {
    const files = [...loaded(join(dist, entry))].map(file => relative(dist, file))
    expect(files).toContain(entry)
    expect(files).not.toContain('shared/serving.js')
  })
})
