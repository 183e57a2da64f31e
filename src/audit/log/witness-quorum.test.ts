import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { openEgress } from '../../plugins/egress.ts'
import type { DurableRow } from '../writer.ts'
import { type Alarm, clearAlarm, halted, readAlarm } from './alarm.ts'
import { fromUtf8, toUtf8 } from './bytes.ts'
import { openCheckpoint } from './checkpoint.ts'
import { signNote } from './note.ts'
import { parsePolicy } from './policy.ts'
import { cosigned } from './proof.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { makeRows, openLog, sourceOf } from './testing/rows.test-support.ts'
import { logSigner, signerOf } from './testing/vectors.test-support.ts'
import { type Misbehaviour, policyOf, startWitness, type TestWitness } from './testing/witness.test-support.ts'
import { askedWitnesses, openWitnesses } from './witness-quorum.ts'

const { key } = await logSigner()
const other = await signerOf('witness.test/w40', 99, 0x04)
const ROWS = makeRows(700)
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function witnesses(count: number): Promise<TestWitness[]> {
  const started: TestWitness[] = []
  for (let i = 0; i < count; i++) {
    const witness = await startWitness(key, 40 + i)
    cleanups.push(() => witness.close())
    started.push(witness)
  }
  return started
}

const at = <T>(list: readonly T[], i: number): T => {
  const item = list[i]
  if (item === undefined) throw new Error(`nothing at ${i}`)
  return item
}

interface Gate {
  readonly rows?: readonly DurableRow[]
  readonly all?: readonly DurableRow[]
  readonly folder?: MemoryFolder
  readonly policy: string
  readonly nowMs?: () => number
}

/** A log with witnesses, wired as a gate wires it. */
async function openGate({ rows = [], all = ROWS, folder = new MemoryFolder(), policy, nowMs = Date.now }: Gate) {
  folder.recording = false
  const egress = openEgress()
  const alarms: { alarm: Alarm; kept: boolean }[] = []
  let opened: Awaited<ReturnType<typeof openLog>> | undefined
  const before = await readAlarm(folder)
  const quorum = await openWitnesses({
    policy: await parsePolicy(policy),
    logKey: key,
    egress,
    files: folder,
    nowMs,
    requestTimeoutMs: 1000,
    onAlarm: (alarm, kept) => {
      alarms.push({ alarm, kept })
      opened?.log.halt(halted(alarm))
    },
  })
  opened = await openLog(rows, folder, {
    source: sourceOf(all),
    witnesses: quorum,
    halted: before === undefined ? undefined : halted(before),
  })
  const { log, timers } = opened
  const end = async () => {
    await log.close()
    await quorum.close()
    await egress.close()
  }
  let ended: Promise<void> | undefined
  const close = () => (ended ??= end())
  cleanups.push(close)
  return { log, timers, folder, quorum, alarms, close }
}
type Running = Awaited<ReturnType<typeof openGate>>

/** Lets the publisher's waits pass until it has happened. */
async function passing<T>({ timers }: Running, happens: Promise<T>): Promise<T> {
  let over = false
  const end = () => {
    over = true
  }
  happens.then(end, end)
  while (!over) {
    timers.fire()
    await nextTurn()
  }
  return happens
}

async function shown(folder: MemoryFolder) {
  return openCheckpoint(fromUtf8(folder.view.get('checkpoint') ?? new Uint8Array()), [key])
}

const noAnswer: Misbehaviour = () => undefined

