/** The Claude Code command-line agent, unmodified and offline, working through the gate. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { defaultPipeline } from '../../src/config/default-pipeline.ts'
import type { Check } from '../../src/core/check.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { type Agent, type Desk, type Ended, installAgent } from './agent.ts'
import { type AnthropicUpstream, startAnthropicUpstream } from './anthropic-upstream.ts'

const VERSION = '2.1.197'
const OWNER = 'X-Commit-Owner: human:alice@example.com'
const NOTE = 'the password of the guest network is on the fridge'

/** What an operator would register for it: reading is harmless, commands cannot be undone, writing is left out. */
const REGISTRY = {
  Read: { riskTier: 'low' },
  Bash: { riskTier: 'high', irreversible: true },
  WebSearch: { riskTier: 'low' },
} as const

/** The checks of a gate whose operator has changed nothing but the tools. */
function checks(...more: readonly Check[]): readonly Check[] {
  const made = [...more, new ToolCallInspectorCheck({ registry: REGISTRY })]
  const mine = made.filter((c, i) => made.findIndex(m => m.name === c.name) === i)
  return [...defaultPipeline().checks.filter(c => !mine.some(m => m.name === c.name)), ...mine]
}

describe(`Claude Code ${VERSION}`, () => {
  let agent: Agent
  let upstream: AnthropicUpstream
  let gate: TestGate
  beforeAll(async () => {
    agent = await installAgent('@anthropic-ai/claude-code', VERSION, '@anthropic-ai/claude-code/cli-wrapper.cjs')
    upstream = await startAnthropicUpstream()
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
    writeFileSync(join(desk.work, 'notes.txt'), NOTE)
    return desk
  }
  const start = (
    desk: Desk,
    prompt: string,
    { to = gate, owner = OWNER, more = [] as readonly string[], env = {} } = {},
  ) =>
    desk.run(['-p', prompt, '--output-format', 'json', '--permission-mode', 'acceptEdits', ...more], {
      ANTHROPIC_BASE_URL: to.url,
      ANTHROPIC_API_KEY: 'sk-none',
      ANTHROPIC_CUSTOM_HEADERS: owner,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      CLAUDE_CODE_MAX_RETRIES: '2',
      ...env,
    })
  const ask = (...args: Parameters<typeof start>) => start(...args).ended
  const resultOf = (ended: Ended) => {
    try {
      return JSON.parse(ended.stdout) as { readonly result: string; readonly is_error: boolean }
    } catch {
      throw new Error(`no result: ${ended.stdout}${ended.stderr}`)
    }
  }
  const tools = (...calls: readonly (readonly [string, object])[]) => `tools: ${JSON.stringify(calls)}`
  const another = async <T>(checks: readonly Check[], use: (gate: TestGate) => Promise<T>): Promise<T> => {
    const one = await startTestGate({ upstreamUrl: upstream.url, checks })
    try {
      return await use(one)
    } finally {
      await one.close()
    }
  }

  it('is answered, and everything it sends reaches upstream as it was sent', async () => {
    const ended = await ask(newDesk(), 'say: Good morning.')
    expect(resultOf(ended)).toMatchObject({ result: 'Good morning.', is_error: false })
    expect(ended.code).toBe(0)
    const told = upstream.seen.at(-1)
    expect(told?.path).toBe('/v1/messages?beta=true')
    expect(told?.headers['anthropic-beta']).toContain('claude-code-')
    expect(told?.headers['x-api-key']).toBe('sk-none')
    expect(told?.headers['x-commit-owner']).toBeUndefined()
    const body = JSON.parse(told?.body ?? '') as Record<string, unknown> & { tools: unknown[]; system: unknown }
    expect(body.tools.length).toBeGreaterThan(15)
    expect(body).toMatchObject({ stream: true, thinking: expect.anything(), metadata: { user_id: expect.any(String) } })
    expect(JSON.stringify(body.system)).toContain('"cache_control":{"type":"ephemeral"}')
  })

  it('runs an allowed call and reports its result', async () => {
    const desk = newDesk()
    const ended = await ask(desk, tools(['Read', { file_path: join(desk.work, 'notes.txt') }]))
    expect(resultOf(ended)).toMatchObject({ result: expect.stringContaining(NOTE), is_error: false })
  })

  it('does not run a refused call, runs the other one, and goes on from there in the next turn', async () => {
    const desk = newDesk()
    const made = join(desk.work, 'made.txt')
    const first = await ask(
      desk,
      tools(['Write', { file_path: made, content: 'x' }], ['Read', { file_path: join(desk.work, 'notes.txt') }]),
    )
    expect(resultOf(first)).toMatchObject({ result: expect.stringContaining(NOTE), is_error: false })
    expect(existsSync(made)).toBe(false)
    const second = await ask(desk, 'say: And on we go.', { more: ['--continue'] })
    expect(resultOf(second)).toMatchObject({ result: 'And on we go.', is_error: false })
    expect(upstream.seen.at(-1)?.body).toContain('signet refused the tool call Write')
  })

  it('says what was refused when that was all', async () => {
    const desk = newDesk()
    const ended = await ask(desk, tools(['Write', { file_path: join(desk.work, 'made.txt'), content: 'x' }]))
    expect(resultOf(ended).result).toContain('signet refused the tool call Write')
    expect(ended.code).toBe(0)
  })

  it('ends in an error at a held call, and does not run it', async () => {
    const desk = newDesk()
    const before = upstream.seen.length
    const ended = await ask(desk, tools(['Bash', { command: 'touch ran.txt', description: 'x' }]), {
      more: ['--allowedTools', 'Bash'],
    })
    expect(resultOf(ended)).toMatchObject({
      is_error: true,
      result: expect.stringContaining("needs a human's approval"),
    })
    expect(ended.code).not.toBe(0)
    expect(existsSync(join(desk.work, 'ran.txt'))).toBe(false)
    expect(upstream.seen.length).toBe(before + 1)
  })

  it('reads a refusal before the model, and does not ask again', async () => {
    const [rows, calls] = [gate.rows().length, upstream.seen.length]
    const ended = await ask(newDesk(), 'say: Hello.', { owner: 'X-Nobody: 1' })
    expect(resultOf(ended)).toMatchObject({
      is_error: true,
      result: expect.stringContaining('signet refused this request'),
    })
    expect(gate.rows().length).toBe(rows + 1)
    expect(upstream.seen.length).toBe(calls)
  })

  it('waits as long as a rate limit says, and goes on', async () => {
    const limited = checks(new RateLimitCheck({ capacity: 1, refillPerSecond: 1 }))
    await another(limited, async one => {
      const desk = newDesk()
      const ended = await ask(desk, tools(['Read', { file_path: join(desk.work, 'notes.txt') }]), { to: one })
      expect(resultOf(ended)).toMatchObject({ result: expect.stringContaining(NOTE), is_error: false })
      expect(one.rows().some(r => r['decision'] === 'block')).toBe(true)
    })
  })

  it('asks again without a stream when one was aborted, is refused, and shows nothing of what was refused', async () => {
    const before = upstream.seen.length
    const said = 'The plan is simple. SECRET//NOFORN convoy at dawn.'
    const ended = await ask(newDesk(), `hex: ${Buffer.from(said).toString('hex')}`)
    expect(resultOf(ended)).toMatchObject({ is_error: true, result: expect.stringContaining('signet refused') })
    expect(ended.stdout + ended.stderr).not.toContain('convoy')
    expect(upstream.seen.length).toBe(before + 2)
    const once = { CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK: '1' }
    const again = await ask(newDesk(), `hex: ${Buffer.from(said).toString('hex')}`, { env: once })
    expect(resultOf(again)).toMatchObject({ is_error: true, result: expect.stringContaining('signet refused') })
    expect(again.stdout + again.stderr).not.toContain('convoy')
    expect(upstream.seen.length).toBe(before + 3)
  })

  it('is told of a held call that came before any word, where the operator wants an error', async () => {
    const asked = `only: ${JSON.stringify([['Bash', { command: 'touch ran.txt', description: 'x' }]])}`
    const unary = await ask(newDesk(), asked, { more: ['--allowedTools', 'Bash'] })
    expect(resultOf(unary)).toMatchObject({ is_error: true, result: expect.stringContaining('HTTP 202') })
    const one = await startTestGate({ upstreamUrl: upstream.url, checks: checks(), settings: { onEscalate: '403' } })
    const desk = newDesk()
    const ended = await ask(desk, asked, { to: one, more: ['--allowedTools', 'Bash'] })
    await one.close()
    expect(resultOf(ended)).toMatchObject({
      is_error: true,
      result: expect.stringContaining("needs a human's approval"),
    })
    expect(existsSync(join(desk.work, 'ran.txt'))).toBe(false)
  })

  it('gets the redacted text', async () => {
    const output = checks(new RegexOutputCheck({ patterns: [{ pattern: 'fridge', action: 'redact', label: 'place' }] }))
    await another(output, async one => {
      const ended = await ask(newDesk(), `hex: ${Buffer.from('It is on the fridge, as ever.').toString('hex')}`, {
        to: one,
      })
      expect(resultOf(ended)).toMatchObject({ result: 'It is on the [REDACTED], as ever.', is_error: false })
    })
  })

  it('echoes thinking with its signature', async () => {
    const desk = newDesk()
    expect(resultOf(await ask(desk, 'think: Two and two.')).result).toBe('I have thought.')
    expect(resultOf(await ask(desk, 'say: Four.', { more: ['--continue'] })).result).toBe('Four.')
    expect(upstream.seen.at(-1)?.body).toContain('U0lHTkVE'.repeat(20))
  })

  it('may look at a picture', async () => {
    const desk = newDesk()
    writeFileSync(join(desk.work, 'dot.png'), Buffer.from(PIXEL, 'base64'))
    const ended = await ask(desk, tools(['Read', { file_path: join(desk.work, 'dot.png') }]))
    expect(resultOf(ended).is_error).toBe(false)
    expect(upstream.seen.at(-1)?.body).toContain('"media_type":"image/png"')
  })

  it('may let upstream search the web only where the operator says so', async () => {
    const desk = newDesk()
    const before = upstream.seen.length
    await ask(desk, tools(['WebSearch', { query: 'weather in Oslo' }]), { more: ['--allowedTools', 'WebSearch'] })
    const declared = upstream.seen.slice(before).filter(r => r.body.includes('"web_search_20250305"'))
    expect(declared).toEqual([])
    expect(JSON.stringify(gate.rows())).toContain("upstream-run tool 'upstream:web_search_20250305' not in registry")
    const registry = { ...REGISTRY, 'upstream:web_search_20250305': { riskTier: 'low' } } as const
    await another(checks(new ToolCallInspectorCheck({ registry })), async one => {
      await ask(desk, tools(['WebSearch', { query: 'weather in Oslo' }]), {
        to: one,
        more: ['--allowedTools', 'WebSearch'],
      })
      expect(upstream.seen.some(r => r.body.includes('"web_search_20250305"'))).toBe(true)
    })
  })

  it('leaves a row when it is stopped in the middle of an answer', async () => {
    const before = gate.rows().length
    const run = start(newDesk(), 'hang: Once upon a time there was')
    await vi.waitUntil(() => gate.rows().length > before, { timeout: 60_000 })
    run.stop()
    await run.ended
    await vi.waitUntil(() => gate.rows().some(r => JSON.stringify(r).includes('client_disconnect')), {
      timeout: 30_000,
    })
  })
})

/** One transparent pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='
