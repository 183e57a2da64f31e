import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPrivate, KeyFolder, readSecretFile } from './store.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-keys-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('a key folder', () => {
  it('keeps a key per purpose over a restart, 0600, and leaves nothing else behind', () => {
    const path = join(folder, 'keys')
    const first = new KeyFolder(path)
    const chain = first.secret('chain')
    const receipts = first.signing('receipts')
    const again = new KeyFolder(path)
    expect(again.secret('chain').id).toBe(chain.id)
    expect(again.secret('chain').mac(Buffer.from('m'))).toBe(chain.mac(Buffer.from('m')))
    expect(again.signing('receipts').kid).toBe(receipts.kid)
    expect(again.signing('capabilities').kid).not.toBe(receipts.kid)
    expect(again.secret('sealing').mac(Buffer.from('m'))).not.toBe(chain.mac(Buffer.from('m')))
    expect(readdirSync(path).sort()).toEqual(['capabilities.pem', 'chain.key', 'receipts.pem', 'sealing.key'])
    for (const file of readdirSync(path)) expect(statSync(join(path, file)).mode & 0o777).toBe(0o600)
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  it('takes the file of whoever was first', () => {
    const path = join(folder, 'x')
    expect(createPrivate(path, () => 'one')).toBe('one')
    expect(createPrivate(path, () => 'two')).toBe('one')
    expect(readdirSync(folder)).toEqual(['x'])
  })

  it('refuses a symbolic link', () => {
    writeFileSync(join(folder, 'real'), `k ${'00'.repeat(32)}`, { mode: 0o600 })
    symlinkSync(join(folder, 'real'), join(folder, 'chain.key'))
    expect(() => new KeyFolder(folder).secret('chain')).toThrow(/symbolic link/)
  })

  it.each([0o640, 0o604, 0o620])('refuses mode %o and says how to fix it', mode => {
    const path = join(folder, 'chain.key')
    writeFileSync(path, `k ${'00'.repeat(32)}`)
    chmodSync(path, mode)
    expect(() => new KeyFolder(folder).secret('chain')).toThrow(`fix: chmod 600 ${path}`)
  })

  it('refuses a folder that others can write, a folder in place of a file, and nonsense', () => {
    chmodSync(folder, 0o777)
    expect(() => new KeyFolder(folder)).toThrow(/chmod 700/)
    chmodSync(folder, 0o700)
    mkdirSync(join(folder, 'chain.key'))
    expect(() => new KeyFolder(folder).secret('chain')).toThrow(/not a regular file/)
    writeFileSync(join(folder, 'notes.key'), 'k 0011 22', { mode: 0o600 })
    expect(() => new KeyFolder(folder).secret('notes')).toThrow(/one line/)
    writeFileSync(join(folder, 'sealing.key'), 'k 0011', { mode: 0o600 })
    expect(() => new KeyFolder(folder).secret('sealing')).toThrow(/at least 32 are needed/)
  })
})

describe('a secret file', () => {
  it('is read through a link, trimmed, but not when the world can read it', () => {
    const path = join(folder, 's')
    writeFileSync(path, '  hunter2\n', { mode: 0o440 })
    symlinkSync(path, join(folder, 'link'))
    expect(readSecretFile(join(folder, 'link'))).toBe('hunter2')
    chmodSync(path, 0o644)
    expect(() => readSecretFile(path)).toThrow(/open to others/)
    expect(() => readSecretFile(join(folder, 'none'))).toThrow(/does not exist/)
    writeFileSync(join(folder, 'empty'), ' \n', { mode: 0o600 })
    expect(() => readSecretFile(join(folder, 'empty'))).toThrow(/is empty/)
  })
})
