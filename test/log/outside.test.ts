/** A running gate and those outside who vouch for its log: witnesses, time-stamping authorities, and whoever scrapes it. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { makeTsa, pemOf, respond, serveTsa } from '../../src/audit/anchor/testing/tsa.test-support.ts'
import { cosigned, openCheckpoint, parseKey, parsePolicy } from '../../src/audit/log/index.ts'
import { policyOf, startWitness, type TestWitness } from '../../src/audit/log/testing/witness.test-support.ts'
import { metricsFor } from '../../src/cli/metrics-serving.ts'
import { startControl } from '../../src/control/start.ts'
import { CheckDurations } from '../../src/telemetry/check-durations.ts'
import { GateCounters } from '../../src/telemetry/counters.ts'
import { scenario } from '../support/gate.ts'
import { ask, type Served, signet, startServed } from '../support/served.ts'

const OWNER = 'human:alice@example.com'
const SRC = resolve(import.meta.dirname, '../../src')
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'signet-outside-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
const newFolder = () => mkdtempSync(join(root, 'project-'))
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Tools by what their calls demand. */
const PIPELINE = `
import { ToolCallInspectorCheck } from '${SRC}/checks/tool-call-inspector.ts'
import { OwnerResolutionCheck } from '${SRC}/checks/owner-resolution.ts'
import { definePipeline } from '${SRC}/config/pipeline.ts'
export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new ToolCallInspectorCheck({
      registry: { look: {}, note: { assurance: 'logged' }, pay: { assurance: 'witnessed' } },
    }),
  ],
})
`

async function start(folder: string, environment: Record<string, string> = {}, args: readonly string[] = []) {
  const served = await startServed(folder, args, { SIGNET_CHECKPOINT_INTERVAL_S: '0.05', ...environment })
  let stopped: Promise<number> | undefined
  const stop = () => (stopped ??= served.stop())
  cleanups.push(stop)
  return { ...served, stop }
}

/** A project whose log has begun, with witnesses that know it and a policy of two of three. */
async function witnessed(k = 2) {
  const folder = newFolder()
  const first = await start(folder)
  await first.stop()
  const key = await parseKey(first.logKey)
  const witnesses: TestWitness[] = []
  for (const seed of [70, 71, 72]) {
    const witness = await startWitness(key, seed)
    cleanups.push(() => witness.close())
    witnesses.push(witness)
  }
  writeFileSync(join(folder, 'policy.txt'), policyOf(witnesses, k, key))
  writeFileSync(join(folder, 'pipeline.ts'), PIPELINE)
  const environment = { SIGNET_WITNESS_POLICY_FILE: join(folder, 'policy.txt') }
  return { folder, key, witnesses, environment, args: ['--config', join(folder, 'pipeline.ts')] }
}

function call(served: Served, tool: string): Promise<Response> {
  return ask(
    served.url,
    OWNER,
    scenario(
      { kind: 'call', calls: [{ name: tool, arguments: '{"city":"Oslo"}' }] },
      { tools: [{ type: 'function', function: { name: tool } }] },
    ),
  )
}

/** Until it holds; the gate is asked again, nothing is slept on. */
async function until<T>(read: () => Promise<T> | T, holds: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read()
    if (holds(value)) return value
    await new Promise(again => setImmediate(again))
  }
}

const ready = async (served: Served) => {
  const answer = await fetch(`${served.url}/readyz`)
  return { status: answer.status, body: (await answer.json()) as { log: Record<string, unknown> } }
}
const scrape = async (served: Served) => {
  const answer = await fetch(`${planeOf(served)}/metrics`, { headers: credential(served) })
  return new Map(
    (await answer.text())
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}
/** Of the approver that --dev made, who is a viewer too. */
const credential = (served: Served) => ({
  authorization: `Bearer ${readFileSync(/the token is in ([^)\s]+)\)/.exec(served.written.out)?.[1] ?? '', 'utf8').trim()}`,
})
const planeOf = (served: Served) => /control plane: (\S+)/.exec(served.written.out)?.[1] ?? ''
const rowsOf = (folder: string) =>
  readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { decision: string; reason: string; metadata: Record<string, unknown> })

