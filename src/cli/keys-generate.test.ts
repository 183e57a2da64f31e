import { createHash } from 'node:crypto'
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newFolder, signet } from './testing/command.test-support.ts'

describe('keys', () => {
  it('makes hmac keys', async () => {
    const { code, out } = await signet(['keys', 'generate', '--kind', 'hmac'])
    expect(code).toBe(0)
    expect(out).toMatch(/^[0-9a-f]{64}\n$/)
  })

  it('writes new files only, private ones 0600, and replaces with --force alone', async () => {
    const folder = newFolder()
    const args = ['keys', 'generate', '--kind', 'ed25519', '--out', join(folder, 'key.pem')]
    expect((await signet(args)).code).toBe(0)
    const [key, pub] = [
      readFileSync(join(folder, 'key.pem'), 'utf8'),
      readFileSync(join(folder, 'key.pem.pub'), 'utf8'),
    ]
    expect(statSync(join(folder, 'key.pem')).mode & 0o777).toBe(0o600)
    expect(key).toContain('BEGIN PRIVATE KEY')
    expect(pub).toContain('BEGIN PUBLIC KEY')
    const again = await signet(args)
    expect(again).toMatchObject({ code: 2, out: '' })
    expect(again.error).toContain('exists already')
    expect(readFileSync(join(folder, 'key.pem'), 'utf8')).toBe(key)
    expect((await signet([...args, '--force'])).code).toBe(0)
    expect(readFileSync(join(folder, 'key.pem'), 'utf8')).not.toBe(key)
    expect(statSync(join(folder, 'key.pem')).mode & 0o777).toBe(0o600)
  })

  it('makes API keys: shown once, or in a file, and in the settings only as a hash', async () => {
    const made = await signet(['keys', 'generate', '--kind', 'api'])
    const [key = '', line = ''] = made.out.split('\n')
    expect(key).toMatch(/^sgk_[A-Za-z0-9_-]{43}$/)
    const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`
    expect(JSON.parse(line)).toEqual({ hash, owner: 'agent:NAME' })
    expect(made.error).not.toContain(key)

    const folder = newFolder()
    const written = await signet(['keys', 'generate', '--kind', 'api', '--out', 'caller.key'], { folder })
    const kept = readFileSync(join(folder, 'caller.key'), 'utf8').trim()
    expect(statSync(join(folder, 'caller.key')).mode & 0o777).toBe(0o600)
    expect(written.out + written.error).not.toContain(kept)
    expect((JSON.parse(written.out) as { hash: string }).hash).toBe(
      `sha256:${createHash('sha256').update(kept).digest('hex')}`,
    )
    expect((await signet(['keys', 'generate', '--kind', 'api', '--out', 'caller.key'], { folder })).code).toBe(2)
    expect(readFileSync(join(folder, 'caller.key'), 'utf8').trim()).toBe(kept)
  })

  it('--force replaces a link and leaves what it pointed to', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'victim'), 'precious')
    symlinkSync(join(folder, 'victim'), join(folder, 'key'))
    expect((await signet(['keys', 'generate', '--kind', 'hmac', '--out', join(folder, 'key')])).code).toBe(2)
    expect((await signet(['keys', 'generate', '--kind', 'hmac', '--out', join(folder, 'key'), '--force'])).code).toBe(0)
    expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('precious')
    expect(readFileSync(join(folder, 'key'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
  })

  it('says in one line when the folder is not there', async () => {
    const { code, error } = await signet([
      'keys',
      'generate',
      '--kind',
      'hmac',
      '--out',
      join(newFolder(), 'nope', 'key'),
    ])
    expect(code).toBe(2)
    expect(error.trim().split('\n')).toHaveLength(1)
  })
})
