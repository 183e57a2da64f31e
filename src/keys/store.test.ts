import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createOnly, createPrivate, readSecretFile } from './files.ts'
import { OVERLAP_MS } from './schedule.ts'
import { RETENTION_MS } from './signing-keys.ts'
import { KeyFolder, macKeys } from './store.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-keys-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const DAY = 86_400_000
/** A folder whose clock stands where it is put. */
function at(now: number): KeyFolder {
  return new KeyFolder(folder, { now: () => now })
}

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
    expect(readdirSync(path).sort()).toEqual([
      'capabilities.1.json',
      'chain.1.json',
      'receipts.1.json',
      'sealing.1.json',
    ])
    for (const file of readdirSync(path)) expect(statSync(join(path, file)).mode & 0o777).toBe(0o600)
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  it('takes the file of whoever was first', () => {
    const path = join(folder, 'x')
    expect(createPrivate(path, () => 'one')).toBe('one')
    expect(createPrivate(path, () => 'two')).toBe('one')
    expect(createOnly(path, 'three')).toBe(false)
    expect(readdirSync(folder)).toEqual(['x'])
    // Two processes that make the first key.
    expect(at(0).secret('chain').id).toBe(at(0).secret('chain').id)
  })

  it('rotates: published first, then signing, then verifying only, then forgotten', () => {
    const old = at(0).signing('receipts').kid
    const next = at(DAY).rotate('receipts', 2 * DAY).id
    const keys = at(DAY).signers('receipts')
    const kids = (ms: number) => keys.published(ms).map(k => k.kid)

    expect(keys.at(2 * DAY - 1)?.kid).toBe(old)
    expect(keys.at(2 * DAY)?.kid).toBe(next)
    expect(kids(DAY)).toEqual([old, next])
    expect(keys.published(DAY)[1]).toMatchObject({ nbf: (2 * DAY) / 1000 })
    expect(keys.published(DAY)[0]).toMatchObject({ exp: (2 * DAY + OVERLAP_MS) / 1000 })
    // A signature that was asked for just before.
    expect(keys.named(old, 2 * DAY + 1)?.kid).toBe(old)
    expect(keys.named(old, 2 * DAY + OVERLAP_MS)).toBeUndefined()
    expect(keys.named(next, 2 * DAY - 1)).toBeUndefined()
    expect(kids(2 * DAY + OVERLAP_MS + RETENTION_MS - 1)).toEqual([old, next])
    expect(kids(2 * DAY + OVERLAP_MS + RETENTION_MS)).toEqual([next])
    expect(at(3 * DAY).signing('receipts').kid).toBe(next)
  })

  it('lets one of two rotations through, and none before or beside one that waits', () => {
    at(0).secret('chain')
    const made = at(DAY).rotate('chain', 2 * DAY)
    expect(() => at(DAY).rotate('chain', 3 * DAY)).toThrow(`${made.id} already waits for 1970-01-03`)
    expect(() => at(2 * DAY).rotate('chain', DAY)).toThrow(/must begin after 1970-01-03/)
    at(3 * DAY).rotate('chain', 3 * DAY)
    expect(macKeys(at(3 * DAY).keys('chain'))).toHaveLength(3)
    // The name of the next number is taken while this one is being made.
    const slow = new KeyFolder(folder, {
      now: () => 4 * DAY,
      random: n => {
        createOnly(join(folder, 'chain.4.json'), readFileSync(join(folder, 'chain.3.json'), 'utf8'))
        return new Uint8Array(n)
      },
    })
    expect(() => slow.rotate('chain', 4 * DAY)).toThrow(/another process has just rotated/)
  })

  it('gives no key when the last one has ended, and says how to go on', () => {
    const kid = at(0).signing('receipts').kid
    at(DAY).retire('receipts', kid, 2 * DAY, false)
    expect(at(2 * DAY - 1).signing('receipts').kid).toBe(kid)
    expect(() => at(2 * DAY).signing('receipts')).toThrow(
      `the receipts key ${kid} ended at 1970-01-03T00:00:00.000Z; fix: signet keys rotate --purpose receipts --activate-at now`,
    )
    expect(() => at(DAY).retire('receipts', kid, 3 * DAY, false)).toThrow(/not moved back/)
    expect(() => at(DAY).retire('receipts', 'nobody', 3 * DAY, false)).toThrow(/no receipts key has the id/)
    at(2 * DAY).rotate('receipts', 2 * DAY)
    expect(at(2 * DAY).signing('receipts').kid).not.toBe(kid)
    // Withdrawn: whatever it signed is believed no longer.
    expect(
      at(2 * DAY)
        .signers('receipts')
        .published(2 * DAY),
    ).toHaveLength(2)
    at(2 * DAY).retire('receipts', kid, DAY, true)
    expect(
      at(2 * DAY)
        .signers('receipts')
        .published(2 * DAY)
        .map(k => k.kid),
    ).not.toContain(kid)
  })

  it('ends a key that waits, so that another can be made', () => {
    at(0).secret('chain')
    const wrong = at(DAY).rotate('chain', 2 * DAY).id
    at(DAY).retire('chain', wrong, DAY, false)
    const right = at(DAY).rotate('chain', 2 * DAY).id
    expect(at(3 * DAY).secret('chain').id).toBe(right)
    expect(
      at(3 * DAY)
        .ring('chain')
        .accepts(wrong, BigInt(3 * DAY) * 1_000_000n),
    ).toBe(false)
  })

  it('takes a key made earlier as the first, once', () => {
    const hex = '0123456789abcdef'.repeat(4)
    expect(at(0).adopt('chain', hex, 'k1')).toBe('k1')
    expect(at(0).secret('chain').id).toBe('k1')
    expect(() => at(0).adopt('chain', hex, 'k1')).toThrow(/has chain keys already/)
  })

  it('sees every change of a key file, and nothing else', () => {
    const keys = at(0)
    keys.secret('chain')
    const before = keys.fingerprint()
    writeFileSync(join(folder, 'notes.txt'), 'x')
    expect(keys.fingerprint()).toBe(before)
    const { id } = at(DAY).rotate('chain', DAY)
    const rotated = keys.fingerprint()
    expect(rotated).not.toBe(before)
    at(DAY).retire('chain', id, 2 * DAY, false)
    expect(keys.fingerprint()).not.toBe(rotated)
  })

  it.each([1, 2])('refuses a folder that has lost key %i and has a later one: an ended key would sign again', lost => {
    at(0).ensure('receipts')
    at(0).rotate('receipts', DAY)
    at(2 * DAY).rotate('receipts', 3 * DAY)
    rmSync(join(folder, `receipts.${lost}.json`))
    const reading = [
      () => at(0).keys('receipts'),
      () => at(0).signing('receipts'),
      () => at(0).rotate('receipts', 9 * DAY),
    ]
    for (const read of reading)
      expect(read).toThrow(new RegExp(`receipts\\.${lost}\\.json is missing, and receipts\\.[23]\\.json is there`))
    writeFileSync(join(folder, 'chain.9.json.bak'), '')
    expect(at(0).keys('chain')).toEqual([])
  })

  it('refuses a symbolic link', () => {
    at(0).secret('chain')
    const text = readFileSync(join(folder, 'chain.1.json'))
    rmSync(join(folder, 'chain.1.json'))
    writeFileSync(join(folder, 'real'), text, { mode: 0o600 })
    symlinkSync(join(folder, 'real'), join(folder, 'chain.1.json'))
    expect(() => at(0).secret('chain')).toThrow(/symbolic link/)
  })

  it.each([0o640, 0o604, 0o620])('refuses mode %o and says how to fix it', mode => {
    at(0).secret('chain')
    const path = join(folder, 'chain.1.json')
    chmodSync(path, mode)
    expect(() => at(0).secret('chain')).toThrow(`fix: chmod 600 ${path}`)
  })

  it('refuses a folder that others can write, and a folder in place of a file', () => {
    chmodSync(folder, 0o777)
    expect(() => new KeyFolder(folder)).toThrow(/chmod 700/)
    chmodSync(folder, 0o700)
    mkdirSync(join(folder, 'chain.1.json'))
    expect(() => at(0).secret('chain')).toThrow(/not a regular file/)
  })

  it.each([
    ['what is no JSON', (t: string) => t.slice(5), /expected JSON/],
    ['another purpose', (t: string) => t.replace('"chain"', '"sealing"'), /expected a key for chain/],
    ['a later version', (t: string) => t.replace('"v": 1', '"v": 2'), /expected version 1/],
    ['a member that it does not know', (t: string) => t.replace('"v": 1', '"v": 1, "x": 2'), /does not know/],
    [
      'a time that is none',
      (t: string) => t.replace(/"created": "[^"]*"/, '"created": "2026-02-31T00:00:00Z"'),
      /"created" as a time/,
    ],
    ['a short secret', (t: string) => t.replace(/"secret": "[^"]*"/, '"secret": "0011"'), /at least 32 are needed/],
  ])('refuses %s, without the secret', (_, change, message) => {
    at(0).secret('chain')
    const path = join(folder, 'chain.1.json')
    const text = readFileSync(path, 'utf8')
    const secret = /"secret": "([^"]*)"/.exec(text)?.[1] ?? ''
    writeFileSync(path, change(text))
    try {
      at(0).secret('chain')
      expect.unreachable()
    } catch (error) {
      expect((error as Error).message).toMatch(message)
      expect((error as Error).message).not.toContain(secret.slice(0, 12))
    }
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