describe('cosignatures', () => {
  it('of a quorum are under the checkpoint that is shown, and meet the policy', async () => {
    const three = await witnesses(3)
    const policy = policyOf(three, 2, key)
    const gate = await openGate({ policy })
    for (const [from, to] of [
      [0, 5],
      [5, 300],
      [300, 300],
      [300, 700],
    ] as const) {
      gate.log.push(ROWS.slice(from, to))
      await gate.log.reached(to - 1, 'witnessed')
      const checkpoint = await shown(gate.folder)
      expect(checkpoint.size).toBeGreaterThanOrEqual(to)
      const found = await cosigned(checkpoint, await parsePolicy(policy))
      expect(found.length).toBeGreaterThanOrEqual(2)
      for (const { time } of found) expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(60)
    }
    // Never told of what was not signed, nor asked from the start again.
    for (const { asked } of three) {
      for (const [i, { old }] of asked.entries()) expect(old).toBe(i === 0 ? 0 : asked[i - 1]?.size)
    }
    expect(gate.log.status).toMatchObject({ ok: true, halted: false, witnessed: 700 })
  })

  it('of two of three are enough while the third is down', async () => {
    const three = await witnesses(3)
    const gate = await openGate({ policy: policyOf(three, 2) })
    await at(three, 1).close()
    gate.log.push(ROWS.slice(0, 10))
    await gate.log.reached(9, 'witnessed')
    gate.log.push(ROWS.slice(10, 20))
    await gate.log.reached(19, 'witnessed')
    expect(gate.quorum.status.map(({ size }) => size)).toEqual([20, 0, 20])
    expect(at(gate.quorum.status, 1)).toMatchObject({ cosignatures: 0, problem: expect.stringContaining('reached') })
    expect(gate.alarms).toEqual([])
  })

  it('do not wait for one that never answers', async () => {
    const three = await witnesses(3)
    at(three, 0).misbehave = noAnswer
    const gate = await openGate({ policy: policyOf(three, 2) })
    for (const to of [10, 20, 30]) {
      gate.log.push(ROWS.slice(to - 10, to))
      await gate.log.reached(to - 1, 'witnessed')
    }
    expect((await shown(gate.folder)).size).toBe(30)
  })

  it('too few of them are no assurance: nothing is shown, logged goes on, and it comes back by itself', async () => {
    const three = await witnesses(3)
    for (const witness of three.slice(1)) {
      witness.misbehave = res => {
        res.writeHead(503)
        res.end()
      }
    }
    let now = Date.now()
    const gate = await openGate({ policy: policyOf(three, 2), nowMs: () => now })
    gate.log.push(ROWS.slice(0, 10))
    await gate.log.reached(9, 'logged')
    await expect(gate.log.reached(9, 'witnessed')).rejects.toMatchObject({
      code: 'quorum_unmet',
      message: expect.stringMatching(
        /w2: it answered 503; w3: it answered 503|w3: it answered 503; w2: it answered 503/,
      ),
    })
    expect(gate.folder.view.has('checkpoint')).toBe(false)
    expect(gate.log.status).toMatchObject({ ok: true, size: 10, witnessed: 0 })
    for (const witness of three.slice(1)) witness.misbehave = undefined
    now += 60_000
    for (const witness of three) witness.nowS = () => Math.floor(now / 1000)
    let tries = 0
    const reach = async (): Promise<void> => {
      tries++
      await gate.log.reached(9, 'witnessed').catch(() => (tries < 50 ? reach() : Promise.reject(new Error('never'))))
    }
    await passing(gate, reach())
    expect((await shown(gate.folder)).size).toBe(10)
    // The one that had cosigned was not asked for the same checkpoint again.
    expect(at(three, 0).asked).toHaveLength(1)
  })

  it('are asked for again, with back-off, from a witness that fails', async () => {
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    one.misbehave = res => {
      res.writeHead(429)
      res.end()
    }
    let now = Date.now()
    const gate = await openGate({ policy: policyOf([one], 1), nowMs: () => now })
    gate.log.push(ROWS.slice(0, 3))
    for (let i = 0; i < 20; i++)
      await passing(
        gate,
        gate.log.reached(2, 'witnessed').catch(() => undefined),
      )
    // Time stands still: it was asked once, whoever waits.
    expect(one.answered).toEqual([429])
    for (const [wait, times] of [
      [499, 1],
      [500, 2],
      [999, 2],
      [1000, 3],
      [2000, 4],
    ] as const) {
      const start = now
      now = start + wait
      for (let i = 0; i < 3; i++)
        await passing(
          gate,
          gate.log.reached(2, 'witnessed').catch(() => undefined),
        )
      expect([wait, one.answered.length]).toEqual([wait, times])
      if (wait === 499 || wait === 999) now = start
    }
  })
})

