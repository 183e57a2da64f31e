import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { openEgress } from '../../plugins/egress.ts'
import { MemoryFolder } from '../log/testing/folder.test-support.ts'
import { makeRows, openLog, sourceOf } from '../log/testing/rows.test-support.ts'
import { Timers } from '../testing/disk.test-support.ts'
import { Anchorer, type AnchorerOptions } from './anchorer.ts'
import { loadStamper } from './load.ts'
import { authorityOf, keepAnchor, listAnchors, readAnchor } from './store.ts'
import { type Lie, makeTsa, pemOf, respond, serveTsa, type TsaServer } from './testing/tsa.test-support.ts'

const ROWS = makeRows(400)
const tsa = await makeTsa()
const stamper = await loadStamper(pemOf(tsa.root))
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function authority(lie: Lie = {}): Promise<TsaServer> {
  const server = await serveTsa(request => respond(tsa, request, lie))
  cleanups.push(() => server.close())
  return server
}

/** A log, and what anchors it, at a time of the test's choice. */
async function rig(servers: readonly TsaServer[], more: Partial<AnchorerOptions> = {}, folder = new MemoryFolder()) {
  folder.recording = false
  const egress = openEgress()
  const { log } = await openLog([], folder, { source: sourceOf(ROWS) })
  const timers = new Timers()
  const clock = { ms: Date.now() }
  const states: string[] = []
  const anchorer = await Anchorer.open({
    urls: servers.map(({ url }) => url),
    policy: undefined,
    intervalMs: 3600_000,
    everyRows: undefined,
    files: folder,
    size: () => log.status.size,
    egress,
    stamper,
    timeoutMs: 1000,
    nowMs: () => clock.ms,
    random: randomBytes,
    later: timers.later,
    onState: (ok, name, reason) => states.push(`${ok ? 'ok' : 'failed'} ${name}: ${reason}`),
    ...more,
  })
  let rows = 0
  cleanups.push(async () => {
    await anchorer.close()
    await log.close()
    await egress.close()
  })
  return {
    anchorer,
    folder,
    clock,
    states,
    log,
    grow: async (by: number) => {
      log.push(ROWS.slice(rows, rows + by))
      rows += by
      await log.reached(rows - 1, 'logged')
    },
    /** One look at what is due, to the end of what it began. */
    look: async () => {
      const before = attempts(anchorer)
      timers.fire()
      if (anchorer.busy) while (attempts(anchorer) === before) await nextTurn()
      while (anchorer.busy) await nextTurn()
    },
  }
}

const attempts = (anchorer: Anchorer) =>
  anchorer.status.reduce((sum, { anchors, failures }) => sum + anchors + failures, 0)

async function kept(folder: MemoryFolder) {
  return (await listAnchors(folder)).map(({ size }) => size)
}

