import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { modulesFrom } from '../../../test/support/modules-from.ts'

describe('the log entry', () => {
  it('loads nothing but its own files, and touches no Node global', () => {
    const modules = modulesFrom(join(import.meta.dirname, 'index.ts'))
    expect(modules.size).toBeGreaterThan(7)
    expect([...modules.values()].flat().filter(name => !name.startsWith('.'))).toEqual([])
    for (const file of modules.keys())
      expect(readFileSync(file, 'utf8')).not.toMatch(/\b(?:Buffer|process|require)\b[.([]/)
  })
})