describe('what a witness answers', () => {
  const json = (status: number, body: string, type = 'text/plain'): Misbehaviour => {
    return res => {
      res.writeHead(status, { 'content-type': type })
      res.end(body)
    }
  }
  const wrong: Record<string, [(witness: TestWitness) => void, RegExp]> = {
    'another key than the policy has': [w => (w.signer = other), /signature of .* is not that of its key/],
    'a time long ago': [w => (w.nowS = () => 1_600_000_000), /states a time [0-9]+ s before now/],
    'a time in the future': [w => (w.nowS = () => Math.floor(Date.now() / 1000) + 3600), /after now/],
    nothing: [w => (w.misbehave = json(200, '')), /expected one or more signature lines/],
    garbage: [w => (w.misbehave = json(200, '<html>\n')), /expected a signature line/],
    'bytes that are no text': [
      w => {
        w.misbehave = res => {
          res.writeHead(200)
          res.end(Uint8Array.of(0xff, 0xfe))
        }
      },
      /UTF-8/,
    ],
    "somebody else's line": [w => (w.misbehave = json(200, '\u2014 who QUFBQUFB\n')), /expected a signature of/],
    'a checkpoint of its own behind a line': [
      w => (w.misbehave = json(200, '\u2014 who QUFBQUFB\n\n\u2014 who QUFBQUFB\n')),
      /signature lines/,
    ],
    'a huge body': [w => (w.misbehave = json(200, 'x'.repeat(1 << 20))), /at most 65536 bytes/],
    'a redirect': [
      w => {
        w.misbehave = res => {
          res.writeHead(307, { location: 'http://127.0.0.1:1/' })
          res.end()
        }
      },
      /answered 307/,
    ],
    'a broken connection': [w => (w.misbehave = res => res.destroy()), /could not be reached/],
    silence: [w => (w.misbehave = noAnswer), /within 1000 ms/],
    'a log it does not know': [w => (w.misbehave = json(404, '')), /does not know this log \(404\)/],
    'a key it does not trust': [w => (w.misbehave = json(403, '')), /does not trust/],
    'a request it does not understand': [w => (w.misbehave = json(400, '')), /\(400\)/],
    'too many requests': [w => (w.misbehave = json(429, '')), /\(429\)/],
    'the size it was asked with': [w => (w.misbehave = json(409, '0\n', 'text/x.tlog.size')), /says that it has 0/],
    'a size that is none': [w => (w.misbehave = json(409, '-1\n', 'text/x.tlog.size')), /decimal digits/],
    'another size each time': [
      w => {
        let size = 0
        w.misbehave = res => {
          res.writeHead(409, { 'content-type': 'text/x.tlog.size' })
          res.end(`${++size}\n`)
        }
      },
      /another size 3 times/,
    ],
  }
  it.each(Object.keys(wrong))('is refused, and named, when it is %s', async what => {
    const [arrange, reason] = wrong[what] ?? [() => undefined, /^$/]
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    arrange(one)
    const gate = await openGate({ policy: policyOf([one], 1) })
    gate.log.push(ROWS.slice(0, 7))
    await expect(gate.log.reached(6, 'witnessed')).rejects.toMatchObject({
      code: 'quorum_unmet',
      message: expect.stringMatching(reason),
    })
    expect(gate.alarms).toEqual([])
    expect(gate.folder.view.has('checkpoint')).toBe(false)
    // Kept for `signet log witnesses`, which is another process.
    await gate.close()
    const kept = [...gate.folder.view].filter(([path]) => path.startsWith('witnesses/'))
    expect(kept.map(([, bytes]) => JSON.parse(fromUtf8(bytes)).problem)).toEqual([expect.stringMatching(reason)])
  })

  it('may be a size: the proof is made from there', async () => {
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    const first = await openGate({ policy: policyOf([one], 1) })
    first.log.push(ROWS.slice(0, 300))
    await first.log.reached(299, 'witnessed')
    await first.close()
    // Our record of it is gone.
    const files = [...first.folder.view].filter(([path]) => !path.startsWith('witnesses/'))
    const again = await openGate({
      rows: ROWS.slice(0, 600),
      folder: new MemoryFolder(new Map(files)),
      policy: policyOf([one], 1),
    })
    await again.log.reached(599, 'witnessed')
    expect(one.asked.at(-1)).toMatchObject({ old: 300, size: 600 })
    expect(one.answered).toEqual([200, 409, 200])
    expect(again.alarms).toEqual([])
  })

  it('after it lost its memory, is a first cosignature again', async () => {
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    const gate = await openGate({ policy: policyOf([one], 1) })
    gate.log.push(ROWS.slice(0, 300))
    await gate.log.reached(299, 'witnessed')
    one.state = undefined
    gate.log.push(ROWS.slice(300, 400))
    await gate.log.reached(399, 'witnessed')
    expect(one.asked.at(-1)).toEqual({ old: 0, size: 400, proof: 0 })
    expect(gate.alarms).toEqual([])
  })
})

