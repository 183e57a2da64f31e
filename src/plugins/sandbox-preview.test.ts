import { describe, expect, it } from 'vitest'
import type { Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Verdict } from '../core/verdict.ts'
import type { ToolCall } from '../core/wire.ts'
import { FLAG_WORDS, SandboxPreviewCheck, type SandboxPreviewOptions, type SandboxResult } from './sandbox-preview.ts'

const registry = { send: { dryrunSupported: true }, wipe: { dryrunSupported: false }, plain: {} }
const harmless: SandboxResult = { ok: true, summary: 'would send one message' }
const ctx = { signal: new AbortController().signal } as Ctx
const x = {} as Exchange

function call(over: Partial<ToolCall> = {}): ToolCall {
  return {
    key: 'k',
    choice: 0,
    id: 'c',
    name: 'send',
    argumentsText: '{"n":1}',
    arguments: { n: 1 },
    form: 'json',
    ...over,
  }
}

function check(options: Partial<SandboxPreviewOptions> = {}): SandboxPreviewCheck {
  return new SandboxPreviewCheck({ runner: () => harmless, registry, ...options })
}

async function decide(options: Partial<SandboxPreviewOptions>, over: Partial<ToolCall> = {}): Promise<Verdict> {
  return check(options).commit(call(over), x, ctx)
}

