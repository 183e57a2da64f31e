/** What `signet lint` finds in a pipeline. Rules read the checks' own descriptions and never run a hook. */
import type { Check } from '../core/check.ts'

export interface Finding {
  readonly code: string
  readonly level: 'error' | 'warning'
  readonly check?: string
  readonly message: string
}

/** Checks that read whole texts: what a flood must not reach before it is counted. */
const COSTLY = new Set(['prompt_injection', 'regex_content', 'tribunal', 'sandbox_preview'])

export function lintChecks(checks: readonly Check[], shadow: boolean): readonly Finding[] {
  const findings: Finding[] = []
  const seen = new Map<string, Described>()
  for (const check of checks) seen.set(check.name, described(check))
  const add = (code: string, level: Finding['level'], message: string, check?: string): void => {
    findings.push({ code, level, message, ...(check === undefined ? {} : { check }) })
  }

  const rate = seen.get('rate_limit')
  if (rate === undefined)
    add('SIG009', 'warning', 'no rate limit: one caller can use up the model for all; add RateLimitCheck')
  for (const [name, { priority }] of seen) {
    if (rate !== undefined && COSTLY.has(name) && priority < rate.priority) {
      add(
        'SIG001',
        'warning',
        `the rate limit runs after ${name}, so a flood is scanned before it is counted; give it a lower priority`,
        'rate_limit',
      )
    }
  }

  const owner = seen.get('owner_resolution')
  if (owner === undefined) {
    add('SIG002', 'error', 'no owner resolution: exchanges without an accountable owner pass; add OwnerResolutionCheck')
  } else if (owner.options['requireOwner'] === false) {
    add(
      'SIG010',
      'warning',
      'an owner is not required: unnamed callers all become policy:unattributed; remove requireOwner: false',
      'owner_resolution',
    )
  }
  if (seen.has('loopback_trust')) {
    add(
      'SIG007',
      'warning',
      'loopback trust names an owner for everybody who comes through a proxy on this machine; use it without one only',
      'loopback_trust',
    )
  }

  if (seen.has('classification_gate') && !seen.has('scope_drift')) {
    add(
      'SIG004',
      'warning',
      'requests are classified but answers are not watched for markers above the level; add ScopeDriftCheck',
      'classification_gate',
    )
  }
  if (!seen.has('prompt_injection')) add('SIG005', 'warning', 'no prompt-injection check: add PromptInjectionCheck')

  const tools = seen.get('tool_call_inspector')
  if (tools === undefined) {
    add(
      'SIG006',
      'warning',
      'no tool inspector: every tool call the model proposes is delivered; add ToolCallInspectorCheck',
    )
  } else if (tools.options['allowUnregistered'] === true) {
    add(
      'SIG003',
      'warning',
      'tools that are not registered are allowed; register them and remove allowUnregistered',
      'tool_call_inspector',
    )
  }
  if (tools?.options['allowCritical'] === true) {
    add(
      'SIG011',
      'warning',
      'critical tools are allowed; see that a human stands behind each of them',
      'tool_call_inspector',
    )
  }

  if (shadow) add('SIG008', 'warning', 'shadow is on: nothing is enforced')
  for (const check of checks) {
    if (check.shadow === true)
      add('SIG008', 'warning', 'this check is in shadow: it records and does not enforce', check.name)
  }
  return findings.sort((a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0))
}

interface Described {
  readonly priority: number
  readonly options: Readonly<Record<string, unknown>>
}

function described(check: Check): Described {
  const { options } = check.describe()
  const plain = typeof options === 'object' && options !== null && !Array.isArray(options)
  return { priority: check.priority, options: plain ? (options as Readonly<Record<string, unknown>>) : {} }
}