describe('a restart', () => {
  it('between the cosignature and its checkpoint shows the checkpoint', async () => {
    const three = await witnesses(3)
    const policy = policyOf(three, 2)
    const folder = new MemoryFolder()
    const gate = await openGate({ folder, policy })
    gate.log.push(ROWS.slice(0, 50))
    await gate.log.reached(49, 'witnessed')
    folder.onStep = what => {
      if (what === 'rename checkpoint') throw Object.assign(new Error('killed'), { code: 'EIO' })
    }
    gate.log.push(ROWS.slice(50, 90))
    await expect(gate.log.reached(89, 'witnessed')).rejects.toMatchObject({ name: 'LogInvalid' })
    const left = folder.view
    await gate.close()
    expect((await shown(folder)).size).toBe(50)
    const again = await openGate({ rows: ROWS.slice(0, 90), folder: new MemoryFolder(left), policy })
    await again.log.reached(89, 'witnessed')
    expect((await shown(again.folder)).size).toBe(90)
    expect(again.alarms).toEqual([])
  })

  it('with a policy for the first time does not take a checkpoint without cosignatures for witnessed', async () => {
    const { log, folder } = await openLog(ROWS.slice(0, 20))
    await log.reached(19, 'logged')
    await log.close()
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    one.misbehave = noAnswer
    const gate = await openGate({ rows: ROWS.slice(0, 20), folder, policy: policyOf([one], 1) })
    expect(gate.log.status.witnessed).toBe(0)
    await expect(gate.log.reached(3, 'witnessed')).rejects.toMatchObject({ code: 'quorum_unmet' })
    await gate.close()
    one.misbehave = undefined
    const again = await openGate({
      rows: ROWS.slice(0, 20),
      folder: new MemoryFolder(folder.view),
      policy: policyOf([one], 1),
    })
    await again.log.reached(3, 'witnessed')
    expect((await shown(again.folder)).note.signatures).toHaveLength(2)
  })

  it('with a new key of a witness takes it up from nothing, and does not count the old one', async () => {
    const [old, renewed] = [await startWitness(key, 50, 'w.test'), await startWitness(key, 51, 'w.test')]
    cleanups.push(old.close, renewed.close)
    const gate = await openGate({ policy: policyOf([old], 1) })
    gate.log.push(ROWS.slice(0, 20))
    await gate.log.reached(19, 'witnessed')
    await gate.close()
    const again = await openGate({
      rows: ROWS.slice(0, 20),
      folder: new MemoryFolder(gate.folder.view),
      policy: policyOf([renewed], 1),
    })
    expect(again.log.status.witnessed).toBe(0)
    await again.log.reached(19, 'witnessed')
    expect(renewed.asked).toEqual([{ old: 0, size: 20, proof: 0 }])
    const { note } = await shown(again.folder)
    expect(note.signatures.map(({ name }) => name)).toEqual([key.name, 'w.test'])
    expect(again.alarms).toEqual([])
  })
})

