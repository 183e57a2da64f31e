import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readEnvFile } from './env-file.ts'
import { loadPipeline } from './load-pipeline.ts'
import { ConfigError } from './problem.ts'
import { fromEnvironment } from './settings.ts'
import { type Reader, refuseUntrusted } from './trusted-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-trusted-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const reader = (uid: number | undefined, environment: Reader['environment'] = {}): Reader => ({
  platform: 'linux',
  uid,
  environment,
})
const said = (stat: { mode: number; uid: number }, who: Reader): string | undefined => {
  try {
    refuseUntrusted('pipeline.ts', stat, who)
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
}

describe('a file that decides what the gate runs', () => {
  it.each([
    [0o644, 1000, reader(1000), 'one\u2019s own'],
    [0o600, 0, reader(1000), 'of root'],
    [0o755, 0, reader(0), 'of root, for root'],
    [0o644, 1000, reader(0, { SUDO_UID: '1000' }), 'of whoever ran sudo'],
    [
      0o644,
      1001,
      reader(0, { SIGNET_TRUST_FILE_OWNERS: '1000, 1001' }),
      'of a named owner, in a container that runs as root',
    ],
    [0o644, 501, reader(1000, { SIGNET_TRUST_FILE_OWNERS: '501' }), 'of a named owner'],
    [0o666, 7, reader(undefined), 'where users have no numbers'],
    [0o666, 7, { ...reader(1000), platform: 'win32' as const }, 'on Windows'],
  ])('mode %o of %i is used: %#', (mode, uid, who, _why) => expect(said({ mode, uid }, who)).toBeUndefined())

  it.each([
    [0o664, 1000, reader(1000), /others can write to it \(mode 0664\); run: chmod go-w /],
    [0o646, 0, reader(0), /mode 0646/],
    [0o644, 1001, reader(1000), /belongs to user 1001, and user 1000 runs signet/],
    [0o644, 1000, reader(0), /chown 0 .* or set SIGNET_TRUST_FILE_OWNERS=1000/],
    // Only root's own sudo counts: anybody can set the variable for a process of their own.
    [0o644, 1001, reader(1000, { SUDO_UID: '1001' }), /belongs to user 1001/],
    [0o644, 1001, reader(1000, { SIGNET_TRUST_FILE_OWNERS: '*' }), /expected user ids/],
    [0o664, 1001, reader(1000, { SIGNET_TRUST_FILE_OWNERS: '1001' }), /others can write/],
  ])('mode %o of %i is refused: %#', (mode, uid, who, why) => {
    const line = said({ mode, uid }, who)
    expect(line).toMatch(why)
    expect(line).not.toContain('\n')
  })

  it('is asked for .env, also when nobody named it', () => {
    const path = join(folder, '.env')
    writeFileSync(path, 'SIGNET_PORT=1\n')
    chmodSync(path, 0o622)
    expect(() => readEnvFile(path, false)).toThrow(/others can write to it/)
    chmodSync(path, 0o644)
    expect(readEnvFile(path, false).variables).toEqual({ SIGNET_PORT: '1' })
  })

  it('is asked for a pipeline before it is run', async () => {
    const path = join(folder, 'pipeline.mjs')
    writeFileSync(path, 'globalThis.pipelineRan = true\nexport default {}\n')
    chmodSync(path, 0o666)
    await expect(loadPipeline(path)).rejects.toThrow(/others can write to it/)
    expect(Object.hasOwn(globalThis, 'pipelineRan')).toBe(false)
  })

  it('cannot vouch for itself', () => {
    expect(fromEnvironment({ SIGNET_TRUST_FILE_OWNERS: '1' }, '.env').problems[0]).toMatch(
      /a file cannot vouch for itself/,
    )
    expect(fromEnvironment({ SIGNET_TRUST_FILE_OWNERS: '1' }, '').problems).toEqual([])
  })
})
