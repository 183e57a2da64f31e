import { createPublicKey, verify } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Clock } from '../core/clock.ts'
import { ExternalSigner, type SignerCommand } from './external-signer.ts'
import { SigningKey } from './signing.ts'

const EXAMPLE = resolve(import.meta.dirname, '../../examples/signer.mjs')
const folder = mkdtempSync(join(tmpdir(), 'signet-signer-'))
const key = SigningKey.generate()
beforeAll(() => {
  writeFileSync(join(folder, 'key.pem'), key.privatePem(), { mode: 0o600 })
})
afterAll(() => rmSync(folder, { recursive: true }))

const open: ExternalSigner[] = []
afterEach(async () => {
  for (const signer of open.splice(0)) await signer.close()
})

interface Opened {
  readonly signer: ExternalSigner
  readonly states: [boolean, string][]
  /** Resolves when the state next changes to this. */
  becomes(ok: boolean): Promise<void>
  /** Fires the timers that wait for at least so long. */
  pass(ms: number): void
}

/** Timers fire when told, but for the one that starts a process again. */
async function start(command: Partial<SignerCommand>, environment: Record<string, string> = {}): Promise<Opened> {
  const timers = new Set<{ readonly ms: number; readonly f: () => void }>()
  const states: [boolean, string][] = []
  let told: () => void = () => undefined
  const clock: Clock = {
    now: Date.now,
    nowNs: () => BigInt(Date.now()) * 1_000_000n,
    timer: (ms, f) => {
      if (ms < 2000) {
        const immediate = setImmediate(f)
        return () => clearImmediate(immediate)
      }
      const timer = { ms, f }
      timers.add(timer)
      return () => timers.delete(timer)
    },
  }
  const signer = await ExternalSigner.open(
    { command: process.execPath, args: [EXAMPLE, join(folder, 'key.pem')], ...command },
    {
      clock,
      environment,
      folder,
      onState: (ok, reason) => {
        states.push([ok, reason])
        told()
      },
    },
  )
  open.push(signer)
  return {
    signer,
    states,
    becomes: async ok => {
      while (!states.some(s => s[0] === ok)) await new Promise<void>(r => (told = r))
    },
    pass: ms => {
      for (const timer of timers) {
        if (timer.ms > ms) continue
        timers.delete(timer)
        timer.f()
      }
    },
  }
}

const receipt = (n: number): Uint8Array =>
  Buffer.from(`${Buffer.from('{"alg":"EdDSA","typ":"signet-receipt+jwt"}').toString('base64url')}.${n}`)

/** A zombie that nobody has waited for yet is not. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** A signer whose behaviour is this script; `hello` and `read` are there for it. */
function scripted(body: string): Partial<SignerCommand> {
  const path = join(folder, `s-${Math.random().toString(36).slice(2)}.mjs`)
  writeFileSync(
    path,
    `import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
     import { existsSync, readFileSync, writeFileSync } from 'node:fs'
     import { createInterface } from 'node:readline'
     const key = createPrivateKey(readFileSync(${JSON.stringify(join(folder, 'key.pem'))}))
     const x = createPublicKey(key).export({ format: 'jwk' }).x
     const say = m => process.stdout.write(JSON.stringify(m) + '\\n')
     const answer = (r, k = key) => say({ id: r.id, signature: sign(null, Buffer.from(r.data, 'base64'), k).toString('base64') })
     /** True the first time it is run. */
     const first = !existsSync(${JSON.stringify(`${path}.ran`)})
     writeFileSync(${JSON.stringify(`${path}.ran`)}, '')
     const lines = createInterface({ input: process.stdin })
     const each = f => lines.on('line', l => f(JSON.parse(l)))
     ${body}`,
  )
  return { args: [path] }
}

