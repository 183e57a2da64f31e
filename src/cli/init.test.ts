import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newFolder, signet } from './testing/command.test-support.ts'

describe('init', () => {
  const NAMES = [
    'pipeline.ts',
    '.env',
    'receipt-key.pem',
    '.env.example',
    '.gitignore',
    'client-example.mjs',
    'package.json',
    'tsconfig.json',
  ]

  it('writes a project with keys of its own, secrets readable by their owner alone', async () => {
    const [a, b] = [newFolder(), newFolder()]
    const { code, out } = await signet(['init', a])
    await signet(['init', b])
    expect(code).toBe(0)
    for (const name of NAMES) expect(out).toMatch(new RegExp(`wrote +${name}`))
    for (const name of ['.env', 'receipt-key.pem']) {
      expect(statSync(join(a, name)).mode & 0o777).toBe(0o600)
      expect(readFileSync(join(a, name), 'utf8')).not.toBe(readFileSync(join(b, name), 'utf8'))
    }
    expect(readFileSync(join(a, '.env'), 'utf8')).toMatch(/^SIGNET_HMAC_SECRET=[0-9a-f]{64}$/m)
    expect(readFileSync(join(a, '.env.example'), 'utf8')).toMatch(/^SIGNET_HMAC_SECRET=$/m)
  })

  it('writes no .env that overrules upstream and address of pipeline.ts', async () => {
    const folder = newFolder()
    await signet(['init', folder])
    expect(readFileSync(join(folder, '.env'), 'utf8')).not.toMatch(/^SIGNET_(UPSTREAM_URL|HOST|PORT)=/m)
  })

  it('writes a client that says in one line that there is no gate', async () => {
    const folder = newFolder()
    await signet(['init', folder])
    const env = { ...process.env, GATE_URL: 'http://127.0.0.1:1/v1' }
    const ran = spawnSync(process.execPath, ['client-example.mjs'], { cwd: folder, env, encoding: 'utf8' })
    expect(ran).toMatchObject({ status: 2, stdout: '' })
    expect(ran.stderr).toMatch(/^no gate answers at http:\/\/127\.0\.0\.1:1\/v1; [^\n]+\n$/)
  })

  it('never overwrites: a second run changes nothing and exits 1', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'pipeline.ts'), '// mine')
    const first = await signet(['init'], { folder })
    expect(first.code).toBe(0)
    expect(first.out).toContain('skipped pipeline.ts (exists)')
    expect(readFileSync(join(folder, 'pipeline.ts'), 'utf8')).toBe('// mine')
    const before = NAMES.map(name => readFileSync(join(folder, name), 'utf8'))
    const second = await signet(['init'], { folder })
    expect(second.code).toBe(1)
    expect(NAMES.map(name => readFileSync(join(folder, name), 'utf8'))).toEqual(before)
  })

  it('never writes through a link, dangling or not', async () => {
    const folder = newFolder()
    const target = join(newFolder(), 'victim')
    writeFileSync(target, 'precious')
    const missing = join(newFolder(), 'not-there')
    symlinkSync(target, join(folder, '.env'))
    symlinkSync(missing, join(folder, 'receipt-key.pem'))
    const { code, out } = await signet(['init', folder])
    expect(code).toBe(0)
    expect(out).toContain('skipped .env (is a symbolic link)')
    expect(readFileSync(target, 'utf8')).toBe('precious')
    expect(existsSync(missing)).toBe(false)
  })

  it('says so when the folder is a file', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'file'), '')
    const { code, error } = await signet(['init', join(folder, 'file')])
    expect(code).toBe(2)
    expect(error).toContain('is not a folder')
  })
})