describe('a gate with witnesses', () => {
  it('shows cosigned checkpoints, and proofs carry them: verified offline, against the quorum', async () => {
    const { folder, key, environment, args, witnesses } = await witnessed()
    await witnesses[2]?.close()
    const served = await start(folder, environment, args)
    const paid = await call(served, 'pay')
    expect(paid.status).toBe(200)
    expect(await paid.text()).toContain('Oslo')
    const receipt = paid.headers.get('x-signet-receipt') ?? ''
    const policy = await parsePolicy(readFileSync(join(folder, 'policy.txt'), 'utf8'))
    const rows = rowsOf(folder).length
    const text = await until(
      async () => (await fetch(`${served.control}/checkpoint`)).text(),
      note => Number(note.split('\n')[1]) >= rows,
    )
    const found = await cosigned(await openCheckpoint(text, [key]), policy)
    expect(found.map(({ name }) => name)).toEqual(['w1', 'w2'])
    const metrics = await until(
      () => scrape(served),
      values =>
        (values.get('signet_log_witnessed_size') ?? 0) >= rows && values.get('signet_witness_ok{witness="w3"}') === 0,
    )
    expect(metrics.get('signet_witness_ok{witness="w1"}')).toBe(1)
    expect(metrics.get('signet_witness_failures_total{witness="w3"}')).toBeGreaterThan(0)
    expect((await ready(served)).body.log).toMatchObject({ ok: true })
    writeFileSync(join(folder, 'receipt.txt'), receipt)
    const upgrade = ['receipt', 'upgrade', '--file', 'receipt.txt', '--log', served.control, '-o', 'x.tlog-proof']
    expect(await signet(folder, upgrade)).toMatchObject({ code: 0 })
    expect(await served.stop()).toBe(0)

    const verify = (file: string) => signet(folder, ['receipt', 'verify', '--proof', 'x.tlog-proof', '--policy', file])
    expect(await verify('policy.txt')).toMatchObject({ code: 0, out: expect.stringMatching(/w1.*w2/s) })
    writeFileSync(join(folder, 'strict.txt'), policyOf(witnesses, 3, key))
    expect(await verify('strict.txt')).toMatchObject({ code: 1, error: expect.stringContaining('quorum_unmet') })
    // The one report of the audit log says so too.
    const whole = (file: string) =>
      signet(folder, ['audit', 'verify', '--json', '--log-key', served.logKey, '--policy', file])
    const sound = await whole('policy.txt')
    expect(sound.code).toBe(0)
    expect(JSON.parse(sound.out).sections.cosignatures).toMatchObject({
      status: 'sound',
      details: { witnesses: ['w1', 'w2'] },
    })
    const strict = await whole('strict.txt')
    expect(strict.code).toBe(1)
    expect(JSON.parse(strict.out).sections).toMatchObject({
      tree: { status: 'sound' },
      checkpoints: { status: 'sound' },
      cosignatures: { status: 'broken' },
    })
    const proof = readFileSync(join(folder, 'x.tlog-proof'), 'utf8')
    // Without one cosignature, and with one that is not over this checkpoint.
    writeFileSync(join(folder, 'x.tlog-proof'), proof.replace(/\u2014 witness\.test\/w71 .*\n/, ''))
    expect(await verify('policy.txt')).toMatchObject({ code: 1, error: expect.stringContaining('quorum_unmet') })
    writeFileSync(join(folder, 'x.tlog-proof'), proof.replace(/(\u2014 witness\.test\/w71 .{20})./, '$1A'))
    expect(await verify('policy.txt')).toMatchObject({ code: 1, error: expect.stringContaining('signature_invalid') })

    const listed = ['log', 'witnesses', '--policy', 'policy.txt']
    const plain = await signet(folder, listed)
    expect(plain).toMatchObject({ code: 0, out: expect.stringMatching(/w1 {2}http.*entries, cosigned 20.*\n/) })
    expect(plain.out).toMatch(/w3 {2}.*0 entries, cosigned never; the address could not be reached/)
    expect(plain.out).toMatch(/OK: the checkpoint of \d+ entries is cosigned by w1, w2/)
    expect(await signet(folder, ['log', 'witnesses', '--policy', 'strict.txt'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('NOT WITNESSED: too few witnesses'),
    })
    expect(JSON.parse((await signet(folder, [...listed, '--json'])).out)).toMatchObject({
      ok: true,
      checkpoint: { by: ['w1', 'w2'] },
      witnesses: [{ name: 'w1' }, { name: 'w2' }, { name: 'w3', problem: expect.any(String) }],
    })
    expect(await signet(folder, ['log', 'alarm'])).toMatchObject({ code: 0, out: 'OK: no alarm\n' })
  })

  it('that is a copy of another one is found out: the log halts, tools that need it are refused, the rest goes on', async () => {
    const { folder, environment, args, witnesses } = await witnessed()
    const original = await start(folder, environment, args)
    expect((await call(original, 'pay')).status).toBe(200)
    await original.stop()
    const copied = newFolder()
    cpSync(folder, copied, { recursive: true })
    const second = await start(folder, environment, args)
    expect((await call(second, 'pay')).status).toBe(200)
    await second.stop()

    const twin = await start(copied, environment, args)
    const refused = await call(twin, 'pay')
    expect(refused.status).toBe(503)
    expect(await refused.text()).not.toContain('Oslo')
    const halted = await until(
      () => ready(twin),
      ({ body }) => body.log['halted'] === true,
    )
    expect(halted).toMatchObject({ status: 200, body: { log: { ok: false, halted: true } } })
    expect((await call(twin, 'note')).status).toBe(503)
    const durable = await call(twin, 'look')
    expect([durable.status, await durable.text()]).toEqual([200, expect.stringContaining('Oslo')])
    const said = twin.written.error + twin.written.out
    expect(said).toMatch(
      /transparency log is halted: the witness w\d reports a (split view|rollback).*see signet log alarm/,
    )
    const alarmed = await until(
      () => rowsOf(copied).filter(({ metadata }) => /^log\./.test(String(metadata['_check_name']))),
      rows => rows.length > 0,
    )
    expect(alarmed).toMatchObject([
      {
        decision: 'block',
        reason: expect.stringContaining('halted'),
        metadata: { witness: expect.stringMatching(/^w\d$/) },
      },
    ])
    const metrics = await scrape(twin)
    expect(metrics.get('signet_log_halted')).toBe(1)
    expect([...metrics.keys()].filter(name => name.startsWith('signet_log_alarm{'))).toHaveLength(1)
    const checkpoint = await (await fetch(`${twin.control}/checkpoint`)).text()
    await twin.stop()

    // Nothing is asked of anybody after a restart, and nothing is shown that was not shown before.
    const asked = witnesses.map(witness => witness.asked.length)
    const again = await start(copied, environment, args)
    expect(again.written.error + again.written.out).toContain('the transparency log is halted')
    expect((await call(again, 'note')).status).toBe(503)
    expect((await call(again, 'look')).status).toBe(200)
    expect(await (await fetch(`${again.control}/checkpoint`)).text()).toBe(checkpoint)
    await again.stop()
    expect(witnesses.map(witness => witness.asked.length)).toEqual(asked)
    expect(rowsOf(copied).filter(({ metadata }) => /^log\./.test(String(metadata['_check_name'])))).toHaveLength(1)

    expect(await signet(copied, ['log', 'alarm'])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/ALARM: w\d reported a (split view|rollback) at 20/),
    })
    expect(await signet(copied, ['log', 'witnesses', '--policy', 'policy.txt'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('ALARM: '),
    })
    const cleared = await signet(copied, ['log', 'alarm', '--clear'])
    expect(cleared).toMatchObject({ code: 0, error: expect.stringContaining('alarm.cleared-') })
    // The witnesses still know better.
    const third = await start(copied, environment, args)
    expect((await call(third, 'pay')).status).toBe(503)
    await until(
      () => ready(third),
      ({ body }) => body.log['halted'] === true,
    )
  })

  it.each([
    ['witness w vkey\nquorum w\n', /SIGNET_WITNESS_POLICY_FILE: policy line 1: expected a usable key/],
    ['quorum none\n', /SIGNET_WITNESS_POLICY_FILE: quorum none asks for no witness/],
    ['WITNESS ftp://w.example\nquorum w\n', /witness w: expected https/],
    ['WITNESS http://192.0.2.1\nquorum w\n', /witness w: expected https \(plain http is for the loopback only\)/],
  ])('does not start with a policy that cannot work: %s', async (text, reason) => {
    const folder = newFolder()
    const key = await parseKey((await startedKey(folder)).logKey)
    const witness = await startWitness(key, 80)
    cleanups.push(() => witness.close())
    writeFileSync(join(folder, 'policy'), text.replace('WITNESS', `witness w ${witness.vkey}`))
    await expect(start(folder, { SIGNET_WITNESS_POLICY_FILE: join(folder, 'policy') })).rejects.toThrow(reason)
  })

  it('lets a tool demand witnessed, which without a policy it does not', async () => {
    const { folder, args } = await witnessed()
    await expect(start(folder, {}, args)).rejects.toThrow(/demands the assurance 'witnessed', and no witnesses/)
  })
})

