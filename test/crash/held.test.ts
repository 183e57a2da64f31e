/**
 * A gate that is killed while a call waits for a human: the escalation is still there, the approval still works, and the call is
 * released once. The program as it is built, the vendor's SDK unmodified, SIGKILL; alone and with workers.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { verifyLog } from '../../src/audit/verify.ts'
import { type DemoUpstream, startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { Authenticator } from '../support/authenticator.ts'
import { signet } from '../support/served.ts'
import { seeded } from './run.ts'
import { type Gate, gone, killAll, ringOf, startWorkersGate } from './workers-run.ts'

let root: string
let demo: DemoUpstream
let calls = 0
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'signet-held-'))
  demo = await startDemoUpstream({ onRequest: () => (calls += 1) })
})
afterEach(killAll)
afterAll(async () => {
  await demo.close()
  rmSync(root, { recursive: true })
})

const LONG = { timeout: 300_000 }

let projects = 0
/** `settings`: more of the pipeline file's. */
function project(settings = ''): string {
  const folder = join(root, `p${(projects += 1)}`)
  mkdirSync(folder)
  writeFileSync(
    join(folder, 'pipeline.ts'),
    `import { definePipeline, OwnerResolutionCheck, ToolCallInspectorCheck } from 'signet-gate'
export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new ToolCallInspectorCheck({ registry: { issue_refund: { riskTier: 'high', irreversible: true } } }),
  ],
  ${settings}
})
`,
  )
  return folder
}

class Story {
  readonly folder: string
  readonly #workers: number
  #gate: Gate | undefined
  #control = ''

  constructor(folder: string, workers: number) {
    this.folder = folder
    this.#workers = workers
  }