describe('sandbox preview', () => {
  it('lets a call pass whose preview is harmless', async () => {
    const runs: unknown[] = []
    const runner = async (tool: string, args: unknown) => {
      runs.push([tool, args])
      return harmless
    }
    expect(await decide({ runner })).toEqual({ kind: 'allow' })
    expect(runs).toEqual([['send', { n: 1 }]])
  })

  it('escalates what the policy flags, with the beginning of the summary', async () => {
    const summary = `would delete ${'x'.repeat(200)}`
    const verdict = await decide({ runner: () => ({ ok: true, summary }) })
    expect(verdict).toMatchObject({ kind: 'escalate', because: { code: 'preview_flagged', details: { tool: 'send' } } })
    if (verdict.kind === 'escalate') expect(verdict.because.details?.['summary']).toHaveLength(80)
  })

  it.each(FLAG_WORDS)('the default policy flags the word %s, in any case, width or place', async word => {
    const wide = [...word].map(char => String.fromCodePoint(char.charCodeAt(0) + 0xfee0)).join('')
    for (const said of [word, word.toUpperCase(), wide, `un${word}ed`]) {
      expect(await decide({ runner: () => ({ ok: true, summary: `this ${said} it` }) })).toMatchObject({
        kind: 'escalate',
      })
      expect(await decide({ runner: () => ({ ...harmless, details: { effect: said } }) })).toMatchObject({
        kind: 'escalate',
      })
      expect(await decide({ runner: () => ({ ...harmless, details: { [said]: 1 } }) })).toMatchObject({
        kind: 'escalate',
      })
    }
  })

  it('the default policy escalates a run that was not ok', async () => {
    expect(await decide({ runner: () => ({ ...harmless, ok: false }) })).toMatchObject({ kind: 'escalate' })
  })

  it('writes controls in a summary out, so that they cannot steer the terminal of whoever decides', async () => {
    const verdict = await decide({ runner: () => ({ ok: false, summary: '\u001b[2Jfine\u202e\r\n' }) })
    if (verdict.kind !== 'escalate') return expect.unreachable()
    expect(verdict.because.reason).toBe('sandbox preview flagged: \\x1b[2Jfine\\u202e\\x0d\\x0a')
  })

  it('previews only the tools it is told to, all when it is told of none', async () => {
    const runner = () => {
      throw new Error('must not run')
    }
    expect(await decide({ runner, onlyForTools: ['other'] })).toEqual({ kind: 'allow' })
    expect(await decide({ runner, onlyForTools: [] })).toMatchObject({ kind: 'block' })
    expect(await decide({ runner, onlyForTools: ['send'] })).toMatchObject({ kind: 'block' })
  })

  it.each(['wipe', 'plain', 'unknown', 'constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'escalates tool %s unrun: the registry does not say that it has a dry run',
    async name => {
      const runner = () => {
        throw new Error('must not run')
      }
      const verdict = await decide({ runner }, { name })
      expect(verdict).toMatchObject({ kind: 'escalate', because: { code: 'preview_unsupported' } })
    },
  )

  it('the registry is the only source: a registry whose prototype says so, or a truthy word, does not count', async () => {
    const inherited = Object.create({ send: { dryrunSupported: true } })
    expect(await decide({ registry: inherited })).toMatchObject({ because: { code: 'preview_unsupported' } })
    const word = { send: { dryrunSupported: 'false' as never } }
    expect(await decide({ registry: word })).toMatchObject({ because: { code: 'preview_unsupported' } })
    expect(await decide({ registry: {}, requireDryrunSupported: false })).toEqual({ kind: 'allow' })
  })

  it.each<[string, Partial<SandboxPreviewOptions>]>([
    [
      'a runner that throws',
      {
        runner: () => {
          throw new Error('SECRET')
        },
      },
    ],
    ['a runner that rejects', { runner: () => Promise.reject('SECRET') }],
    [
      'a policy that throws',
      {
        policy: () => {
          throw new Error('SECRET')
        },
      },
    ],
    ['a policy that answers a word', { policy: () => 'true' as never }],
    ['a policy that answers nothing', { policy: () => undefined as never }],
    ['no result', { runner: () => undefined as never }],
    ['a result of the wrong shape', { runner: () => ({ ok: 'yes', summary: '' }) as never }],
    ['a result without summary', { runner: () => ({ ok: true }) as never }],
    ['details that are a list', { runner: () => ({ ...harmless, details: [] }) as never }],
    ['details that nest', { runner: () => ({ ...harmless, details: { a: { b: 1 } } }) as never }],
    [
      'a result whose getter throws',
      {
        runner: () => ({
          get ok(): boolean {
            throw new Error('SECRET')
          },
          summary: '',
        }),
      },
    ],
    [
      'a Proxy that throws',
      {
        runner: () =>
          new Proxy(harmless, {
            get: () => {
              throw new Error('SECRET')
            },
          }),
      },
    ],
    ['a runner that never ends', { runner: () => new Promise<never>(() => {}), timeLimitMs: 5 }],
    ['a policy that never ends', { policy: () => new Promise<never>(() => {}), timeLimitMs: 5 }],
  ])('%s blocks, and nothing it said is repeated', async (_, options) => {
    const verdict = await decide(options)
    expect(verdict).toMatchObject({ kind: 'block', because: { code: 'preview_failed' } })
    expect(JSON.stringify(verdict)).not.toContain('SECRET')
  })

  it('a runner that takes too long is told to stop', async () => {
    let stopped: AbortSignal | undefined
    const runner: SandboxPreviewOptions['runner'] = (_tool, _args, { signal }) => {
      stopped = signal
      return new Promise<never>(() => {})
    }
    await decide({ runner, timeLimitMs: 5 })
    expect(stopped?.aborted).toBe(true)
  })

  it('a runner cannot change the call by changing its arguments', async () => {
    const proposed = call({ arguments: { to: { name: 'bob' } } })
    const runner: SandboxPreviewOptions['runner'] = (_tool, args) => {
      Object.assign((args as { to: object }).to, { name: 'mallory' })
      return harmless
    }
    await check({ runner }).commit(proposed, x, ctx)
    expect(proposed.arguments).toEqual({ to: { name: 'bob' } })
  })

  it('a policy decides on what is reported: a result that changes as it is read is read once', async () => {
    let reads = 0
    const shifty = {
      ok: true,
      get summary() {
        return reads++ === 0 ? 'would delete all' : 'fine'
      },
    }
    expect(await decide({ runner: () => shifty })).toMatchObject({ kind: 'escalate' })
    expect(reads).toBe(1)
  })

  it('blocks arguments that are not I-JSON and gives a free-form tool its text', async () => {
    expect(await decide({}, { arguments: undefined })).toMatchObject({ because: { code: 'arguments_ambiguous' } })
    let given: unknown
    const runner: SandboxPreviewOptions['runner'] = (_tool, args) => {
      given = args
      return harmless
    }
    expect(await decide({ runner }, { form: 'text', argumentsText: 'ls', arguments: undefined })).toEqual({
      kind: 'allow',
    })
    expect(given).toBe('ls')
  })

  it('describes itself as plain JSON', () => {
    const described = check({ onlyForTools: ['send'] }).describe()
    expect(JSON.parse(JSON.stringify(described))).toEqual({
      name: 'sandbox_preview',
      stages: ['commitment'],
      options: {
        only_for_tools: ['send'],
        require_dryrun_supported: true,
        dryrun_tools: ['send'],
        registered_tools: 3,
        policy: 'default',
        time_limit_ms: 10_000,
      },
    })
  })

  it('refuses settings that cannot work', () => {
    expect(() => check({ runner: 'x' as never })).toThrow('runner')
    expect(() => check({ policy: 1 as never })).toThrow('policy')
    for (const timeLimitMs of [0, -1, 1.5, Number.NaN, 1e9]) expect(() => check({ timeLimitMs })).toThrow('timeLimitMs')
  })
})
