import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { rolldown } from 'rolldown'
import { describe, expect, it } from 'vitest'
import { modulesFrom } from '../../test/support/modules-from.ts'
import { ARGUMENTS, AUDIENCE, ISSUER, KEYS, NOW_S, TOOL, tokenFor } from './testing/tokens.test-support.ts'

const ENTRY = join(import.meta.dirname, 'index.ts')

describe('the capability entry', () => {
  it('loads nothing but its own files and jose, and touches no Node global', () => {
    const modules = modulesFrom(ENTRY)
    expect(modules.size).toBeGreaterThan(10)
    expect([...new Set([...modules.values()].flat().filter(name => !name.startsWith('.')))]).toEqual(['jose'])
    for (const file of modules.keys())
      expect(readFileSync(file, 'utf8')).not.toMatch(/\bBuffer[.(]|\bprocess\.\w|\brequire\(/)
  })

  it('verifies where there is nothing but the Web platform', async () => {
    const bundle = await rolldown({ input: ENTRY, platform: 'browser' })
    const { output } = await bundle.generate({ format: 'iife', name: 'capability' })
    await bundle.close()
    const web = {
      crypto,
      TextEncoder,
      TextDecoder,
      URL,
      AbortSignal,
      CryptoKey,
      Uint8Array,
      ArrayBuffer,
      atob,
      btoa,
      structuredClone,
      given: {
        keys: KEYS,
        issuer: ISSUER,
        audience: AUDIENCE,
        tool: TOOL,
        argumentsText: ARGUMENTS,
        now: () => NOW_S * 1000,
      },
      token: await tokenFor(),
    }
    const script = `${output[0].code}
      const options = { ...given, replay: new capability.MemoryReplayStore() };
      capability.verifyCapability(token, options).then(async first => [
        first.claims.tool, first.arguments.amount,
        await capability.verifyCapability(token, options).catch(error => error.code),
      ])`
    expect(await runInNewContext(script, web)).toEqual([TOOL, 50, 'already_used'])
  })
})
