/** The Codex command-line agent, unmodified and offline, working through the gate. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { defaultPipeline } from '../../src/config/default-pipeline.ts'
import type { Check } from '../../src/core/check.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { type Agent, type Desk, type Ended, installAgent } from './agent.ts'
import { type ResponsesUpstream, startResponsesUpstream } from './responses-upstream.ts'

const VERSION = '0.171.0'
const NOTE = 'the password of the guest network is on the fridge'

/** What an operator would register for it: `write_stdin` is left out, goals are not to be set without a human. */
const REGISTRY = {
  exec_command: { riskTier: 'medium' },
  apply_patch: { riskTier: 'medium' },
  'functions.exec': { riskTier: 'medium' },
  create_goal: { riskTier: 'high', irreversible: true },
} as const

/** The checks of a gate whose operator has changed nothing but the tools. */
function checks(...more: readonly Check[]): readonly Check[] {
  const made = [...more, new ToolCallInspectorCheck({ registry: REGISTRY })]
  const mine = made.filter((c, i) => made.findIndex(m => m.name === c.name) === i)
  return [...defaultPipeline().checks.filter(c => !mine.some(m => m.name === c.name)), ...mine]
}

interface Event {
  readonly type: string
  readonly message?: string
  readonly error?: { readonly message: string }
  readonly item?: { readonly type: string; readonly text?: string; readonly aggregated_output?: string }
}

interface Setting {
  readonly to?: TestGate
  readonly owner?: string | undefined
  readonly model?: string
  readonly search?: 'live' | 'disabled'
  readonly retries?: number
}

