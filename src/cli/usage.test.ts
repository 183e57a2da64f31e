import { describe, expect, it } from 'vitest'
import { newFolder, signet } from './testing/command.test-support.ts'

describe('usage', () => {
  it.each([
    [['nope']],
    [['serve', '--nope']],
    [['audit']],
    [['audit', 'verify', 'a', 'b']],
    [['keys', 'generate']],
    [['keys', 'generate', '--kind', 'rsa']],
    [['serve', '--log-format', 'xml']],
    [['bench', '--requests', '0']],
    [['bench', '--requests', '1000001']],
    [['bench', '--gate', 'p100=1ms']],
    [['audit', 'tail', '-n', 'x']],
    [['doctor', '--self', 'ftp://x']],
    [['doctor', '--probe-injection']],
    [['doctor', '--self', 'https://x', '--ca', 'nope.crt']],
    [['escalations', 'evidence', '--file', 'nope.json']],
    [['keys', 'generate', '--kind', 'api', '--public-out', 'x']],
    [['receipt', 'verify', 'x']],
  ])('%j exits 2, says why on standard error and prints no trace', async args => {
    const { code, out, error } = await signet(args, { folder: newFolder() })
    expect(code).toBe(2)
    expect(out).not.toContain('Error')
    expect(error).not.toBe('')
    expect(error).not.toMatch(/\n\s+at /)
  })

  it('--help and --version exit 0', async () => {
    expect((await signet(['--version'])).out).toMatch(/^signet \d+\.\d+\.\d+/)
    for (const args of [['--help'], ['serve', '--help'], ['audit', 'tail', '--help'], ['help', 'keys']]) {
      const { code, out } = await signet(args)
      expect(code).toBe(0)
      expect(out).toContain('Usage: signet')
    }
  })

  it('help is ASCII', async () => {
    for (const command of [
      '',
      'init',
      'serve',
      'doctor',
      'lint',
      'audit',
      'audit verify',
      'audit report',
      'receipt verify',
      'keys generate',
      'plugins',
      'bench',
      'audit export',
      'audit import',
      'audit index',
      'audit segments',
      'audit erase',
      'audit accept-missing-head',
      'audit show',
      'replay',
      'audit tail',
      'audit count',
      'receipt upgrade',
      'keys list',
      'keys rotate',
      'keys retire',
      'keys import',
      'keys generate-ed25519',
      'plugins list',
      'plugins doctor',
      'escalations list',
      'escalations approve',
      'escalations deny',
      'escalations evidence',
      'escalations watch',
      'passkeys',
      'log',
      'log key',
      'log checkpoint',
      'log proof',
      'log consistency',
      'log verify',
      'log witnesses',
      'log alarm',
      'log anchors',
      'log anchor',
      'log verify-anchors',
    ]) {
      const { out } = await signet([...command.split(' ').filter(word => word !== ''), '--help'])
      expect(out).toMatch(/^[\n\x20-\x7e]+$/)
    }
  })

  it('a hostile argument is escaped in the message about it', async () => {
    const { error } = await signet(['serve', '--\x1b[31m\u202e'])
    expect(error).toContain('\\x1b[31m\\u202e')
    expect(error).not.toMatch(/[\x1b\u202e]/)
  })

  it.each([
    ['init', 'CON'],
    ['lint', 'nul.ts'],
    ['serve', '--config', 'aux.ts'],
    ['serve', '--audit-log', 'prn'],
    ['serve', '--env-file', 'com1.env'],
    ['serve', '--hmac-secret-file', 'lpt1'],
    ['audit', 'verify', 'CON .jsonl'],
    ['audit', 'verify', '--audit-log', 'audit.jsonl:x'],
    ['audit', 'tail', 'nul'],
    ['audit', 'count', 'nul'],
    ['audit', 'report', 'nul'],
    ['audit', 'show', 'id', 'nul'],
    ['replay', 'id', '--audit-log', 'nul'],
    ['keys', 'generate', '--kind', 'hmac', '--out', 'con.key'],
    ['keys', 'generate-ed25519', '--out', 'x', '--public-out', 'con'],
    ['receipt', 'verify', '--jwks', 'x', '--file', 'con'],
    ['receipt', 'verify', 'x', '--jwks', 'con.json'],
    ['receipt', 'verify', 'x', '--jwks', 'x', '--response', 'con'],
    ['bench', '--config', 'con.ts'],
    ['doctor', '--self', 'http://x', '--ca', 'con.pem'],
    ['doctor', '--self', 'http://x', '--token-file', 'nul'],
  ])('%s %s %s %s %s: a device name is refused', async (...args) => {
    const { code, error } = await signet(args)
    expect(code).toBe(2)
    expect(error).toMatch(/device name|NTFS stream/)
  })
})
