import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { modulesFrom } from '../../test/support/modules-from.ts'

describe('the receipt entry', () => {
  it('loads nothing but its own files and jose, and touches no Node global', () => {
    const modules = modulesFrom(join(import.meta.dirname, 'index.ts'))
    expect(modules.size).toBeGreaterThan(4)
    const outside = new Set([...modules.values()].flat().filter(name => !name.startsWith('.')))
    expect([...outside]).toEqual(['jose'])
    for (const file of modules.keys())
      expect(readFileSync(file, 'utf8')).not.toMatch(/\b(?:Buffer|process|require)\b[.([]/)
  })
})