describe(`Codex ${VERSION}`, () => {
  let agent: Agent
  let upstream: ResponsesUpstream
  let gate: TestGate
  beforeAll(async () => {
    agent = await installAgent('@openai/codex', VERSION, '@openai/codex/bin/codex.js')
    upstream = await startResponsesUpstream()
    gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks() })
  }, 300_000)
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    await upstream.close()
    await agent.close()
    expect(report.ok).toBe(true)
    expect(agent.outside).toEqual([])
  })

  const newDesk = () => {
    const desk = agent.desk()
    mkdirSync(join(desk.home, '.codex'))
    writeFileSync(join(desk.work, 'notes.txt'), NOTE)
    return desk
  }
  const start = (desk: Desk, prompt: string, setting: Setting = {}, then: readonly string[] = []) => {
    const {
      to = gate,
      owner = 'human:alice@example.com',
      model = 'gpt-5.5',
      search = 'disabled',
      retries = 0,
    } = setting
    writeFileSync(
      join(desk.home, '.codex', 'config.toml'),
      `model = "${model}"
model_provider = "signet"
web_search = "${search}"
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
apps = false
plugins = false

[model_providers.signet]
name = "signet"
base_url = "${to.url}/v1"
wire_api = "responses"
env_key = "MODEL_KEY"
http_headers = { "X-Commit-Owner" = "${owner}" }
request_max_retries = ${retries}
stream_max_retries = ${retries}
`,
    )
    // The commands are this file's own; whether the machine has a sandbox for them is not the question.
    const options = ['--skip-git-repo-check', '--json', '--sandbox', 'danger-full-access']
    return desk.run(['exec', ...options, ...then, prompt], { MODEL_KEY: 'sk-none' })
  }
  const ask = (...args: Parameters<typeof start>) => start(...args).ended
  const eventsOf = (ended: Ended): readonly Event[] => {
    const lines = ended.stdout.split('\n').filter(l => l.startsWith('{'))
    if (lines.length === 0) throw new Error(`no events: ${ended.stdout}${ended.stderr}`)
    return lines.map(l => JSON.parse(l) as Event)
  }
  const said = (ended: Ended) => eventsOf(ended).flatMap(e => (e.item?.type === 'agent_message' ? [e.item.text] : []))
  const troubles = (ended: Ended) => eventsOf(ended).flatMap(e => e.error?.message ?? e.message ?? [])
  const tools = (...calls: readonly (readonly [string, object | string])[]) => `tools: ${JSON.stringify(calls)}`
  const last = () => upstream.seen.at(-1) as unknown as Record<string, unknown>
  const another = async <T>(checks: readonly Check[], use: (gate: TestGate) => Promise<T>): Promise<T> => {
    const one = await startTestGate({ upstreamUrl: upstream.url, checks })
    try {
      return await use(one)
    } finally {
      await one.close()
    }
  }

  it('is answered, and everything it sends reaches upstream', async () => {
    const ended = await ask(newDesk(), 'Good morning.')
    expect(said(ended)).toEqual(['You said: Good morning.'])
    expect(ended.code).toBe(0)
    expect(last()).toMatchObject({
      stream: true,
      store: false,
      include: ['reasoning.encrypted_content'],
      client_metadata: expect.anything(),
      prompt_cache_key: expect.any(String),
    })
    const declared = last()['tools'] as readonly { readonly type: string; readonly name?: string }[]
    expect(declared).toContainEqual(expect.objectContaining({ type: 'custom', name: 'apply_patch' }))
    expect(declared).toContainEqual(expect.objectContaining({ type: 'tool_search', execution: 'client' }))
  })

  it('runs an allowed call, reports its result, and echoes encrypted reasoning', async () => {
    const ended = await ask(newDesk(), tools(['exec_command', { cmd: 'cat notes.txt' }]))
    expect(said(ended)).toEqual(['On it.', expect.stringContaining(NOTE)])
    expect(JSON.stringify(last()['input'])).toContain('"encrypted_content":"gAAAAABo')
  })

  it('writes a file with its free-form patch tool', async () => {
    const desk = newDesk()
    const patch = '*** Begin Patch\n*** Add File: made.txt\n+hello\n*** End Patch\n'
    const ended = await ask(desk, tools(['apply_patch', patch]))
    expect(readFileSync(join(desk.work, 'made.txt'), 'utf8')).toBe('hello\n')
    expect(said(ended).at(-1)).toContain('made.txt')
  })

  it('runs a program of a model that is given one tool for all, in a namespace', async () => {
    const program = 'const r = await tools.exec_command({ cmd: "cat notes.txt" }); text(r.output)'
    const ended = await ask(newDesk(), tools(['functions.exec', program]), { model: 'gpt-6-luna' })
    expect(said(ended)).toEqual(['On it.', expect.stringContaining(NOTE)])
    const [first] = last()['input'] as readonly Record<string, unknown>[]
    expect(first).toMatchObject({ type: 'additional_tools', role: 'developer' })
  })

  it('does not run a refused call, runs the other one, and goes on from there in the next turn', async () => {
    const desk = newDesk()
    const calls = tools(['exec_command', { cmd: 'cat notes.txt' }], ['write_stdin', { session_id: 1, chars: 'x' }])
    const first = await ask(desk, calls)
    expect(said(first)).toEqual([
      'On it.',
      expect.stringContaining('signet refused the tool call write_stdin'),
      expect.stringContaining(NOTE),
    ])
    const second = await ask(desk, 'And on we go.', {}, ['resume', '--last'])
    expect(said(second)).toEqual(['You said: And on we go.'])
    const echoed = JSON.stringify(last()['input'])
    expect(echoed).toContain('signet refused the tool call write_stdin')
    expect(echoed).not.toContain('"name":"write_stdin"')
  })

  it('says what was refused when that was all', async () => {
    const ended = await ask(newDesk(), tools(['write_stdin', { session_id: 1 }]))
    expect(said(ended)).toEqual(['On it.', expect.stringContaining('signet refused the tool call write_stdin')])
    expect(ended.code).toBe(0)
  })

  it('ends in an error at a held call, does not run it and does not ask again', async () => {
    const before = upstream.seen.length
    const ended = await ask(newDesk(), tools(['create_goal', { objective: 'rule the world' }]), { retries: 5 })
    expect(troubles(ended).join()).toContain("needs a human's approval")
    expect(ended.stdout).not.toContain('rule the world')
    expect(ended.code).not.toBe(0)
    expect(upstream.seen.length).toBe(before + 1)
  })

  it('reads a refusal before the model', async () => {
    const before = upstream.seen.length
    const ended = await ask(newDesk(), 'Hello.', { owner: '' })
    expect(troubles(ended).join()).toContain('signet refused this request')
    expect(ended.code).not.toBe(0)
    expect(upstream.seen.length).toBe(before)
  })

  it('waits when it is told of a rate limit, and goes on', async () => {
    const limited = checks(new RateLimitCheck({ capacity: 1, refillPerSecond: 1 }))
    await another(limited, async one => {
      const asked = tools(['exec_command', { cmd: 'cat notes.txt' }])
      const ended = await ask(newDesk(), asked, { to: one, retries: 5 })
      expect(said(ended).at(-1)).toContain(NOTE)
      expect(one.rows().some(r => r['decision'] === 'block')).toBe(true)
    })
  })

  it('shows an abort in mid-stream as an error, nothing of what was refused, and does not ask again', async () => {
    const before = upstream.seen.length
    const ended = await ask(newDesk(), hidden('The plan is simple. SECRET//NOFORN convoy at dawn.'), { retries: 5 })
    expect(upstream.seen.length).toBe(before + 1)
    expect(troubles(ended).join()).toContain('signet refused this response')
    expect(ended.stdout + ended.stderr).not.toContain('convoy')
    expect(ended.code).not.toBe(0)
  })

  it('gets the redacted text', async () => {
    const output = checks(new RegexOutputCheck({ patterns: [{ pattern: 'fridge', action: 'redact', label: 'place' }] }))
    await another(output, async one => {
      const ended = await ask(newDesk(), hidden('It is on the fridge, as ever.'), { to: one })
      expect(said(ended)).toEqual(['It is on the [REDACTED], as ever.'])
    })
  })

  it('may let upstream search the web only where the operator says so', async () => {
    const refused = await ask(newDesk(), 'Hello.', { search: 'live' })
    expect(troubles(refused).join()).toContain("upstream-run tool 'upstream:web_search' not in registry")
    const registry = { ...REGISTRY, 'upstream:web_search': { riskTier: 'low' } } as const
    await another(checks(new ToolCallInspectorCheck({ registry })), async one => {
      expect(said(await ask(newDesk(), 'Hello.', { to: one, search: 'live' }))).toEqual(['You said: Hello.'])
    })
  })

  it('leaves a row when it is stopped in the middle of an answer', async () => {
    const before = gate.rows().length
    const run = start(newDesk(), 'hang: Once upon a time there was')
    await vi.waitUntil(() => gate.rows().length > before, { timeout: 60_000 })
    run.stop()
    await run.ended
    await vi.waitUntil(() => JSON.stringify(gate.rows().slice(before)).includes('client_disconnect'), {
      timeout: 30_000,
    })
  })
})

/** What upstream is to say, hidden from the checks of the request. */
function hidden(said: string): string {
  return `hex: ${Buffer.from(said).toString('hex')}`
}
