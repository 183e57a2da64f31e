import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ToolCallInspectorCheck } from '../checks/tool-call-inspector.ts'
import { resolveSettings } from '../config/resolve.ts'
import { fromPipeline, type SettingsInput } from '../config/settings.ts'
import { SigningKey } from '../keys/signing.ts'
import { KeyFolder } from '../keys/store.ts'
import { openCapabilities } from './capabilities.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-capabilities-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const HASH = `sha256:${'a'.repeat(64)}`
const guarded = [new ToolCallInspectorCheck({ registry: { pay: { audience: 'https://pay.example' } } })]
const open = [new ToolCallInspectorCheck({ registry: { pay: {} } })]

function opened(checks: typeof open, settings: SettingsInput, dev = true) {
  const given = { auditLogPath: join(folder, 'audit.jsonl'), ...settings }
  const own = dev
    ? given
    : { identity: 'asserted' as const, hmacSecret: 'ab'.repeat(32), emitReceipts: false, ...given }
  const resolved = resolveSettings([fromPipeline(own, '')], dev)
  return openCapabilities(resolved, checks, {
    kept: purpose => new KeyFolder(join(folder, '.signet')).signers(purpose),
  })
}

describe('capabilities of a gate that is started', () => {
  it('are off while no tool has an audience', async () => {
    expect(await opened(open, {})).toBeUndefined()
    expect(existsSync(join(folder, '.signet'))).toBe(false)
  })

  it('are signed with a key of their own, which --dev keeps', async () => {
    const [one, two] = [await opened(guarded, { issuer: 'i', capabilityTtlS: 30 }), await opened(guarded, {})]
    expect(one).toMatchObject({ issuer: 'i', ttlS: 30 })
    expect(one?.signer.at(Date.now())?.kid).toBe(two?.signer.at(Date.now())?.kid)
    expect(one?.signer.at(Date.now())?.kid).toBe(new KeyFolder(join(folder, '.signet')).signing('capabilities').kid)
    expect(one?.signer.at(Date.now())?.kid).not.toBe(new KeyFolder(join(folder, '.signet')).signing('receipts').kid)
    expect(one?.redemptions).toBeUndefined()
  })

  it('take the key that is named, and ask for one outside --dev', async () => {
    const path = join(folder, 'key.pem')
    const key = SigningKey.generate()
    writeFileSync(path, key.privatePem(), { mode: 0o600 })
    expect((await opened(guarded, { capabilityKeyFile: path }, false))?.signer.at(Date.now())?.kid).toBe(key.kid)
    await expect(opened(guarded, {}, false)).rejects.toThrow('SIGNET_CAPABILITY_KEY_FILE: not set')
    expect((await opened(guarded, { allowEphemeralKey: true }, false))?.signer.at(Date.now())?.alg).toBe('EdDSA')
  })

  it('remember their uses in a file beside the log, when an executor may ask', async () => {
    const made = await opened(guarded, { redeemers: { 'https://pay.example': HASH } })
    expect(made?.redemptions?.durable).toBe(true)
    expect(existsSync(join(folder, 'audit.jsonl.redemptions.db'))).toBe(true)
    await made?.redemptions?.close()
  })

  it('are not believed in by mistake', async () => {
    await expect(opened(open, { redeemers: { 'https://pay.example': HASH } })).rejects.toThrow(
      'redeemers: set, and no tool',
    )
    await expect(opened(open, { capabilityKeyFile: '/k' })).rejects.toThrow('capabilityKeyFile: set, and no tool')
    const secret = 'the-secret-itself'
    const wrong = () => opened(guarded, { redeemers: { 'https://pay.example': secret } })
    expect(wrong).toThrow('sha256:<64 hex digits>')
    expect(wrong).not.toThrow(secret)
  })
})
