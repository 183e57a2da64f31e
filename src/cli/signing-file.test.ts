import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { SigningKey } from '../keys/signing.ts'
import { signingKeyOf } from './signing-file.ts'

it('a file that holds no key is named, and nothing of what it holds', () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-signing-'))
  const path = join(folder, 'receipt.pem')
  writeFileSync(path, 'hunter2', { mode: 0o600 })
  expect(() => signingKeyOf(path)).toThrow(`${path}: the signing key is not a readable PKCS #8 PEM`)
  expect(() => signingKeyOf(path)).not.toThrow(/hunter2/)
  const key = SigningKey.generate()
  writeFileSync(path, key.privatePem())
  expect(signingKeyOf(path).kid).toBe(key.kid)
  rmSync(folder, { recursive: true })
})