describe('another history', () => {
  async function expectHalted(gate: Running, kind: Alarm['kind'], reason: RegExp): Promise<void> {
    expect(gate.alarms).toEqual([{ alarm: expect.objectContaining({ kind }), kept: true }])
    expect(at(gate.alarms, 0).alarm.detail).toMatch(reason)
    expect(gate.log.status).toMatchObject({ ok: false, halted: true, reason: expect.stringMatching(/halted/) })
    for (const level of ['logged', 'witnessed'] as const)
      await expect(gate.log.reached(0, level)).rejects.toMatchObject({ code: 'log_halted' })
    // Whatever comes now, nothing more is signed, shown, or asked for.
    const { signed, checkpoint } = {
      signed: gate.folder.view.get('signed'),
      checkpoint: gate.folder.view.get('checkpoint'),
    }
    gate.log.push(ROWS.slice(0, 1))
    for (let i = 0; i < 10; i++) {
      gate.timers.fire()
      await nextTurn()
    }
    await gate.close()
    expect(gate.folder.view.get('signed')).toEqual(signed)
    expect(gate.folder.view.get('checkpoint')).toEqual(checkpoint)
    await expect(gate.quorum.cosign('', 0)).rejects.toMatchObject({ code: 'log_halted' })
  }

  /** Two gates with a copied folder and one key. */
  async function fork(quirky: boolean, second: number) {
    const three = await witnesses(3)
    for (const witness of three) witness.quirky = quirky
    const policy = policyOf(three, 2)
    const first = await openGate({ policy })
    first.log.push(ROWS.slice(0, 100))
    await first.log.reached(99, 'witnessed')
    const copy = new Map(first.folder.view)
    first.log.push(ROWS.slice(100, 150))
    await first.log.reached(149, 'witnessed')
    const others = [...ROWS.slice(0, 100), ...makeRows(700, 2).slice(100)]
    const twin = await openGate({ rows: others.slice(0, second), all: others, folder: new MemoryFolder(copy), policy })
    await passing(twin, expect(twin.log.reached(second - 1, 'witnessed')).rejects.toMatchObject({ code: 'log_halted' }))
    return { three, policy, first, twin, others }
  }

  it.each([
    ['larger than the other', false, 180, /does not continue.*\(422\)/],
    ['of the same size', false, 150, /does not continue.*\(422\)/],
    ['of the same size, before a witness of the quirky kind', true, 150, /another tree of the same size \(409\)/],
  ] as const)('in a copy of the folder, %s, halts the copy', async (_, quirky, size, reason) => {
    const { three, first, twin } = await fork(quirky, size)
    await expectHalted(twin, 'split_view', reason)
    // The first one is not concerned.
    first.log.push(ROWS.slice(150, 200))
    await first.log.reached(199, 'witnessed')
    expect(three.map(({ state }) => state?.size).filter(size => size === 200).length).toBeGreaterThanOrEqual(2)
    expect(first.alarms).toEqual([])
  })

  it('stays halted over restarts, until the operator takes the alarm away', async () => {
    const { policy, twin, others, three } = await fork(false, 180)
    await twin.close()
    const again = await openGate({
      rows: others.slice(0, 190),
      all: others,
      folder: new MemoryFolder(twin.folder.view),
      policy,
    })
    const asked = three.map(witness => witness.asked.length)
    again.timers.fire()
    await expect(again.log.reached(0, 'logged')).rejects.toMatchObject({ code: 'log_halted' })
    await again.close()
    expect(three.map(witness => witness.asked.length)).toEqual(asked)
    const evidence = await readAlarm(again.folder)
    // What was submitted is kept: a checkpoint that the log signed, and that the other history contradicts.
    expect(await openCheckpoint(evidence?.note ?? '', [key])).toMatchObject({ size: 180 })
    expect(await clearAlarm(again.folder, 5)).toBe('alarm.cleared-5')
    expect(await readAlarm(again.folder)).toBeUndefined()
    expect(again.folder.view.has('alarm.cleared-5')).toBe(true)
    expect(await clearAlarm(again.folder, 6)).toBeUndefined()
  })

  it('that is shorter, from a restored folder, halts the log', async () => {
    const three = await witnesses(3)
    const policy = policyOf(three, 2)
    const first = await openGate({ policy })
    first.log.push(ROWS.slice(0, 100))
    await first.log.reached(99, 'witnessed')
    const backup = new Map(first.folder.view)
    first.log.push(ROWS.slice(100, 150))
    await first.log.reached(149, 'witnessed')
    await first.close()
    const restored = await openGate({ rows: ROWS.slice(0, 120), folder: new MemoryFolder(backup), policy })
    await passing(
      restored,
      expect(restored.log.reached(119, 'witnessed')).rejects.toMatchObject({ code: 'log_halted' }),
    )
    await expectHalted(restored, 'rollback', /it has 150 entries, this log only 120/)
  })

  it('is noticed from our own record when the witness has lost its memory', async () => {
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    const policy = policyOf([one], 1)
    const first = await openGate({ policy })
    first.log.push(ROWS.slice(0, 100))
    await first.log.reached(99, 'witnessed')
    await first.close()
    one.state = undefined
    const record = [...first.folder.view].filter(([path]) => path.startsWith('witnesses/'))
    const others = makeRows(200, 3)
    const forged = await openGate({ rows: others, all: others, folder: new MemoryFolder(new Map(record)), policy })
    await expect(forged.log.reached(199, 'witnessed')).rejects.toMatchObject({ code: 'log_halted' })
    await expectHalted(forged, 'split_view', /does not continue the 100 entries that it cosigned/)
    expect(one.asked).toHaveLength(1)
  })

  it('reported by one witness counts, even when the others are enough', async () => {
    const three = await witnesses(3)
    const gate = await openGate({ policy: policyOf(three, 2) })
    at(three, 2).misbehave = res => {
      res.writeHead(409, { 'content-type': 'text/x.tlog.size' })
      res.end('99999\n')
    }
    gate.log.push(ROWS.slice(0, 10))
    // Either may come first; in the end the log is halted.
    await gate.log.reached(9, 'witnessed').catch(() => undefined)
    while (gate.alarms.length === 0) await nextTurn()
    await expectHalted(gate, 'rollback', /it has 99999 entries, this log only 10/)
  })

  it('halts also when the alarm cannot be written', async () => {
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    one.misbehave = res => {
      res.writeHead(422)
      res.end()
    }
    const folder = new MemoryFolder()
    folder.onStep = what => {
      if (what.includes('alarm')) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    }
    const gate = await openGate({ folder, policy: policyOf([one], 1) })
    gate.log.push(ROWS.slice(0, 10))
    await expect(gate.log.reached(9, 'witnessed')).rejects.toMatchObject({ code: 'log_halted' })
    expect(gate.alarms).toMatchObject([{ kept: false }])
    expect(gate.log.status.halted).toBe(true)
  })

  it('is not claimed by an alarm file that cannot be read: it halts all the same', async () => {
    expect(await readAlarm(new MemoryFolder(new Map([['alarm', toUtf8('{"v":1')]])))).toMatchObject({
      kind: 'split_view',
      detail: expect.stringContaining('not readable'),
    })
  })
})

