/**
 * `tool_call_inspector`: which tools may fire, by risk tier, and with which arguments.
 *
 * Every complete call the model proposes is judged by the registry, whatever surface it came on; a tool that is not in
 * it does not run. Tools that upstream itself would run (web search, remote MCP servers) fire before anybody could
 * judge a call, so declaring one is judged at admission, under the name `upstream:<type>[:<server>]`.
 * Names match exactly, case included. What the arguments may say is in `arguments/`; how often a tool may be called is for
 * `call_limits`.
 */
import type { ApproverAuths, Assurances, Audiences, Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import { ASSURANCES, type Assurance } from '../core/row.ts'
import { ALLOW, block, type Code, type Details, escalate, type Verdict, worse } from '../core/verdict.ts'
import type { ToolCall } from '../core/wire.ts'
import {
  type Approvers,
  type ArgumentOptions,
  type ArgumentPolicy,
  canEscalate,
  describeArguments,
  judgeArguments,
  readArgumentPolicy,
} from './arguments/policy.ts'
import { CheckOptions, type Common, type CommonOptions, description, printable } from './options.ts'

const TIERS = ['low', 'medium', 'high', 'critical'] as const
export type RiskTier = (typeof TIERS)[number]

export interface ToolSpec {
  /** Default `low`. */
  readonly riskTier?: RiskTier
  /** Cannot be undone. At or above `escalateAtTier` a human must approve it. Default false. */
  readonly irreversible?: boolean
  /** The executor can be asked what the call would do. Default false. */
  readonly dryrunSupported?: boolean
  /** Who may use a capability for this tool (`aud`). Without it none is issued. */
  readonly audience?: string
  /**
   * How sure the row of an approved call must be before the call leaves: `durable` (default), `logged` (under a signed
   * checkpoint of the transparency log) or `witnessed` (one that enough witnesses have cosigned).
   */
  readonly assurance?: Assurance
  /** How whoever approves a call must have shown who they are: `any` (default), or `passkey`: with a signature over it. */
  readonly approverAuth?: 'any' | 'passkey'
  /** What its arguments may say. Default: anything that has one reading. */
  readonly arguments?: ArgumentOptions
}

export interface RegisteredTool {
  readonly riskTier: RiskTier
  readonly irreversible: boolean
  readonly dryrunSupported: boolean
  readonly audience: string | undefined
  readonly assurance: Assurance
  /** Absent: `any`. */
  readonly approverAuth?: 'passkey'
  /** Absent: anything that has one reading. */
  readonly arguments?: ArgumentPolicy
}

export interface ToolCallInspectorOptions extends CommonOptions {
  /** Tool name to specification. */
  readonly registry?: Readonly<Record<string, ToolSpec>>
  /** The highest tier that may run at all. Default `high`. */
  readonly maxAllowedTier?: RiskTier
  /** Irreversible tools of this tier or above wait for a human. Default `high`. */
  readonly escalateAtTier?: RiskTier
  /** Tools of this tier or above are approved with a passkey only. Default `never`. */
  readonly passkeyAtTier?: RiskTier | 'never'
  /** Critical tools are refused unless this is set, even when `maxAllowedTier` is `critical`. Default false. */
  readonly allowCritical?: boolean
  /** Let calls of unknown tools through. Never extends to tools that upstream runs. Default false. */
  readonly allowUnregistered?: boolean
}

const SPEC_FIELDS = [
  'riskTier',
  'irreversible',
  'dryrunSupported',
  'audience',
  'assurance',
  'approverAuth',
  'arguments',
]
/** Prefix of the registry names of tools that upstream runs. */
const UPSTREAM = 'upstream:'

export class ToolCallInspectorCheck implements Check {
  readonly name = 'tool_call_inspector'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  /** The registry as read, for whoever issues capabilities or previews a call. */
  readonly registry: ReadonlyMap<string, RegisteredTool>
  readonly assurance: Assurances
  readonly audience: Audiences
  readonly approverAuth: ApproverAuths
  readonly #common: Common
  readonly #maxAllowedTier: RiskTier
  readonly #escalateAtTier: RiskTier
  readonly #passkeyAtTier: RiskTier | 'never'
  readonly #allowCritical: boolean
  readonly #allowUnregistered: boolean

  constructor(options: ToolCallInspectorOptions = {}) {
    const read = new CheckOptions(this.name, options, [
      'registry',
      'maxAllowedTier',
      'escalateAtTier',
      'passkeyAtTier',
      'allowCritical',
      'allowUnregistered',
    ])
    this.#common = read.common(50)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#maxAllowedTier = read.choice('maxAllowedTier', 'high', TIERS)
    this.#escalateAtTier = read.choice('escalateAtTier', 'high', TIERS)
    this.#passkeyAtTier = read.choice('passkeyAtTier', 'never', [...TIERS, 'never'])
    this.#allowCritical = read.flag('allowCritical', false)
    this.#allowUnregistered = read.flag('allowUnregistered', false)
    const registry = readRegistry(read)
    this.registry = registry
    let highest: Assurance = 'durable'
    for (const { assurance } of registry.values()) if (levelOf(assurance) > levelOf(highest)) highest = assurance
    this.audience = {
      any: [...registry.values()].some(spec => spec.audience !== undefined),
      of: tool => registry.get(tool)?.audience,
    }
    const auth = (spec: RegisteredTool | undefined): 'passkey' | undefined => {
      if (spec === undefined || this.#passkeyAtTier === 'never') return spec?.approverAuth
      return rank(spec.riskTier) >= rank(this.#passkeyAtTier) ? 'passkey' : spec.approverAuth
    }
    this.approverAuth = {
      any: [...registry.values()].some(spec => auth(spec) === 'passkey'),
      of: tool => auth(registry.get(tool)),
    }
    this.assurance = { highest, of: tool => registry.get(tool)?.assurance ?? 'durable' }
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission', 'commitment'], this.#common, {
      registry: [...this.registry]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([tool, { arguments: policy, ...spec }]) => ({
          tool,
          ...spec,
          audience: spec.audience ?? null,
          ...(policy === undefined ? {} : { arguments: describeArguments(policy) }),
        })),
      maxAllowedTier: this.#maxAllowedTier,
      escalateAtTier: this.#escalateAtTier,
      // Said where it is set: policies without it keep the digest they had.
      ...(this.#passkeyAtTier === 'never' ? {} : { passkeyAtTier: this.#passkeyAtTier }),
      allowCritical: this.#allowCritical,
      allowUnregistered: this.#allowUnregistered,
    })
  }

  /** Can this check ever escalate? A pipeline that can needs an approver at start. */
  get canEscalate(): boolean {
    for (const spec of this.registry.values()) {
      const { kind } = this.#judge('', spec, undefined)
      if (kind === 'escalate' || (kind === 'allow' && canEscalate(spec.arguments))) return true
    }
    return false
  }

  admit(x: Exchange): Verdict {
    let verdict: Verdict = ALLOW
    for (const tool of x.request.upstreamTools) {
      const spec = this.registry.get(tool)
      const one =
        spec === undefined
          ? block('upstream_tool', `upstream-run tool '${printable(tool)}' not in registry`, {
              tool: printable(tool),
              hint: `upstream runs this tool before its calls can be judged; register it as '${printable(tool)}' to allow it`,
            })
          : this.#judge(tool, spec, x)
      verdict = worse(verdict, one)
    }
    return verdict
  }

  commit(call: ToolCall, x: Exchange, _ctx: Ctx): Verdict {
    const spec = this.registry.get(call.name)
    if (spec === undefined && !this.#allowUnregistered) {
      return block('tool_unregistered', `tool '${printable(call.name)}' not in registry`, {
        tool: printable(call.name),
        hint: 'add the tool to the registry of tool_call_inspector with its risk tier',
      })
    }
    // RFC 7493: arguments that two parsers can read differently are not the arguments that were judged.
    // Text for a free-form tool is no arguments that a policy could judge.
    const policy = spec?.arguments
    if (call.arguments === undefined && (call.form === 'json' || policy !== undefined)) {
      return block('arguments_ambiguous', `the arguments of tool '${printable(call.name)}' are not unambiguous JSON`, {
        tool: printable(call.name),
        problem: ambiguityOf(call),
        hint: 'expected I-JSON (RFC 7493): one value, no duplicate keys, no lone surrogates, finite numbers',
      })
    }
    if (spec === undefined) return ALLOW
    const byTier = this.#judge(call.name, spec, x)
    if (policy === undefined || byTier.kind === 'block') return byTier
    return worse(byTier, judgeArguments(policy, call, x.owner, approversOf(x)))
  }

  #judge(tool: string, spec: RegisteredTool, x: Exchange | undefined): Verdict {
    const { riskTier } = spec
    if (riskTier === 'critical' && !this.#allowCritical) {
      return refusal('tool_critical', tool, spec, 'critical tools are not allowed')
    }
    if (rank(riskTier) > rank(this.#maxAllowedTier)) {
      return refusal('tool_tier', tool, spec, `tier ${riskTier} is above ${this.#maxAllowedTier}`)
    }
    if (!spec.irreversible || rank(riskTier) < rank(this.#escalateAtTier)) return ALLOW
    return escalate(
      'tool_irreversible',
      `tool '${printable(tool)}' is irreversible (tier ${riskTier}) and needs a human's approval`,
      {
        ...facts(tool, spec),
        ...approversOf(x),
      },
    )
  }
}

/** Nobody approves a call of their own. */
function approversOf(x: Exchange | undefined): Approvers {
  const self = x === undefined ? undefined : ownerString(x.owner)
  const others = (x?.owner.approvalChain ?? []).filter(principal => principal !== self)
  return { requires_approval_from: others, current_approver: others[0] ?? null }
}

/** Why there is no one reading of the arguments, as far as it can be said in a word. */
function ambiguityOf(call: ToolCall): string {
  if (call.form === 'text') return 'not_json'
  let value: unknown
  try {
    value = JSON.parse(call.argumentsText)
  } catch {
    return 'not_json'
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? 'more_than_one_reading' : 'not_an_object'
}

function refusal(code: Code, tool: string, spec: RegisteredTool, why: string): Verdict {
  return block(code, `tool '${printable(tool)}' refused: ${why}`, facts(tool, spec))
}

function facts(tool: string, spec: RegisteredTool): Details {
  return {
    tool: printable(tool),
    tier: spec.riskTier,
    irreversible: spec.irreversible,
    dryrun_supported: spec.dryrunSupported,
  }
}

function levelOf(assurance: Assurance): number {
  return ASSURANCES.indexOf(assurance)
}

function rank(tier: RiskTier): number {
  return TIERS.indexOf(tier)
}

/** A map: tools named `constructor` or `__proto__` are registered only if somebody registered them. */
function readRegistry(read: CheckOptions): ReadonlyMap<string, RegisteredTool> {
  const given = read.raw('registry') ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw read.wrong(
      'registry',
      "an object of tool name to specification, e.g. { get_weather: { riskTier: 'low' } }",
      given,
    )
  }
  const registry = new Map<string, RegisteredTool>()
  for (const [tool, spec] of Object.entries<unknown>({ ...given })) {
    const at = `registry[${JSON.stringify(tool)}]`
    if (tool === '' || tool === UPSTREAM) throw read.wrong(at, 'the name of a tool', tool)
    if (spec === null || typeof spec !== 'object' || Array.isArray(spec)) {
      throw read.wrong(at, "a specification, e.g. { riskTier: 'low', irreversible: false }", spec)
    }
    const entry = readSpec(read, at, { ...spec })
    if (tool.startsWith(UPSTREAM) && entry.arguments !== undefined) {
      throw read.wrong(
        `${at}.arguments`,
        'left out: upstream runs the tool, and may do so before its arguments are seen here',
        spec,
      )
    }
    registry.set(tool, entry)
  }
  return registry
}

function readSpec(read: CheckOptions, at: string, spec: Readonly<Record<string, unknown>>): RegisteredTool {
  for (const field of Object.keys(spec)) {
    if (!SPEC_FIELDS.includes(field)) throw read.wrong(at, `made of ${SPEC_FIELDS.join(', ')} only`, field)
  }
  const {
    riskTier = 'low',
    irreversible = false,
    dryrunSupported = false,
    audience,
    assurance = 'durable',
    approverAuth = 'any',
  } = spec
  const policy = readArgumentPolicy(read, `${at}.arguments`, spec['arguments'])
  const tier = TIERS.find(known => known === riskTier)
  if (tier === undefined) throw read.wrong(`${at}.riskTier`, `one of ${TIERS.map(t => `'${t}'`).join(', ')}`, riskTier)
  if (typeof irreversible !== 'boolean') throw read.wrong(`${at}.irreversible`, 'true or false', irreversible)
  if (typeof dryrunSupported !== 'boolean') throw read.wrong(`${at}.dryrunSupported`, 'true or false', dryrunSupported)
  if (audience !== undefined && (typeof audience !== 'string' || audience === '')) {
    throw read.wrong(`${at}.audience`, "a non-empty string, e.g. 'https://tools.example.com'", audience)
  }
  const level = ASSURANCES.find(known => known === assurance)
  if (level === undefined) {
    throw read.wrong(`${at}.assurance`, `one of ${ASSURANCES.map(a => `'${a}'`).join(', ')}`, assurance)
  }
  if (approverAuth !== 'any' && approverAuth !== 'passkey') {
    throw read.wrong(`${at}.approverAuth`, "'any' or 'passkey'", approverAuth)
  }
  return Object.freeze({
    riskTier: tier,
    irreversible,
    dryrunSupported,
    audience,
    assurance: level,
    ...(approverAuth === 'passkey' ? { approverAuth } : {}),
    ...(policy === undefined ? {} : { arguments: policy }),
  })
}
