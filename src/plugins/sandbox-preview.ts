/**
 * Preview before commit: an irreversible call first runs in a sandbox that you supply, and fires only if the simulated
 * effect passes the policy.
 *
 * Guarantees: a runner or policy that throws, is late, or answers anything but its declared shape blocks the call; the
 * runner gets a copy of the arguments. It does not guarantee that a preview shows what the real call will do: that is the
 * sandbox's business, and time passes between the two.
 */
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { ALLOW, block, escalate, type Verdict } from '../core/verdict.ts'
import type { ToolCall } from '../core/wire.ts'
import { plainText } from './plain-text.ts'

export interface SandboxResult {
  /** The simulated call succeeded. */
  readonly ok: boolean
  /** What it would do, in words. */
  readonly summary: string
  /** Facts for whoever decides; strings, numbers and booleans. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

export type SandboxRunner = (
  tool: string,
  args: unknown,
  context: { readonly signal: AbortSignal },
) => Promise<SandboxResult> | SandboxResult

export interface SandboxPreviewOptions {
  readonly runner: SandboxRunner
  /** True lets the call pass, false escalates it. Default: the run was ok and mentions no flag word. */
  readonly policy?: (result: SandboxResult) => boolean | Promise<boolean>
  /** Preview these tools only; others pass. Empty or absent: all. */
  readonly onlyForTools?: readonly string[]
  /** A tool that cannot be tried without effect is escalated, not run. Default true. */
  readonly requireDryrunSupported?: boolean
  /** The tool registry, and the only source of `dryrunSupported`. */
  readonly registry?: Readonly<Record<string, { readonly dryrunSupported?: boolean }>>
  /** Milliseconds for runner and policy together. Default 10000. */
  readonly timeLimitMs?: number
  readonly priority?: number
  readonly shadow?: boolean
}

/** In a summary or a detail, these words make the default policy ask a person. */
export const FLAG_WORDS: readonly string[] = ['destroy', 'delete', 'irreversible', 'payment', 'transfer']

const SHOWN = 80

export class SandboxPreviewCheck implements Check {
  readonly name = 'sandbox_preview'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #limitMs: number
  readonly #runner: SandboxRunner
  readonly #policy: (result: SandboxResult) => boolean | Promise<boolean>
  readonly #only: ReadonlySet<string>
  readonly #requireDryrun: boolean
  readonly #dryrun: ReadonlySet<string>
  readonly #registered: number

  constructor(options: SandboxPreviewOptions) {
    const { runner, policy = unflagged, timeLimitMs = 10_000, registry = {} } = options
    if (typeof runner !== 'function') throw new TypeError('sandbox_preview: `runner` must be a function')
    if (typeof policy !== 'function') throw new TypeError('sandbox_preview: `policy` must be a function')
    if (!Number.isSafeInteger(timeLimitMs) || timeLimitMs < 1 || timeLimitMs > 600_000)
      throw new RangeError('sandbox_preview: `timeLimitMs` must be 1 to 600000 milliseconds')
    this.priority = options.priority ?? 110
    this.#limitMs = timeLimitMs
    // Our own limit comes first: it gives `preview_failed` and stops the runner through its signal.
    this.timeLimitMs = timeLimitMs + 1000
    this.shadow = options.shadow ?? false
    this.#runner = runner
    this.#policy = policy
    this.#only = new Set(options.onlyForTools)
    this.#requireDryrun = options.requireDryrunSupported ?? true
    // Own entries only, read once: `constructor` or `__proto__` is a tool like any other, and not in the list.
    const entries = Object.entries(registry)
    this.#dryrun = new Set(entries.filter(([, spec]) => spec.dryrunSupported === true).map(([name]) => name))
    this.#registered = entries.length
  }

  describe(): Readonly<Record<string, unknown>> {
    return {
      name: this.name,
      stages: ['commitment'],
      options: {
        only_for_tools: [...this.#only].sort(),
        require_dryrun_supported: this.#requireDryrun,
        dryrun_tools: [...this.#dryrun].sort(),
        registered_tools: this.#registered,
        policy: this.#policy === unflagged ? 'default' : 'custom',
        time_limit_ms: this.#limitMs,
      },
    }
  }

  commit(call: ToolCall, _x: Exchange, ctx: Ctx): Verdict | Promise<Verdict> {
    if (this.#only.size > 0 && !this.#only.has(call.name)) return ALLOW
    const tool = plainText(call.name, 256)
    if (call.form === 'json' && call.arguments === undefined)
      return block('arguments_ambiguous', 'the arguments of the call are not I-JSON, so no preview can be of them', {
        tool,
      })
    if (this.#requireDryrun && !this.#dryrun.has(call.name))
      return escalate('preview_unsupported', `tool ${tool} does not support a dry run`, { tool })
    return this.#preview(call, tool, ctx)
  }

  async #preview(call: ToolCall, tool: string, ctx: Ctx): Promise<Verdict> {
    const stop = new AbortController()
    const signal = AbortSignal.any([ctx.signal, stop.signal])
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>(resolve => {
      timer = setTimeout(() => resolve('late'), this.#limitMs)
    })
    try {
      const ended = await Promise.race([this.#run(call, signal), late])
      if (ended === 'late')
        return block('preview_failed', `the sandbox preview took longer than ${this.#limitMs} ms`, {
          tool,
          cause: 'timeout',
        })
      if (typeof ended === 'string')
        return block('preview_failed', `sandbox preview failed: ${ended}`, { tool, cause: ended })
      if (ended.passed) return ALLOW
      const summary = plainText(ended.result.summary, SHOWN)
      return escalate('preview_flagged', `sandbox preview flagged: ${summary}`, { tool, summary, ok: ended.result.ok })
    } finally {
      clearTimeout(timer)
      stop.abort()
    }
  }

  /** What it resolves with as a string is the fault; what the runner threw is not repeated, it may quote the arguments. */
  async #run(
    call: ToolCall,
    signal: AbortSignal,
  ): Promise<string | { readonly passed: boolean; readonly result: SandboxResult }> {
    let given: unknown
    try {
      const args: unknown = call.form === 'text' ? call.argumentsText : structuredClone(call.arguments)
      given = await this.#runner(call.name, args, { signal })
    } catch {
      return 'the runner threw'
    }
    try {
      const result = readResult(given)
      if (result === undefined) return 'the runner answered something else than a result'
      const passed: unknown = await this.#policy(result)
      return typeof passed === 'boolean' ? { passed, result } : 'the policy answered something else than true or false'
    } catch {
      return 'the policy threw'
    }
  }
}

/** A copy of plain data: what the policy reads is what is reported, whatever the runner's object does afterwards. */
function readResult(value: unknown): SandboxResult | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { ok, summary, details }: { ok?: unknown; summary?: unknown; details?: unknown } = value
  if (typeof ok !== 'boolean' || typeof summary !== 'string') return undefined
  if (details === undefined) return { ok, summary }
  if (typeof details !== 'object' || details === null || Array.isArray(details)) return undefined
  const copy: Record<string, string | number | boolean> = Object.create(null)
  for (const [key, item] of Object.entries(details)) {
    if (typeof item !== 'string' && typeof item !== 'number' && typeof item !== 'boolean') return undefined
    copy[key] = item
  }
  return { ok, summary, details: copy }
}

function unflagged(result: SandboxResult): boolean {
  if (!result.ok) return false
  const said = [result.summary, ...Object.entries(result.details ?? {}).flat()]
  return !said.some(text => {
    const folded = String(text).normalize('NFKC').toLowerCase()
    return FLAG_WORDS.some(word => folded.includes(word))
  })
}