async function startedKey(folder: string) {
  const served = await start(folder)
  await served.stop()
  return served
}

describe('a gate with anchors', () => {
  it('has its checkpoints stamped; anybody can verify them from the folder', async () => {
    const folder = newFolder()
    const tsa = await makeTsa()
    const server = await serveTsa(asked => respond(tsa, asked))
    cleanups.push(() => server.close())
    writeFileSync(join(folder, 'roots.pem'), pemOf(tsa.root))
    const environment = {
      SIGNET_ANCHOR_URLS: server.url,
      SIGNET_ANCHOR_CA_FILE: join(folder, 'roots.pem'),
      SIGNET_ANCHOR_EVERY_ROWS: '1',
    }
    const served = await start(folder, environment)
    expect((await ask(served.url, OWNER)).status).toBe(200)
    const name = `signet_anchors_total{authority="${new URL(server.url).host.replace(':', '_')}"}`
    await until(
      () => scrape(served),
      metrics => (metrics.get(name) ?? 0) > 0,
    )
    await served.stop()
    const verify = ['log', 'verify-anchors', '--log-key', served.logKey, '--ca', 'roots.pem']
    expect(await signet(folder, verify)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/OK: \d+ entries existed at 20/),
    })
    const whole = async () => {
      const { code, out } = await signet(folder, [
        ...['audit', 'verify', '--json', '--log-key', served.logKey, '--anchor-ca', 'roots.pem'],
      ])
      return { code, anchors: JSON.parse(out).sections.anchors.status }
    }
    expect(await whole()).toEqual({ code: 0, anchors: 'sound' })
    expect(await signet(folder, ['log', 'anchors'])).toMatchObject({ code: 0, out: expect.stringContaining('entries') })
    expect(await signet(folder, [...verify, '--oid', '1.9.9'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('policy_wrong'),
    })
    // By hand, to a file that is there already.
    const now = ['log', 'anchor', '--url', server.url, '--ca', 'roots.pem']
    const files = JSON.parse((await signet(folder, ['log', 'anchors', '--json'])).out) as {
      anchors: { size: number }[]
    }
    const size = files.anchors.at(-1)?.size ?? 0
    const signed = readFileSync(join(folder, 'audit.jsonl.tlog', 'signed'), 'utf8')
    const byHand = await signet(folder, now)
    if (Number(signed.split('\n')[1]) === size)
      expect(byHand).toMatchObject({ code: 1, error: expect.stringContaining('conflict') })
    else expect(byHand).toMatchObject({ code: 0, out: expect.stringContaining('stamped 20') })

    const stranger = await makeTsa()
    writeFileSync(join(folder, 'others.pem'), pemOf(stranger.root))
    expect(await signet(folder, [...verify.slice(0, -1), 'others.pem'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('chain_untrusted'),
    })
    const path = join(folder, 'audit.jsonl.tlog', 'anchors', `${size}.checkpoint`)
    const checkpoint = readFileSync(path, 'utf8')
    writeFileSync(path, checkpoint.replace(`\n${size}\n`, `\n${size + 1}\n`))
    expect(await signet(folder, verify)).toMatchObject({ code: 1, out: expect.stringContaining('imprint_wrong') })
    expect(await whole()).toEqual({ code: 1, anchors: 'broken' })
    rmSync(path)
    expect(await signet(folder, verify)).toMatchObject({ code: 1, out: expect.stringContaining('is missing') })
    writeFileSync(path, checkpoint)
    expect(await signet(folder, verify)).toMatchObject({ code: 0 })
    expect(await signet(newFolderWithLog(folder), verify)).toMatchObject({
      code: 1,
      out: expect.stringContaining('the log has no anchors'),
    })
  })

  function newFolderWithLog(from: string): string {
    const folder = newFolder()
    cpSync(from, folder, { recursive: true })
    rmSync(join(folder, 'audit.jsonl.tlog', 'anchors'), { recursive: true })
    return folder
  }

  it('tells its operator of an authority that lies, and goes on', async () => {
    const folder = newFolder()
    const [tsa, stranger] = [await makeTsa(), await makeTsa()]
    const server = await serveTsa(asked => respond(stranger, asked))
    cleanups.push(() => server.close())
    writeFileSync(join(folder, 'roots.pem'), pemOf(tsa.root))
    const served = await start(folder, {
      SIGNET_ANCHOR_URLS: server.url,
      SIGNET_ANCHOR_CA_FILE: join(folder, 'roots.pem'),
    })
    await ask(served.url, OWNER)
    await until(
      () => served.written.error,
      text => text.includes('anchors of 127.0.0.1_'),
    )
    expect(served.written.error).toMatch(/anchors of \S+: the time-stamping certificate is not to be trusted/)
    expect((await ask(served.url, OWNER)).status).toBe(200)
  })

  it.each([
    [{ SIGNET_ANCHOR_URLS: 'https://tsa.example/tsr' }, /SIGNET_ANCHOR_CA_FILE: not set/],
    [{ SIGNET_ANCHOR_URLS: 'http://tsa.example/tsr' }, /SIGNET_ANCHOR_URLS: .*plain http; use https/],
    [{ SIGNET_ANCHOR_POLICY: '1.2.3' }, /SIGNET_ANCHOR_POLICY: set without anchorUrls/],
    [{ SIGNET_ANCHOR_POLICY: 'one' }, /SIGNET_ANCHOR_POLICY: .*not an object identifier/],
    [
      { SIGNET_ANCHOR_URLS: 'https://tsa.example/a,https://tsa.example/b', SIGNET_ANCHOR_CA_FILE: '/nowhere' },
      /names one host twice[\s\S]*\/nowhere does not exist/,
    ],
    [
      { SIGNET_TRANSPARENCY_LOG: 'off', SIGNET_WITNESS_POLICY_FILE: '/nowhere' },
      /SIGNET_WITNESS_POLICY_FILE: set, but transparencyLog is off/,
    ],
  ])('does not start with settings that cannot work: %j', async (environment, reason) => {
    await expect(start(newFolder(), environment as Record<string, string>)).rejects.toThrow(reason)
  })
})