describe('a signer process', () => {
  it('signs what its announced key verifies, many at once and in any order', async () => {
    const { signer } = await start({ concurrency: 7 })
    expect(signer.published(0)).toEqual([key.publicJwk])
    const now = signer.at(Date.now())
    expect(now?.kid).toBe(key.kid)
    const signatures = await Promise.all(Array.from({ length: 100 }, (_, n) => now?.sign(receipt(n))))
    const pub = createPublicKey(key.publicPem())
    for (const [n, signature] of signatures.entries())
      expect(verify(null, receipt(n), pub, signature ?? Buffer.alloc(64))).toBe(true)
  })

  it('of the example signs receipts and nothing else', async () => {
    const { signer, states } = await start({})
    const other = Buffer.from(`${Buffer.from('{"typ":"signet-capability+jwt"}').toString('base64url')}.x`)
    await expect(signer.at(0)?.sign(other)).rejects.toThrow(/refused to sign/)
    expect(await signer.at(0)?.sign(receipt(1))).toHaveLength(64)
    expect(states).toEqual([])
  })

  it('sees the variables that were named and no others', async () => {
    const out = join(folder, 'environment')
    const { signer } = await start(
      {
        ...scripted(
          `writeFileSync(${JSON.stringify(out)}, JSON.stringify(process.env)); say({ v: 1, keys: [{ x }] }); each(answer)`,
        ),
        env: ['SLOT', 'NONE'],
      },
      { SLOT: '3', SIGNET_HMAC_SECRET: 'ab'.repeat(32), PATH: '/bin' },
    )
    await signer.at(0)?.sign(receipt(1))
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual({ SLOT: '3' })
  })

  it('announces new keys while it runs, and signs with the one whose time it is', async () => {
    const { signer } = await start(
      scripted(`
        const two = generateKeyPairSync('ed25519')
        const x2 = two.publicKey.export({ format: 'jwk' }).x
        say({ v: 1, keys: [{ x }] })
        each(r => {
          const first = r.kid === ${JSON.stringify(key.kid)}
          if (first) say({ v: 1, keys: [{ x }, { x: x2, nbf: 1000 }] })
          answer(r, first ? key : two.privateKey)
        })`),
    )
    expect(signer.at(2_000_000)?.kid).toBe(key.kid)
    await signer.at(2_000_000)?.sign(receipt(1))
    const next = signer.at(2_000_000)
    expect(next?.kid).not.toBe(key.kid)
    expect(signer.at(999_000)?.kid).toBe(key.kid)
    expect(await next?.sign(receipt(2))).toHaveLength(64)
    expect(signer.published(0)).toHaveLength(2)
  })

  it.each([
    ['dies', 'process.exit(3)'],
    ['is killed', "process.kill(process.pid, 'SIGKILL')"],
    ['says what is no JSON', "process.stdout.write('nonsense\\n')"],
    [
      'answers what it was not asked',
      'say({ id: 99, signature: sign(null, Buffer.alloc(1), key).toString("base64") })',
    ],
    ['says a line without an end', "process.stdout.write('x'.repeat(200_000))"],
    ['gives half a signature', "say({ id: r.id, signature: Buffer.alloc(32).toString('base64') })"],
    ['signs with another key', "answer(r, generateKeyPairSync('ed25519').privateKey)"],
    ['signs something else', 'answer({ ...r, data: "AAAA" })'],
  ])('that %s costs what it was asked, and is started again', async (_, deed) => {
    const { signer, states, becomes } = await start(
      scripted(`say({ v: 1, keys: [{ x }] }); each(r => { if (first) { ${deed} } else answer(r) })`),
    )
    const asked = signer.at(0)
    const lost = await Promise.allSettled([asked?.sign(receipt(1)), asked?.sign(receipt(2))])
    expect(lost.map(l => l.status)).toContain('rejected')
    expect(lost[0]?.status).toBe('rejected')
    await becomes(true)
    expect(states[0]).toEqual([false, expect.stringMatching(/^the signer process .*; it is started again$/)])
    expect(await signer.at(0)?.sign(receipt(3))).toHaveLength(64)
  })

  it('that hangs is ended at its time limit, and what waits behind fails too', async () => {
    const { signer, states, becomes, pass } = await start({
      ...scripted('say({ v: 1, keys: [{ x }] }); each(r => { if (!first) answer(r) })'),
      timeLimitMs: 30_000,
      concurrency: 1,
    })
    const lost = [1, 2, 3].map(n => signer.at(0)?.sign(receipt(n)))
    pass(30_000)
    for (const each of lost) await expect(each).rejects.toThrow(/did not sign within 30000 ms/)
    expect(signer.at(0)).toBeUndefined()
    // Still known to verifiers.
    expect(signer.published(0)).toHaveLength(1)
    await becomes(true)
    expect(states).toHaveLength(2)
    expect(await signer.at(0)?.sign(receipt(4))).toHaveLength(64)
  })

  it('that announces its keys without end is ended, and the operator is not told each time', async () => {
    const { signer, states, becomes } = await start(
      scripted(`say({ v: 1, keys: [{ x }] })
        each(r => { if (first) for (let n = 0; n < 2000; n++) say({ v: 1, keys: [{ x }] }); answer(r) })`),
    )
    await expect(signer.at(0)?.sign(receipt(1))).rejects.toThrow(/announced its keys more than 60 times in a minute/)
    await becomes(false)
    expect(states.length).toBeLessThan(70)
  })

  it('that is being written over when it is started again is tried until it can be run', async () => {
    // execve(2), ETXTBSY: open for writing by somebody. Node throws it out of `spawn`; others it emits.
    const program = join(folder, 'signer-being-replaced')
    copyFileSync(process.execPath, program)
    const { signer, states, becomes } = await start({
      command: program,
      ...scripted('say({ v: 1, keys: [{ x }] }); each(r => { if (first) process.exit(3); else answer(r) })'),
    })
    const replacing = join(folder, 'replacing')
    renameSync(program, replacing)
    writeFileSync(program, '')
    chmodSync(program, 0o755)
    const writing = openSync(program, 'r+')
    await expect(signer.at(0)?.sign(receipt(1))).rejects.toThrow(/ended \(exit code 3\)/)
    while (!states.some(([, reason]) => reason.includes('could not be run (ETXTBSY)')))
      await new Promise(resolve => setImmediate(resolve))
    closeSync(writing)
    renameSync(replacing, program)
    await becomes(true)
    expect(await signer.at(0)?.sign(receipt(2))).toHaveLength(64)
  })

  it('that is a wrapper takes the process in it along, hung or not, and holds nobody up at the end', async () => {
    const { args } = scripted(
      'say({ v: 1, keys: [{ x }] }); lines.on("close", () => setInterval(() => undefined, 1000))',
    )
    const wrapper = join(folder, 'wrapper.sh')
    const pids = join(folder, 'wrapped.pids')
    writeFileSync(wrapper, `#!/bin/sh\n${process.execPath} ${args?.[0]} <&0 &\necho $! >> ${pids}\nwait\n`, {
      mode: 0o755,
    })
    const { signer, becomes, pass, states } = await start({ command: wrapper, args: [], timeLimitMs: 30_000 })
    const asked = signer.at(0)?.sign(receipt(1))
    pass(30_000)
    await expect(asked).rejects.toThrow(/did not sign within 30000 ms/)
    await becomes(true)
    const closed = signer.close()
    pass(2000)
    await closed
    expect(states).toHaveLength(2)
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number)
    expect(started).toHaveLength(2)
    for (const pid of started) while (isThere(pid)) await new Promise(resolve => setImmediate(resolve))
  })

  it.each([
    ['cannot be run', { command: '/no/such/program', args: [] }, /could not be run \(ENOENT\)/],
    ['ends at once', scripted('process.exit(1)'), /ended \(exit code 1\)/],
    ['names no key', scripted('say({ v: 1, keys: [] })'), /no list of 1 to 64 keys/],
    ['speaks another version', scripted('say({ v: 2, keys: [{ x }] })'), /another version/],
    ['names half a key', scripted('say({ v: 1, keys: [{ x: "AAAA" }] })'), /32 bytes in base64url/],
  ])('that %s is no start', async (_, command, message) => {
    await expect(start(command)).rejects.toThrow(message)
  })

  it('leaves when the gate ends', async () => {
    const { signer, states } = await start({})
    const now = signer.at(0)
    await signer.close()
    expect(signer.at(0)).toBeUndefined()
    await expect(now?.sign(receipt(1))).rejects.toThrow(/not running/)
    expect(states).toEqual([])
  })
})