describe('a policy', () => {
  it.each([
    ['quorum none\n', /asks for no witness/],
    ['witness a %1\nquorum a\n', /that have a URL/],
    ['witness a %1 https://a.example\nwitness b %2\ngroup g all a b\nquorum g\n', /that have a URL/],
    ['log %3\nwitness a %1 https://a.example\nquorum a\n', /none of its log lines has the key of this log, gate.test/],
  ])('that can never be met is refused: %s', async (text, reason) => {
    const vkeys = await Promise.all([60, 61].map(seed => startWitness(key, seed)))
    cleanups.push(...vkeys.map(({ close }) => close))
    const { formatKey } = await import('./note.ts')
    const stranger = await signerOf('other.test/log', 9, 0x01)
    const policy = await parsePolicy(
      text.replace('%1', at(vkeys, 0).vkey).replace('%2', at(vkeys, 1).vkey).replace('%3', formatKey(stranger.key)),
    )
    expect(() => askedWitnesses(policy, key)).toThrow(
      expect.objectContaining({ code: 'policy_invalid', message: expect.stringMatching(reason) }),
    )
  })
})

describe('the test witness', () => {
  it('does what the specification asks of one, to whoever asks', async () => {
    const [one] = await witnesses(1)
    if (one === undefined) throw new Error('no witness')
    const post = async (body: string) => {
      const answer = await fetch(`${one.url}/add-checkpoint`, { method: 'POST', body })
      return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
    }
    const root = (byte: number) => Buffer.alloc(32, byte).toString('base64')
    const note = async (origin: string, size: number, byte: number, seed = 1) =>
      signNote(`${origin}\n${size}\n${root(byte)}\n`, [await signerOf(origin, seed, 0x01)])
    expect(await post('nonsense')).toMatchObject({ status: 400 })
    expect(await post(`old 0\n\n${await note('other.test/log', 3, 1)}`)).toMatchObject({ status: 404 })
    expect(await post(`old 0\n\n${await note('gate.test/log', 3, 1, 2)}`)).toMatchObject({ status: 403 })
    expect(await post(`old 4\n\n${await note('gate.test/log', 3, 1)}`)).toMatchObject({ status: 400 })
    expect(await post(`old 0\n${root(1)}\n\n${await note('gate.test/log', 3, 1)}`)).toMatchObject({ status: 422 })
    expect(await post(`old 0\n\n${await note('gate.test/log', 3, 1)}`)).toMatchObject({ status: 200 })
    expect(await post(`old 3\n\n${await note('gate.test/log', 3, 1)}`)).toMatchObject({ status: 200 })
    expect(await post(`old 3\n\n${await note('gate.test/log', 3, 2)}`)).toMatchObject({ status: 422 })
    expect(await post(`old 1\n\n${await note('gate.test/log', 5, 2)}`)).toEqual({
      status: 409,
      type: 'text/x.tlog.size',
      text: '3\n',
    })
    expect(await post(`old 3\n${root(1)}\n\n${await note('gate.test/log', 5, 2)}`)).toMatchObject({ status: 422 })
  })
})