describe('anchors', () => {
  it('are made when the interval is over and there is something new, and verify', async () => {
    const server = await authority()
    const { grow, look, folder, clock, anchorer } = await rig([server])
    await look()
    expect(server.asked).toBe(0)
    await grow(5)
    await look()
    expect(await kept(folder)).toEqual([5])
    clock.ms += 3599_000
    await grow(5)
    await look()
    expect(server.asked).toBe(1)
    clock.ms += 2_000
    await look()
    // The authority's own clock did not go on: its answer is older than the request that time, and is refused.
    expect(await kept(folder)).toEqual([5])
    expect(anchorer.status[0]?.problem).toContain('before the request')
    const [name] = await listAnchors(folder)
    const { checkpoint, response } = await readAnchor(folder, name ?? { size: 0, authority: '' })
    expect(checkpoint).toBeDefined()
    const stamp = await stamper.verify(response, checkpoint ?? new Uint8Array(), { nowMs: Date.now() })
    expect(stamp.authority).toBe('Test TSA')
  })

  it('are made sooner when so many rows have come', async () => {
    const server = await authority()
    const { grow, look, folder } = await rig([server], { everyRows: 10 })
    await grow(3)
    await look()
    await grow(9)
    await look()
    expect(await kept(folder)).toEqual([3])
    await grow(1)
    await look()
    await look()
    expect(await kept(folder)).toEqual([3, 13])
    expect(server.asked).toBe(2)
  })

  it('of several authorities do not wait for each other', async () => {
    const [good, bad] = [await authority(), await authority({ nonce: 'none' })]
    const { grow, look, folder, states, anchorer, clock } = await rig([bad, good])
    await grow(5)
    await look()
    expect(await listAnchors(folder)).toEqual([{ size: 5, authority: authorityOf(good.url) }])
    expect(states).toEqual([`failed ${authorityOf(bad.url)}: ${anchorer.status[0]?.problem}`])
    expect(anchorer.status).toMatchObject([
      { anchors: 0, failures: 1, size: 0, problem: expect.stringContaining('number of the request') },
      { anchors: 1, failures: 0, size: 5, problem: undefined },
    ])
    bad.answer = good.answer
    clock.ms += 5_000
    await look()
    expect(await kept(folder)).toEqual([5, 5])
    expect(states.at(-1)).toMatch(/^ok .*stamps again/)
  })

  it('are asked for again with back-off, and one failure is told once', async () => {
    const server = await authority({ imprint: new Uint8Array(32) })
    const { grow, look, states, clock } = await rig([server])
    await grow(5)
    await look()
    for (const [wait, asked] of [
      [4_999, 1],
      [1, 2],
      [9_999, 2],
      [1, 3],
    ] as const) {
      clock.ms += wait
      await look()
      expect([wait, server.asked]).toEqual([wait, asked])
    }
    expect(states).toHaveLength(1)
  })

  const answers: Record<string, [(res: ServerResponse) => void, RegExp]> = {
    'another status': [res => res.writeHead(500).end(), /status 200, got 500/],
    'a redirect': [res => res.writeHead(302, { location: '/' }).end(), /got 302/],
    'another type': [res => res.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), /timestamp-reply/],
    garbage: [res => res.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end('junk'), /in DER/],
    'a huge body': [
      res => res.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(new Uint8Array(1 << 20)),
      /at most 65536 bytes/,
    ],
    'a broken connection': [res => res.destroy(), /could not be reached/],
    silence: [() => undefined, /within 1000 ms/],
  }
  it.each(Object.keys(answers))('are refused when the authority answers with %s', async what => {
    const [answer, reason] = answers[what] ?? [() => undefined, /^$/]
    const server = await authority()
    server.answer = (_, res) => answer(res)
    const { grow, look, folder, anchorer } = await rig([server])
    await grow(5)
    await look()
    expect(anchorer.status[0]?.problem).toMatch(reason)
    expect(await kept(folder)).toEqual([])
  })

  it('go on from the last one over a restart', async () => {
    const server = await authority()
    const first = await rig([server])
    await first.grow(5)
    await first.look()
    await first.anchorer.close()
    const { grow, look, anchorer } = await rig([server], {}, new MemoryFolder(anchorsOf(first.folder)))
    expect(anchorer.status).toMatchObject([{ size: 5, anchors: 0 }])
    await grow(9)
    await look()
    expect(server.asked).toBe(1)
  })

  it('of another authority or with damage do not count as the last one', async () => {
    const server = await authority()
    const first = await rig([server])
    await first.grow(5)
    await first.look()
    await first.anchorer.close()
    const damaged = new Map(
      [...anchorsOf(first.folder)].map(([path, bytes]) => [path, path.endsWith('.tsr') ? bytes.slice(1) : bytes]),
    )
    const { grow, look, folder } = await rig([server], {}, new MemoryFolder(damaged))
    await grow(9)
    await look()
    expect(await kept(folder)).toEqual([5, 9])
  })

  it('are never replaced', async () => {
    const folder = new MemoryFolder(new Map([['signed', Uint8Array.of(1)]]))
    const name = { size: 3, authority: 'tsa.example.com' }
    await keepAnchor(folder, name, Uint8Array.of(1), Uint8Array.of(2))
    await keepAnchor(folder, name, Uint8Array.of(1), Uint8Array.of(2))
    await expect(keepAnchor(folder, name, Uint8Array.of(1), Uint8Array.of(3))).rejects.toMatchObject({
      code: 'conflict',
    })
    await expect(keepAnchor(folder, name, Uint8Array.of(9), Uint8Array.of(2))).rejects.toMatchObject({
      code: 'conflict',
    })
    expect([...folder.view.keys()].filter(path => path.startsWith('anchors/')).sort()).toEqual([
      'anchors/3.checkpoint',
      'anchors/3.tsa.example.com.tsr',
    ])
  })

  it('that cannot be kept are told of and tried again', async () => {
    const server = await authority()
    const folder = new MemoryFolder()
    const { grow, look, states, clock } = await rig([server], {}, folder)
    await grow(5)
    folder.onStep = what => {
      if (what.includes('.tsr')) throw Object.assign(new Error('ENOSPC: full'), { code: 'ENOSPC' })
    }
    await look()
    expect(states.join()).toContain('cannot be kept (ENOSPC: full)')
    folder.onStep = () => undefined
    clock.ms += 5_000
    await look()
    expect(await kept(folder)).toEqual([5])
  })

  it('are there after a power cut at any step, or are made again', async () => {
    const server = await authority()
    const folder = new MemoryFolder()
    const first = await rig([server], {}, folder)
    await first.grow(5)
    folder.recording = true
    await first.look()
    await first.anchorer.close()
    expect(folder.steps.length).toBeGreaterThan(8)
    for (const { visible, durable } of folder.steps) {
      for (const view of [visible, durable]) {
        const left = new MemoryFolder(view)
        for (const name of await listAnchors(left)) {
          const { checkpoint, response } = await readAnchor(left, name)
          await stamper.verify(response, checkpoint ?? new Uint8Array(), { nowMs: Date.now() })
        }
      }
    }
    expect(await listAnchors(new MemoryFolder(folder.steps.at(-1)?.durable))).toHaveLength(1)
  })
})

function anchorsOf(folder: MemoryFolder) {
  return new Map([...folder.view].filter(([path]) => path.startsWith('anchors/')))
}
