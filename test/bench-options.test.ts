import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const bench = (file: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'bench', file), ...args], { encoding: 'utf8', timeout: 60_000 })

describe.each(['run.ts', 'workers.ts', 'memory.ts', 'log-cost.ts'])('bench/%s', file => {
  it.each(['--help', '-h'])('explain themselves and measure nothing: %s', option => {
    expect(bench(file, option)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Usage: /), stderr: '' })
  })

  it('refuse what they do not know, in one line', () => {
    expect(bench(file, '--quikc')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^Error: [^\n]*'--quikc'[^\n]*--help\n$/),
    })
  })
})
