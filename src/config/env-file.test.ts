import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readEnvFile } from './env-file.ts'
import { ConfigError } from './problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-env-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write(text: string, mode = 0o600): string {
  const path = join(folder, '.env')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

describe('.env', () => {
  it('is read as Node reads it', () => {
    const text = [
      '\ufeff# comment',
      'SIGNET_PORT=1',
      'export SIGNET_HOST=localhost',
      'SIGNET_ISSUER="quoted # not a comment"',
      "SIGNET_UPSTREAM_LABEL='single'",
      'SIGNET_SHADOW=1 # a comment',
      'CERT="line one',
      'line two without an equals sign"',
      '',
    ].join('\r\n')
    expect(readEnvFile(write(text), true).variables).toMatchObject({
      SIGNET_PORT: '1',
      SIGNET_HOST: 'localhost',
      SIGNET_ISSUER: 'quoted # not a comment',
      SIGNET_UPSTREAM_LABEL: 'single',
      SIGNET_SHADOW: '1',
    })
  })

  it('a line that would be skipped is an error with its number', () => {
    expect(() => readEnvFile(write('A=1\nSIGNET_STRICT_ERROR_REDACTION true\n'), true)).toThrow(
      /\.env:2: expected NAME=value/,
    )
  })

  it('may be missing unless it was named', () => {
    const path = join(folder, 'nothing')
    expect(readEnvFile(path, false)).toEqual({ variables: {}, warnings: [] })
    expect(() => readEnvFile(path, true)).toThrow(ConfigError)
    expect(() => readEnvFile(folder, true)).toThrow(/is not a file/)
  })

  it('warns when others can read secrets in it', () => {
    expect(readEnvFile(write('SIGNET_HMAC_SECRET=ab\n', 0o644), true).warnings.join()).toContain('chmod 600')
    expect(readEnvFile(write('SIGNET_HMAC_SECRET=ab\n', 0o600), true).warnings).toEqual([])
    expect(readEnvFile(write('SIGNET_HMAC_SECRET=\nSIGNET_PORT=1\n', 0o644), true).warnings).toEqual([])
  })
})