describe('/metrics', () => {
  it('counts exchanges and rows, on the control plane alone', async () => {
    const folder = newFolder()
    const served = await start(folder)
    expect((await ask(served.url, OWNER)).status).toBe(200)
    expect((await ask(served.url, undefined)).status).toBe(403)
    expect((await fetch(`${served.url}/v1/chat/completions`, { method: 'POST', body: '{' })).status).toBe(400)
    const metrics = await until(
      () => scrape(served),
      found => found.get('signet_exchanges_total{outcome="completed"}') === 1,
    )
    expect(metrics.get('signet_exchanges_total{outcome="refused"}')).toBe(1)
    expect(metrics.get('signet_exchanges_total{outcome="preflight"}')).toBe(1)
    expect(metrics.get('signet_exchanges_total{outcome="faulted"}')).toBe(0)
    expect(metrics.get('signet_rows_total{row="pipeline.complete",decision="allow"}')).toBe(1)
    expect(metrics.get('signet_rows_total{row="pipeline.admission",decision="block"}')).toBe(1)
    expect(metrics.get('signet_rows_total{row="pipeline.preflight",decision="block"}')).toBe(1)
    expect(metrics.get('signet_exchanges_active')).toBe(0)
    expect(metrics.get('signet_audit_ok')).toBe(1)
    expect(metrics.get('signet_log_ok')).toBe(1)
    expect(metrics.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
    // As many rows as the file has, when nothing is under way.
    const rows = [...metrics].filter(([name]) => name.startsWith('signet_rows_total')).reduce((n, [, v]) => n + v, 0)
    expect(rows).toBe(rowsOf(folder).length)
    const answer = await fetch(`${planeOf(served)}/metrics`, { headers: credential(served) })
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    for (const line of (await answer.text()).split('\n').slice(0, -1))
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"\n]*",?)+\})? (\d+(\.\d+)?(e[+-]\d+)?))$/)
    expect((await fetch(`${planeOf(served)}/metrics`, { method: 'POST' })).status).toBe(405)
    expect((await fetch(`${planeOf(served)}/metrics`)).status).toBe(401)
    expect((await fetch(`${served.url}/metrics`)).status).toBe(404)
    expect(await rebound(planeOf(served))).toBe(421)
  })

  it('is there without a log too, and for nobody without a credential where others reach the control plane', async () => {
    const without = await start(newFolder(), { SIGNET_TRANSPARENCY_LOG: 'off' })
    const metrics = await scrape(without)
    expect(metrics.get('signet_audit_ok')).toBe(1)
    expect([...metrics.keys()].filter(name => name.startsWith('signet_log'))).toEqual([])
    expect((await fetch(`${planeOf(without)}/checkpoint`)).status).toBe(404)
    const open = await start(newFolder(), {}, ['--control-host', '0.0.0.0'])
    const { port } = new URL(planeOf(open))
    expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(401)
    const viewer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: credential(open) })
    expect(viewer.status).toBe(200)
    await until(
      async () => (await fetch(`http://127.0.0.1:${port}/checkpoint`)).status,
      status => status === 200,
    )
  })

  it('needs no credential where nobody is known and only this machine can ask, and is not there otherwise', async () => {
    const counters = new GateCounters()
    const times = new CheckDurations(() => 0)
    const audit = { ok: true, head: { size: 0n, hmac: undefined } }
    const load = { active: 0, heldBytes: 0 }
    expect(metricsFor('0.0.0.0', undefined, counters, times, audit, undefined, { load })).toBeUndefined()
    const metrics = metricsFor('127.0.0.1', undefined, counters, times, audit, undefined, { load })
    const open = { host: '127.0.0.1', port: 0, log: undefined, escalations: undefined, version: '0' }
    const [there, absent] = [
      await startControl({ ...open, metrics }),
      await startControl({ ...open, metrics: undefined }),
    ]
    expect((await fetch(`${there.url}/metrics`)).status).toBe(200)
    expect((await fetch(`${absent.url}/metrics`)).status).toBe(404)
    await there.close()
    await absent.close()
  })

  /** As a page that has rebound its name to this machine would ask. */
  function rebound(url: string): Promise<number | undefined> {
    return new Promise((done, reject) => {
      const asked = request(`${url}/metrics`, { headers: { host: 'evil.example' } }, answer => {
        answer.resume()
        done(answer.statusCode)
      })
      asked.on('error', reject)
      asked.end()
    })
  }
})
