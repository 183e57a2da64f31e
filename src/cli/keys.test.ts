/** Keys over time, through the command line and a gate that runs meanwhile. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { KeyFolder } from '../keys/store.ts'
import { remoteJwks, verifyReceipt } from '../receipt/index.ts'
import { run } from './main.ts'

const root = mkdtempSync(join(tmpdir(), 'signet-keys-cli-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
const newFolder = (): string => mkdtempSync(join(root, `${folders++}-`))

async function signet(
  folder: string,
  args: readonly string[],
  now = Date.now,
  environment: Record<string, string> = {},
) {
  const written = { out: '', error: '' }
  const code = await run(args, {
    out: { write: (text: string) => (written.out += text) },
    error: { write: (text: string) => (written.error += text) },
    environment,
    folder,
    now,
    input: async () => new Uint8Array(),
    asked: async () => '',
  })
  return { code, ...written }
}

async function gate(folder: string, args: readonly string[], environment: Record<string, string> = {}) {
  const written = { out: '', error: '' }
  const listening = Promise.withResolvers<string>()
  const asked = Promise.withResolvers<string>()
  let hangup: () => void = () => undefined
  const ended = run(
    ['serve', '--upstream', 'demo', '--dev', '--port', '0', '--audit-log', join(folder, 'audit.jsonl'), ...args],
    {
      out: {
        write: (text: string) => {
          written.out += text
          const url = /http:\/\/[0-9.:]+/.exec(text)?.[0]
          if (url !== undefined) listening.resolve(url)
        },
      },
      error: { write: (text: string) => (written.error += text) },
      environment,
      folder,
      now: Date.now,
      input: async () => new Uint8Array(),
      asked: () => asked.promise,
      onHangup: f => {
        hangup = f
        return () => undefined
      },
    },
  )
  const first = await Promise.race([listening.promise, ended])
  return {
    url: String(first),
    code: typeof first === 'number' ? first : undefined,
    written,
    hangup: () => hangup(),
    stop: () => {
      asked.resolve('SIGTERM')
      return ended
    },
  }
}

const QUESTION = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] })

async function ask(url: string, owner = 'human:alice') {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'x-commit-owner': owner },
    body: QUESTION,
  })
  return {
    status: response.status,
    receipt: response.headers.get('x-signet-receipt') ?? '',
    body: new Uint8Array(await response.arrayBuffer()),
  }
}

function keyIds(folder: string): string[] {
  const ids = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => String(JSON.parse(line).metadata._signing_key_id))
  return [...new Set(ids)]
}

describe('keys list, rotate and retire', () => {
  const listed = async (folder: string, now = Date.now) =>
    JSON.parse((await signet(folder, ['keys', 'list', '--json'], now)).out).keys as Record<string, unknown>[]

  it('show what signs when, and no secret', async () => {
    const folder = newFolder()
    const now = Date.parse('2026-05-01T12:00:00Z')
    expect(await signet(folder, ['keys', 'list'])).toMatchObject({
      code: 2,
      error: expect.stringMatching(/no such folder/),
    })
    const first = await signet(folder, ['keys', 'rotate', '--purpose', 'receipts'], () => now)
    expect(first).toMatchObject({ code: 0, error: '' })
    expect(first.out).toMatch(/the next receipts key is \S+; it signs from 2026-05-01T12:15:00.000Z on/)
    expect(await listed(folder, () => now)).toMatchObject([
      { purpose: 'receipts', status: 'active', notBefore: null, notAfter: '2026-05-01T12:25:00.000Z' },
      { purpose: 'receipts', status: 'waiting', notBefore: '2026-05-01T12:15:00.000Z', notAfter: null },
    ])
    expect((await listed(folder, () => now + 900_000)).map(k => k['status'])).toEqual(['retired', 'active'])
    const text = await signet(folder, ['keys', 'list'], () => now)
    expect(text.out).toMatch(/receipts +\S{43} +active +always +2026-05-01T12:25/)
    const secret = /PRIVATE KEY-----\\n([^\\]{20})/.exec(
      readFileSync(join(folder, '.signet/receipts.1.json'), 'utf8'),
    )?.[1]
    expect(secret).toBeDefined()
    for (const out of [text.out, JSON.stringify(await listed(folder)), first.out]) expect(out).not.toContain(secret)
  })

  it.each([
    ['receipts', 'SIGNET_RECEIPT_KEY_FILE'],
    ['chain', 'SIGNET_HMAC_SECRET'],
  ])('warn of a rotation that a gate will not notice: %s has a key given by %s', async (purpose, variable) => {
    const folder = newFolder()
    await signet(folder, ['init'])
    const given = await signet(folder, ['keys', 'rotate', '--purpose', purpose])
    expect(given.error).toMatch(new RegExp(`warning: ${variable} is set, so a gate signs with that`))
    const free = await signet(newFolder(), ['keys', 'rotate', '--purpose', purpose])
    expect(free).toMatchObject({ code: 0, error: '' })
  })

  it('warn of a rotation that verifiers cannot have heard of, and of an end without a successor', async () => {
    const folder = newFolder()
    const soon = await signet(folder, ['keys', 'rotate', '--purpose', 'receipts', '--activate-at', 'now'])
    expect(soon).toMatchObject({ code: 0, error: expect.stringMatching(/sooner than verifiers look/) })
    const chain = await signet(folder, ['keys', 'rotate', '--purpose', 'chain', '--activate-at', 'now'])
    expect(chain).toMatchObject({ code: 0, error: '' })
    const id = String((await listed(folder)).find(k => k['purpose'] === 'chain' && k['status'] === 'active')?.['id'])
    const retired = await signet(folder, ['keys', 'retire', '--purpose', 'chain', '--kid', id])
    expect(retired).toMatchObject({ code: 0, error: expect.stringMatching(/no chain key is left.*--activate-at now/) })
    for (const bad of [
      ['--activate-at', 'tomorrow'],
      ['--activate-at', '2026-05-01'],
      ['--purpose', 'lunch'],
      ['--purpose', 'sealing'],
      ['--purpose', 'notes'],
    ])
      expect((await signet(folder, ['keys', 'rotate', '--purpose', 'chain', ...bad])).code).toBe(2)
  })

  it('take over the files that a gate has had so far', async () => {
    const folder = newFolder()
    await signet(folder, ['keys', 'generate', '--kind', 'ed25519', '--out', join(folder, 'r.pem')])
    const imported = await signet(folder, ['keys', 'import', '--purpose', 'receipts', '--file', join(folder, 'r.pem')])
    expect(imported.code).toBe(0)
    writeFileSync(join(folder, 'h.hex'), 'ab'.repeat(32), { mode: 0o600 })
    const mac = ['keys', 'import', '--purpose', 'chain', '--file', join(folder, 'h.hex')]
    expect(await signet(folder, mac)).toMatchObject({ code: 2, error: expect.stringMatching(/--kid: missing/) })
    expect((await signet(folder, [...mac, '--kid', 'k1'])).code).toBe(0)
    expect((await listed(folder)).map(k => k['id'])).toContain('k1')
  })
})

describe('a gate that runs while its keys are rotated', () => {
  it('fails no request, signs on without a gap, and everything verifies: receipts and rows', async () => {
    const folder = newFolder()
    const environment = { SIGNET_KEY_FOLDER: join(folder, 'keys') }
    const running = await gate(folder, [], environment)
    const answers: Awaited<ReturnType<typeof ask>>[] = []
    let over = false
    let n = 0
    const load = Array.from({ length: 4 }, async (_, c) => {
      while (!over) {
        answers.push(await ask(running.url, `human:u${c}-${n}`))
        n += 1
      }
    })
    const more = async (count: number) => {
      const from = answers.length
      while (answers.length < from + count) await ask(running.url, `human:x${n}`)
    }
    await more(10)
    for (const purpose of ['receipts', 'chain']) {
      const rotated = await signet(
        folder,
        ['keys', 'rotate', '--purpose', purpose, '--activate-at', 'now'],
        Date.now,
        environment,
      )
      expect(rotated.code).toBe(0)
    }
    // A key begins at a whole second.
    const [, next] = new KeyFolder(join(folder, 'keys')).keys('receipts')
    while (Date.now() < (next?.notBefore ?? 0)) await more(1)
    running.hangup()
    const at = answers.length
    await more(20)
    over = true
    await Promise.all(load)
    expect(running.written.out).toMatch(/the keys were read anew/)
    expect(answers.map(a => a.status)).toEqual(answers.map(() => 200))
    const keys = remoteJwks(`${running.url}/.well-known/jwks.json`)
    const kids = new Set<string>()
    for (const { receipt, body } of answers)
      kids.add((await verifyReceipt(receipt, { keys, issuer: 'signet', responseBytes: body })).kid)
    expect(kids.size).toBe(2)
    const last = answers.at(-1)
    expect((await verifyReceipt(last?.receipt ?? '', { keys, issuer: 'signet' })).kid).toBe(next?.id)
    expect(answers.length).toBeGreaterThan(at)
    expect(await running.stop()).toBe(0)
    expect(keyIds(folder)).toHaveLength(2)
    expect(await signet(folder, ['audit', 'verify'], Date.now, environment)).toMatchObject({ code: 0 })
  })

  it('keeps what it has when a key file cannot be read', async () => {
    const folder = newFolder()
    const running = await gate(folder, [])
    writeFileSync(join(folder, '.signet', 'receipts.2.json'), 'half', { mode: 0o600 })
    running.hangup()
    expect(running.written.error).toMatch(/the keys could not be read anew, and those read before stay in use/)
    expect((await ask(running.url)).status).toBe(200)
    await running.stop()
  })

  it.each<[string, (keys: string) => void, RegExp]>([
    [
      'is emptied',
      keys => {
        for (const name of readdirSync(keys)) rmSync(join(keys, name))
      },
      /the chain key \S+ has no file any more/,
    ],
    [
      'loses the last key, so that the one before it would sign again',
      keys => rmSync(join(keys, 'chain.2.json')),
      /the chain key \S+ has no file any more; restore its file/,
    ],
    [
      'has another secret under the same id',
      keys => {
        const file = join(keys, 'chain.2.json')
        const text = readFileSync(file, 'utf8')
        writeFileSync(file, text.replace(/"secret": ?"[0-9a-f]{64}"/, `"secret":"${'ab'.repeat(32)}"`))
        expect(readFileSync(file, 'utf8')).not.toBe(text)
      },
      /the chain key \S+ has another secret/,
    ],
    [
      'has a withdrawn key as it was before',
      keys => {
        const file = join(keys, 'receipts.1.json')
        writeFileSync(file, readFileSync(`${file}.before`, 'utf8'))
      },
      /the receipts key \S+ had ended, or was about to, and no longer is/,
    ],
    [
      'has a new receipt key and a chain key that cannot be read',
      keys => {
        new KeyFolder(keys).rotate('receipts', Date.now() + 1000)
        writeFileSync(join(keys, 'chain.3.json'), 'half', { mode: 0o600 })
      },
      /chain\.3\.json/,
    ],
  ])('signs on with the keys that it has when the folder %s', async (_, attack, why) => {
    const folder = newFolder()
    const path = join(folder, '.signet')
    const keys = new KeyFolder(path)
    keys.ensure('chain')
    keys.rotate('chain', Date.now() - 5000)
    const [first] = keys.ensure('receipts')
    keys.rotate('receipts', Date.now() - 5000)
    const file = join(path, 'receipts.1.json')
    writeFileSync(`${file}.before`, readFileSync(file), { mode: 0o600 })
    keys.retire('receipts', first?.id ?? '', Date.now() - 6000, true)
    const saved = new Map(readdirSync(path).map(name => [name, readFileSync(join(path, name))]))
    const running = await gate(folder, [])
    const published = async () => (await fetch(`${running.url}/.well-known/jwks.json`)).text()
    const before = await published()
    attack(path)
    running.hangup()
    expect(running.written.error).toMatch(/the keys could not be read anew, and those read before stay in use/)
    expect(running.written.error).toMatch(why)
    expect((await ask(running.url)).status).toBe(200)
    expect(await published()).toBe(before)
    await running.stop()
    for (const name of readdirSync(path)) rmSync(join(path, name))
    for (const [name, bytes] of saved) writeFileSync(join(path, name), bytes, { mode: 0o600 })
    expect(keyIds(folder)).toEqual([keys.keys('chain').at(-1)?.id])
    expect((await signet(folder, ['audit', 'verify'])).code).toBe(0)
  })

  it('refuses everything once a key has ended, before any work, and does not start with it', async () => {
    const folder = newFolder()
    const running = await gate(folder, [])
    expect((await ask(running.url)).status).toBe(200)
    const [key] = new KeyFolder(join(folder, '.signet')).keys('receipts')
    await signet(folder, ['keys', 'retire', '--purpose', 'receipts', '--kid', key?.id ?? ''])
    running.hangup()
    const before = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    expect((await ask(running.url)).status).toBe(503)
    expect(readFileSync(join(folder, 'audit.jsonl'), 'utf8')).toBe(before)
    expect((await fetch(`${running.url}/readyz`)).status).toBe(503)
    await running.stop()
    const again = await gate(folder, [])
    expect(again.code).toBe(2)
    expect(again.written.error).toMatch(
      /^Error: the receipts key \S+ ended at \S+; fix: signet keys rotate --purpose receipts --activate-at now\n$/,
    )
    await signet(folder, ['keys', 'rotate', '--purpose', 'receipts', '--activate-at', 'now'])
    const [, next] = new KeyFolder(join(folder, '.signet')).keys('receipts')
    while (Date.now() < (next?.notBefore ?? 0)) await new Promise(r => setImmediate(r))
    const fixed = await gate(folder, [])
    expect((await ask(fixed.url)).status).toBe(200)
    await fixed.stop()
  })

  it('does not start with a chain key that has ended', async () => {
    const folder = newFolder()
    const keys = new KeyFolder(join(folder, '.signet'))
    const [key] = keys.ensure('chain')
    keys.retire('chain', key?.id ?? '', Date.now(), false)
    const running = await gate(folder, [])
    expect(running.code).toBe(2)
    expect(running.written.error).toMatch(/the chain key \S+ ended at .*fix: signet keys rotate --purpose chain/)
    expect(existsSync(join(folder, 'audit.jsonl'))).toBe(false)
  })

  it('signs receipts through another process, refuses while that is gone, and goes on when it is back', async () => {
    const folder = newFolder()
    await signet(folder, ['keys', 'generate', '--kind', 'ed25519', '--out', join(folder, 'r.pem')])
    const pidFile = join(folder, 'pid')
    writeFileSync(
      join(folder, 'signer.mjs'),
      `import { writeFileSync } from 'node:fs'
       writeFileSync(${JSON.stringify(pidFile)}, String(process.pid))
       process.argv[2] = ${JSON.stringify(join(folder, 'r.pem'))}
       await import(${JSON.stringify(resolve(import.meta.dirname, '../../examples/signer.mjs'))})`,
    )
    const running = await gate(folder, [], {
      SIGNET_RECEIPT_SIGNER: JSON.stringify({ command: process.execPath, args: [join(folder, 'signer.mjs')] }),
    })
    const keys = remoteJwks(`${running.url}/.well-known/jwks.json`)
    const first = await ask(running.url)
    expect(
      (await verifyReceipt(first.receipt, { keys, issuer: 'signet', responseBytes: first.body })).claims.final,
    ).toBe(true)
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL')
    const statuses = new Set<number>()
    let n = 0
    while (!running.written.out.includes('the signer process answers again')) {
      const answer = await ask(running.url, `human:s${n++}`)
      statuses.add(answer.status)
      // Never an answer without its receipt.
      if (answer.status === 200)
        await verifyReceipt(answer.receipt, { keys, issuer: 'signet', responseBytes: answer.body })
      else expect(answer.status).toBe(503)
    }
    expect((await ask(running.url, 'human:after')).status).toBe(200)
    expect(running.written.error).toMatch(/warning: the signer process .* ended \(SIGKILL\); it is started again/)
    expect(await running.stop()).toBe(0)
  })
})
