/** The real program: killed between an escalation and its notice, and with workers, where one process tells of all. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type Gate, startWorkersGate } from '../crash/workers-run.ts'
import { chat, scenario } from '../support/gate.ts'
import { type Receiver, receiver } from './stand.ts'

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
const folders: string[] = []
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function project(url: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'signet-notices-'))
  folders.push(folder)
  const setting = { consoleUrl: 'https://signet.example.com', webhooks: [{ name: 'ops', url }] }
  writeFileSync(join(folder, 'notifications.json'), JSON.stringify(setting))
  writeFileSync(
    join(folder, '.env'),
    `SIGNET_NOTIFICATIONS_FILE=${join(folder, 'notifications.json')}\nSIGNET_WEBHOOK_SECRETS="ops=${SECRET}"\n`,
    { mode: 0o600 },
  )
  return folder
}

async function started(folder: string, ...args: readonly string[]): Promise<Gate> {
  const gate = await startWorkersGate(folder, ['--upstream', 'demo', ...args])
  ends.push(async () => {
    gate.child.kill('SIGKILL')
    await gate.exit
  })
  return gate
}

const told = (r: Receiver) =>
  r.got.map(g => {
    new Webhook(SECRET).verify(g.body, g.headers as Record<string, string>)
    const { type, data } = JSON.parse(g.body) as { type: string; data: { id: string } }
    return { type, escalation: data.id, id: g.headers['webhook-id'] }
  })

async function hold(gate: Gate): Promise<string> {
  const tools = [{ type: 'function', function: { name: 'issue_refund' } }]
  const calls = [{ name: 'issue_refund', arguments: '{"amount":50000,"account":"X"}' }]
  const res = await chat(gate, scenario({ kind: 'call', calls }, { tools }))
  expect(res.status).toBe(202)
  return ((await res.json()) as { escalation_id: string }).escalation_id
}

describe('signet serve', () => {
  it('killed before a notice was delivered tells it after the next start, under the same id', {
    timeout: 120_000,
  }, async () => {
    let up = false
    const r = await receiver(res => res.writeHead(up ? 204 : 500).end())
    ends.push(() => r.close())
    const folder = project(r.url)
    const first = await started(folder)
    const escalation = await hold(first)
    await r.came(1)
    first.child.kill('SIGKILL')
    await first.exit
    const before = r.got.length
    up = true
    await started(folder)
    await r.came(before + 1)
    const all = told(r)
    expect(new Set(all.map(n => n.id)).size).toBe(1)
    expect(all.at(-1)).toEqual({ type: 'escalation.created', escalation, id: `evt_${escalation}_created` })
  })

  it('with workers tells each thing once, whichever worker it happened in', { timeout: 120_000 }, async () => {
    const r = await receiver(res => res.writeHead(204).end())
    ends.push(() => r.close())
    const folder = project(r.url)
    const gate = await started(folder, '--workers', '2', '--control-port', '0')
    const held: string[] = []
    for (let i = 0; i < 6; i += 1) held.push(await hold(gate))
    await r.came(6)
    const control = /http:[^\s]+/.exec(await gate.said(/control plane: (http:\S+)/))?.[0] ?? ''
    const token = readFileSync(join(folder, '.signet', 'approver.token'), 'utf8').trim()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const at = `${control}/api/v1/escalations/${held[0]}`
    const { digest } = (await (await fetch(at, { headers })).json()) as { digest: string }
    const approved = await fetch(`${at}/approve`, { method: 'POST', headers, body: JSON.stringify({ digest }) })
    expect(approved.status).toBe(200)
    await r.came(7)
    const metrics = await (await fetch(`${control}/metrics`, { headers })).text()
    // The last one may be under way still.
    expect(metrics).toMatch(/signet_notices_total\{destination="webhook:ops",outcome="delivered"\} [67]\n/)
    const all = told(r)
    expect(all.map(n => n.id)).toHaveLength(7)
    expect(new Set(all.map(n => n.id)).size).toBe(7)
    expect(
      all
        .filter(n => n.type === 'escalation.created')
        .map(n => n.escalation)
        .sort(),
    ).toEqual(held.sort())
    // What is in the worker's environment and what it is told: not the secret.
    expect(gate.printed()).not.toContain(SECRET)
  })
})