  async start(): Promise<void> {
    const workers = ['--workers', String(this.#workers)]
    this.#gate = await startWorkersGate(this.folder, [...workers, '--upstream', demo.url, '--control-port', '0'])
    const said = await this.#gate.said(/control plane: (http:\S+)/)
    this.#control = /http:\S+/.exec(said)?.[0] ?? ''
  }

  /** Every process of it is gone when this resolves. */
  async kill(): Promise<void> {
    const gate = this.#gate
    if (gate === undefined) throw new Error('nothing runs')
    gate.child.kill('SIGKILL')
    await gate.exit
    for (const pid of gate.workers.values()) await gone(pid)
  }

  /** The call, as an agent makes it with the SDK; `undefined` when the connection broke. */
  async ask(escalation?: string): Promise<{ readonly status: number; readonly text: string } | undefined> {
    const client = new OpenAI({
      apiKey: 'unused',
      baseURL: `${this.#gate?.url}/v1`,
      maxRetries: 0,
      defaultHeaders: { 'x-commit-owner': 'human:alice@example.com' },
    })
    try {
      const res = await client.chat.completions
        .create(
          {
            model: 'demo',
            tools: [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }],
            messages: [{ role: 'user', content: 'Refund $50,000 to account X' }],
          },
          escalation === undefined ? {} : { headers: { 'x-signet-escalation': escalation } },
        )
        .asResponse()
      return { status: res.status, text: await res.text() }
    } catch (error) {
      if (error instanceof OpenAI.APIConnectionError || !(error instanceof OpenAI.APIError)) return undefined
      return { status: error.status ?? 0, text: JSON.stringify(error.error) }
    }
  }

  async hold(): Promise<{ readonly id: string; readonly ticket: string }> {
    const held = await this.ask()
    expect(held?.status).toBe(202)
    const body = JSON.parse(held?.text ?? '{}') as { escalation_id: string; status_url: string }
    return { id: body.escalation_id, ticket: `${body.escalation_id}.${body.status_url.split('/').at(-1)}` }
  }

  async decide(what: 'approve' | 'deny', id: string): Promise<string> {
    const { out, error } = await signet(this.folder, [
      'escalations',
      what,
      id,
      '--reason',
      'test',
      '--control',
      this.#control,
    ])
    return out + error
  }

  /** The control plane's API, as the approver that `--dev` made. */
  async post(path: string, body: object): Promise<{ readonly status: number; readonly body: unknown }> {
    const token = readFileSync(join(this.folder, '.signet/approver.token'), 'utf8').trim()
    const res = await fetch(`${this.#control}/api/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: res.status, body: await res.json() }
  }

  async show(id: string): Promise<{ readonly digest: string }> {
    const { out } = await signet(this.folder, ['escalations', 'show', id, '--json', '--control', this.#control])
    return JSON.parse(out) as { digest: string }
  }

  async evidence(id: string): Promise<string> {
    const args = ['escalations', 'evidence', id, '--audit-log', join(this.folder, 'audit.jsonl')]
    const { out, error } = await signet(this.folder, [...args, '--control', this.#control])
    return out + error
  }

  /** Rows of this name about this escalation. */
  rows(name: string, id: string): readonly { readonly reason: string }[] {
    return readFileSync(join(this.folder, 'audit.jsonl'), 'utf8')
      .split('\n')
      .filter(line => line.includes(`"${name}"`) && line.includes(id))
      .map(line => JSON.parse(line) as { reason: string })
  }

  firstReleases(id: string): number {
    return this.rows('escalation.released', id).filter(r => r.reason === 'the approved answer was released').length
  }

  async end(): Promise<void> {
    const gate = this.#gate
    gate?.child.kill('SIGTERM')
    expect(await gate?.exit).toEqual({ code: 0, signal: null })
    expect((await verifyLog(join(this.folder, 'audit.jsonl'), ringOf(this.folder))).breaks).toEqual([])
  }
}

describe.each([1, 2])('killed with %i serving', workers => {
  it('while a call is held: it waits on, is approved, and is released once', LONG, async () => {
    const story = new Story(project(), workers)
    await story.start()
    const before = calls
    const { id, ticket } = await story.hold()
    await story.kill()
    await story.start()
    expect((await story.ask(ticket))?.status).toBe(202)
    expect(await story.decide('approve', id)).toMatch(/it is approved/)
    const answers = await Promise.all([story.ask(ticket), story.ask(ticket), story.ask(ticket)])
    const bodies = new Set(answers.map(a => a?.text))
    expect(answers.map(a => a?.status)).toEqual([200, 200, 200])
    expect(bodies.size).toBe(1)
    expect([...bodies][0]).toContain('issue_refund')
    expect(story.firstReleases(id)).toBe(1)
    // What was released is what was held: the model was asked once.
    expect(calls - before).toBe(1)
    await story.end()
  })

  it('between approval and release, and after the release: released once, and the same bytes again', LONG, async () => {
    const story = new Story(project(), workers)
    await story.start()
    const before = calls
    const { id, ticket } = await story.hold()
    expect(await story.decide('approve', id)).toMatch(/it is approved/)
    await story.kill()
    await story.start()
    const first = await story.ask(ticket)
    expect(first).toMatchObject({ status: 200, text: expect.stringContaining('issue_refund') })
    await story.kill()
    await story.start()
    expect(await story.ask(ticket)).toEqual(first)
    expect(story.firstReleases(id)).toBe(1)
    expect(story.rows('escalation.released', id)).toHaveLength(2)
    expect(story.rows('escalation.decided', id)).toHaveLength(1)
    // Nothing is decided twice, whatever has died in between.
    expect(await story.decide('approve', id)).toMatch(/said no \(409\)/)
    expect(calls - before).toBe(1)
    await story.end()
  })

  it('with passkeys: what was registered before signs after, and its evidence is in the log', LONG, async () => {
    const origin = 'http://localhost:8444'
    const settings = `passkeyRpId: 'localhost', approverAuth: 'passkey', passkeyRegistration: 'self', passkeyOrigins: ['${origin}'],`
    const story = new Story(project(settings), workers)
    await story.start()
    const passkey = new Authenticator('ES256', origin)
    const begun = await story.post('/passkeys/registration', {})
    const response = passkey.create(begun.body as Parameters<Authenticator['create']>[0])
    expect(await story.post('/passkeys', { response })).toMatchObject({ status: 201 })
    const { id, ticket } = await story.hold()
    await story.kill()
    await story.start()
    expect(await story.decide('approve', id)).toMatch(/approved with a passkey only/)
    const e = await story.show(id)
    const asked = await story.post(`/escalations/${id}/passkey`, { decision: 'approve', digest: e.digest })
    const signed = passkey.get(asked.body as Parameters<Authenticator['get']>[0])
    await story.kill()
    await story.start()
    const decided = await story.post(`/escalations/${id}/approve`, { digest: e.digest, passkey: signed })
    expect(decided).toMatchObject({ status: 200, body: { state: 'approved' } })
    const said = await story.evidence(id)
    expect(said).toMatch(/signature {3}holds/)
    expect(said).toMatch(/audit log {3}has this decision, and this key as the approver's/)
    await story.kill()
    await story.start()
    expect(await story.ask(ticket)).toMatchObject({ status: 200, text: expect.stringContaining('issue_refund') })
    expect(story.firstReleases(id)).toBe(1)
    expect(await story.evidence(id)).toBe(said)
    await story.end()
  })

  it('after it was denied: it stays denied', LONG, async () => {
    const story = new Story(project(), workers)
    await story.start()
    const { id, ticket } = await story.hold()
    expect(await story.decide('deny', id)).toMatch(/it is denied/)
    await story.kill()
    await story.start()
    expect((await story.ask(ticket))?.status).toBe(403)
    expect(await story.decide('approve', id)).toMatch(/said no \(409\)/)
    expect(story.firstReleases(id)).toBe(0)
    await story.end()
  })

  it('at any moment of approving and fetching: never two releases, never two answers', LONG, async () => {
    const random = seeded(40 + workers)
    const story = new Story(project(), workers)
    await story.start()
    for (let run = 0; run < 6; run += 1) {
      const { id, ticket } = await story.hold()
      const bodies = new Set<string>()
      let dead = false
      const fetching = Array.from({ length: 3 }, async () => {
        while (!dead) {
          const answer = await story.ask(ticket)
          if (answer?.status === 200) bodies.add(answer.text)
        }
      })
      const approving = story.decide('approve', id)
      // Some kills come before the decision, some after the release, most in between.
      await new Promise(resolve => setTimeout(resolve, Math.floor(random() * 60)))
      dead = true
      await story.kill()
      await Promise.all(fetching)
      await approving
      await story.start()
      // Either the decision is there, or it can still be made: never half of it.
      const said = await story.decide('approve', id)
      expect(said).toMatch(/it is approved|said no \(409\)/)
      for (let i = 0; i < 2; i += 1) {
        const answer = await story.ask(ticket)
        expect(answer?.status).toBe(200)
        bodies.add(answer?.text ?? '')
      }
      expect(bodies.size).toBe(1)
      expect(story.firstReleases(id)).toBeLessThanOrEqual(1)
      // A decision has its row before its effect: one that a kill took the effect of may be made, and recorded, again.
      expect(story.rows('escalation.decided', id).length).toBeGreaterThanOrEqual(1)
      expect(story.rows('escalation.released', id).length).toBeGreaterThanOrEqual(2)
    }
    await story.end()
  })
})
