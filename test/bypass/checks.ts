/** The checks that the answers of this folder meet. */
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ScopeDriftCheck } from '../../src/checks/scope-drift.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import type { Check, Ctx } from '../../src/core/check.ts'
import type { Exchange } from '../../src/core/exchange.ts'
import type { Verdict } from '../../src/core/verdict.ts'
import type { ToolCall } from '../../src/core/wire.ts'
import { DEMO_REGISTRY } from '../support/gate.ts'
import { FORBIDDEN } from './surface.ts'

const FIXED = new Set(['local_shell', 'shell', 'apply_patch', 'computer', 'tool_search'])

/** Tools of the API's own have one name each: what such a call is asked to do names it here. */
class Inspector extends ToolCallInspectorCheck {
  override commit(call: ToolCall, x: Exchange, ctx: Ctx): Verdict {
    const server = /^upstream:mcp:(.*)$/s.exec(call.name)?.[1]
    return super.commit({ ...call, name: server ?? (FIXED.has(call.name) ? meant(call) : call.name) }, x, ctx)
  }
}

function meant({ argumentsText }: ToolCall): string {
  if (argumentsText.includes('sda-array')) return 'format_disk'
  return argumentsText.includes('acct-50000') ? 'issue_refund' : 'get_weather'
}

export const checks = (): Check[] => [
  new OwnerResolutionCheck(),
  new RegexOutputCheck({
    patterns: [
      { pattern: FORBIDDEN, action: 'block', label: 'codename' },
      { pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact', label: 'key' },
    ],
  }),
  new ScopeDriftCheck(),
  new Inspector({ registry: DEMO_REGISTRY }),
]
