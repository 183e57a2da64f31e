/** Several workers and one sequencer: deaths under load, endings, crash loops. More runs: `bench/soak/workers.ts`. */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { verifyLog } from '../../src/audit/verify.ts'
import { KeyFolder } from '../../src/keys/store.ts'
import { type DemoUpstream, startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { scenario } from '../support/gate.ts'
import { signet } from '../support/served.ts'
import { ask, seeded } from './run.ts'
import { crashWorkersOnce, gone, killAll, makeProject, QUOTA, ringOf, startWorkersGate } from './workers-run.ts'

let folder: string
let demo: DemoUpstream
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-workers-'))
  demo = await startDemoUpstream()
})
afterEach(killAll)
afterAll(async () => {
  await demo.close()
  rmSync(folder, { recursive: true })
})

const LONG = { timeout: 300_000 }

/** Rows of the log, parsed. */
function rowsOf(path: string): { readonly metadata: Record<string, unknown>; readonly check_name: string }[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

describe('killed under load', () => {
  it.each([
    ['worker', 11],
    ['primary', 12],
    ['worker', 13],
  ] as const)('a %s (seed %i)', LONG, async (victim, seed) => {
    const project = join(folder, `kill-${seed}`)
    makeProject(project)
    const result = await crashWorkersOnce(project, demo.url, 2, victim, seeded(seed))
    expect(result.problems).toEqual([])
    // The load was real.
    expect(result.told).toBeGreaterThan(10)
    if (victim === 'primary') {
      // A new start goes on where the log ends.
      const again = await startWorkersGate(project, ['--workers', '2', '--upstream', demo.url])
      expect((await ask(again.url, 'unary'))?.status).toBe(200)
      again.child.kill('SIGTERM')
      expect(await again.exit).toEqual({ code: 0, signal: null })
      expect((await verifyLog(join(project, 'audit.jsonl'), ringOf(project))).breaks).toEqual([])
    } else {
      const ended = rowsOf(join(project, 'audit.jsonl')).filter(r => r.metadata['_check_name'] === 'workers.ended')
      expect(ended).toHaveLength(1)
      expect(ended[0]?.metadata).toMatchObject({ cause: 'SIGKILL' })
    }
  })
})

describe('several workers', () => {
  it('gate as one does, share a limit, and end what runs when they are asked to', LONG, async () => {
    const project = join(folder, 'gate')
    makeProject(project)
    const gate = await startWorkersGate(project, ['--workers', '3', '--upstream', demo.url])
    expect(gate.workers.size).toBe(3)
    // Each request has a connection of its own, so they go to each worker in turn.
    for (let i = 0; i < 2; i += 1) {
      for (const [kind, status] of [
        ['unary', 200],
        ['stream', 200],
        ['refused', 403],
        ['malformed', 400],
        ['call', 200],
      ] as const)
        expect([kind, (await ask(gate.url, kind, `human:a${i}@example.com`))?.status]).toEqual([kind, status])
      const marker = await ask(gate.url, 'marker', `human:m${i}@example.com`)
      expect(marker?.needs).toContain('pipeline.inspection')
    }
    const unregistered = await fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-commit-owner': 'human:c@example.com' },
      body: JSON.stringify(
        scenario(
          { kind: 'call', calls: [{ name: 'wipe_disk', arguments: '{}' }] },
          { tools: [{ type: 'function', function: { name: 'wipe_disk' } }] },
        ),
      ),
    })
    expect(await unregistered.text()).not.toContain('"wipe_disk"')

    const statuses = await Promise.all(
      Array.from({ length: QUOTA + 20 }, () => ask(gate.url, 'unary', 'human:q@example.com')),
    )
    expect(statuses.filter(s => s?.status === 200)).toHaveLength(QUOTA)
    expect(statuses.filter(s => s?.status === 429)).toHaveLength(20)

    // One published key set, whoever is asked, and a receipt that it verifies.
    const { remoteJwks, verifyReceipt } = await import('../../src/receipt/index.ts')
    const answer = await fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-commit-owner': 'human:r@example.com' },
      body: JSON.stringify(scenario({ kind: 'plain' })),
    })
    const verified = await verifyReceipt(answer.headers.get('x-signet-receipt') ?? '', {
      keys: remoteJwks(`${gate.url}/.well-known/jwks.json`),
      issuer: 'signet',
      responseBytes: new Uint8Array(await answer.arrayBuffer()),
    })
    expect(verified.claims.final).toBe(true)

    // Asked to end in the middle of a slow answer: that one still comes whole.
    const slow = request(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: { 'x-commit-owner': 'human:s@example.com' },
    })
    slow.end(JSON.stringify(scenario({ kind: 'plain', delayMs: 60 }, { stream: true })))
    const [res] = await once(slow, 'response')
    let text = ''
    res.on('data', (chunk: Buffer) => (text += String(chunk)))
    const closed = once(res, 'close')
    await once(res, 'data')
    gate.child.kill('SIGTERM')
    await closed
    expect(text).toContain('data: [DONE]')
    expect(await gate.exit).toEqual({ code: 0, signal: null })
    for (const pid of gate.workers.values()) await gone(pid)
    expect((await verifyLog(join(project, 'audit.jsonl'), ringOf(project))).breaks).toEqual([])
  })

  it(
    'hold a call for a human at the control plane of the primary, and any of them gives the answer out',
    LONG,
    async () => {
      const project = join(folder, 'held')
      mkdirSync(project)
      const gate = await startWorkersGate(project, ['--workers', '3', '--upstream', 'demo', '--control-port', '0'])
      const control = /(http:\/\/127\.0\.0\.1:\d+), key/.exec(await gate.said(/http:\S+, key \S+/))?.[1] ?? ''
      const escalations = async (...args: string[]): Promise<string> => {
        const { out, error } = await signet(project, ['escalations', ...args, '--control', control])
        if (error !== '') throw new Error(error)
        return out
      }
      const refund = (headers: Record<string, string> = {}) =>
        fetch(`${gate.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'x-commit-owner': 'human:alice', connection: 'close', ...headers },
          body: JSON.stringify({
            model: 'demo',
            tools: [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }],
            messages: [{ role: 'user', content: 'Refund $50,000 to account X' }],
          }),
        })
      const held = await refund()
      expect(held.status).toBe(202)
      const [, id = '', token = ''] =
        /escalations\/([0-9a-f-]{36})\/([\w-]{43})/.exec(held.headers.get('location') ?? '') ?? []
      expect(await escalations('list')).toContain(id)
      expect(await escalations('approve', id)).toMatch(/it is approved/)
      const bodies = new Set<string>()
      // Each of the three in turn.
      for (let i = 0; i < 6; i += 1) {
        const answer = await refund({ 'x-signet-escalation': `${id}.${token}` })
        expect(answer.status).toBe(200)
        bodies.add(await answer.text())
      }
      expect(bodies.size).toBe(1)
      expect([...bodies][0]).toContain('issue_refund')
      const ready = (await (await fetch(`${gate.url}/readyz`)).json()) as { log: { ok: boolean } }
      expect(ready.log.ok).toBe(true)
      const authorization = `Bearer ${readFileSync(join(project, '.signet/approver.token'), 'utf8').trim()}`
      const metrics = await (await fetch(`${control}/metrics`, { headers: { authorization } })).text()
      expect(metrics).toMatch(/signet_exchanges_total\{outcome="escalated"\} 1/)
      // What workers measure comes a little later, added up.
      const scrape = async () => (await fetch(`${control}/metrics`, { headers: { authorization } })).text()
      await expect
        .poll(scrape, { timeout: 20_000 })
        .toMatch(/signet_check_duration_seconds_count\{check="tool_call_inspector",stage="commitment"\} [1-9]/)
      gate.child.kill('SIGTERM')
      expect(await gate.exit).toEqual({ code: 0, signal: null })
      expect((await verifyLog(join(project, 'audit.jsonl'), ringOf(project))).breaks).toEqual([])
    },
  )

  it(
    'whose pipeline kills them are started again a bounded number of times, and then the gate ends',
    LONG,
    async () => {
      const project = join(folder, 'loop')
      makeProject(project, "if (process.argv[1]?.endsWith('worker.js')) setTimeout(() => process.exit(7), 2000)")
      const gate = await startWorkersGate(project, ['--workers', '2', '--upstream', demo.url])
      const { code } = await gate.exit
      expect(code).toBe(2)
      expect(gate.printed()).toMatch(/no worker stays up \(the last ended: exit code 7\)/)
      const starts = gate.printed().match(/listens \(process/g) ?? []
      expect(starts.length).toBeGreaterThan(2)
      expect(starts.length).toBeLessThan(16)
      expect((await verifyLog(join(project, 'audit.jsonl'), ringOf(project))).breaks).toEqual([])
    },
  )

  it('count the calls of a tool as one, also when one of them was killed', LONG, async () => {
    const project = join(folder, 'calls')
    mkdirSync(project)
    writeFileSync(
      join(project, 'pipeline.ts'),
      `import { CallLimitsCheck, definePipeline, OwnerResolutionCheck, ToolCallInspectorCheck } from 'signet-gate'
export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new ToolCallInspectorCheck({ registry: { once: {}, often: {} } }),
    new CallLimitsCheck({ tools: {
      once: { duplicates: { withinSeconds: 86400 } },
      often: { rate: { calls: 7, perSeconds: 86400 * 366 } },
    } }),
  ],
})
`,
    )
    const gate = await startWorkersGate(project, ['--workers', '3', '--upstream', demo.url])
    const delivered = async (name: string, marks: readonly string[]): Promise<number> => {
      const answers = marks.map(async mark => {
        const answer = await fetch(`${gate.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'x-commit-owner': 'human:c@example.com', connection: 'close' },
          body: JSON.stringify(
            scenario(
              { kind: 'call', calls: [{ name, arguments: JSON.stringify({ mark }) }] },
              { tools: [{ type: 'function', function: { name } }] },
            ),
          ),
        })
        return (await answer.text()).includes(mark)
      })
      return (await Promise.all(answers)).filter(Boolean).length
    }
    const many = Array.from({ length: 20 }, (_, i) => `MARK-${i}-`)
    expect(
      await delivered(
        'once',
        Array.from({ length: 20 }, () => 'MARK'),
      ),
    ).toBe(1)
    expect(await delivered('often', many)).toBe(7)
    const [pid] = gate.workers.values()
    if (pid === undefined) throw new Error('no worker listens')
    process.kill(pid, 'SIGKILL')
    await gate.said(/(worker \d+ listens[\s\S]*){4}/)
    expect(
      await delivered(
        'once',
        Array.from({ length: 9 }, () => 'MARK'),
      ),
    ).toBe(0)
    expect(await delivered('often', many)).toBe(0)
    expect(await delivered('once', ['another'])).toBe(1)
    gate.child.kill('SIGTERM')
    expect(await gate.exit).toEqual({ code: 0, signal: null })
  })

  it('all turn red when the last chain key ends by itself, and green with the next', LONG, async () => {
    const project = join(folder, 'ended')
    makeProject(project)
    const gate = await startWorkersGate(project, ['--workers', '2', '--upstream', demo.url])
    const keys = new KeyFolder(join(project, '.signet'))
    const [chain] = keys.keys('chain')
    const becomes = async (status: number): Promise<void> => {
      // Each connection goes to another worker.
      for (let seen = 0; seen < 4; ) {
        const answer = await fetch(`${gate.url}/readyz`, { headers: { connection: 'close' } })
        seen = answer.status === status ? seen + 1 : 0
        await answer.body?.cancel()
      }
    }
    await becomes(200)
    // In the future when it is read: nothing but the clock says when it is over.
    keys.retire('chain', chain?.id ?? '', Date.now() + 2_000, false)
    gate.child.kill('SIGHUP')
    await becomes(503)
    expect((await ask(gate.url, 'unary'))?.status).toBe(503)
    keys.rotate('chain', Date.now())
    gate.child.kill('SIGHUP')
    await becomes(200)
    expect((await ask(gate.url, 'unary'))?.status).toBe(200)
    gate.child.kill('SIGTERM')
    expect(await gate.exit).toEqual({ code: 0, signal: null })
    expect((await verifyLog(join(project, 'audit.jsonl'), ringOf(project))).breaks).toEqual([])
  })

  it('that cannot start are one line, and nothing is left behind', LONG, async () => {
    const project = join(folder, 'taken')
    makeProject(project)
    const port = new URL(demo.url).port
    const started = startWorkersGate(project, ['--workers', '2', '--upstream', demo.url, '--port', port])
    await expect(started).rejects.toThrow(/Error: port \d+ on 127\.0\.0\.1 is taken/)
  })
})
