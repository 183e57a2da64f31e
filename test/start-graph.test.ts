import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const dist = join(import.meta.dirname, '../dist')

/** Every file of the package that is loaded with this one before it runs, and every dependency. */
function loaded(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, from] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b[^'"\n]*["']([^'"]+)["']/gm)) {
    if (from?.startsWith('.') === true) loaded(join(dirname(file), from), seen)
    else if (from !== undefined && !from.startsWith('node:')) seen.add(from)
  }
  return seen
}

describe('a thread of the published program', () => {
  it.each([
    'state/escalations/sqlite-thread.js',
    'state/redemptions/sqlite-thread.js',
    'state/notices/sqlite-thread.js',
    'state/passkeys/sqlite-thread.js',
    'audit/index-thread.js',
    'audit/anchor/stamper-thread.js',
    'audit/log/integrator-thread.js',
    'audit/segments/packer.js',
  ])('loads what it works with, and not the gate: %s', entry => {
    const files = [...loaded(join(dist, entry))].map(file => relative(dist, file))
    expect(files).toContain(entry)
    expect(files).not.toContain('shared/serving.js')
  })
})

describe('a gate of the published program', () => {
  it('loads no dependency that only other commands or settings need', () => {
    const packages = [...loaded(join(dist, 'shared/serving.js'))].filter(file => !file.startsWith('/'))
    expect(packages.sort()).toEqual(['@eslint-community/regexpp', 'commander', 'undici/lib/dispatcher/pool.js'])
  })
})
