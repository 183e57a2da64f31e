import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const BIN = fileURLToPath(new URL('./bin.ts', import.meta.url))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-engine-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function version(environment: Readonly<Record<string, string>>): string {
  return execFileSync(process.execPath, [BIN, '--version'], { env: environment, encoding: 'utf8' })
}

describe('compiled code kept between starts', () => {
  it('lies in the cache folder of the user', () => {
    const saysFirst = version({ XDG_CACHE_HOME: folder })
    expect(readdirSync(join(folder, 'signet', 'compiled'))).toHaveLength(1)
    expect(version({ XDG_CACHE_HOME: folder })).toBe(saysFirst)
  })

  it('lies below the home folder when nothing else is said', () => {
    version({ HOME: folder, XDG_CACHE_HOME: 'not/absolute' })
    expect(statSync(join(folder, '.cache', 'signet', 'compiled')).isDirectory()).toBe(true)
  })

  it('lies where the operator wants it', () => {
    version({ HOME: folder, NODE_COMPILE_CACHE: join(folder, 'elsewhere') })
    expect(readdirSync(folder)).toEqual(['elsewhere'])
  })

  it('is done without where nothing can be written', () => {
    chmodSync(folder, 0o500)
    // A file is no folder: for a superuser, whom the mode does not keep out.
    expect(version({ XDG_CACHE_HOME: BIN })).toMatch(/^signet \d/)
    expect(version({ XDG_CACHE_HOME: folder })).toMatch(/^signet \d/)
  })
})
