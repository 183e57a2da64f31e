import { describe, expect, it } from 'vitest'
import { ClassificationGateCheck } from '../checks/classification-gate.ts'
import { LoopbackTrustCheck } from '../checks/loopback-trust.ts'
import { OwnerResolutionCheck } from '../checks/owner-resolution.ts'
import { RateLimitCheck } from '../checks/rate-limit.ts'
import { ScopeDriftCheck } from '../checks/scope-drift.ts'
import { ToolCallInspectorCheck } from '../checks/tool-call-inspector.ts'
import type { Check } from '../core/check.ts'
import { ALLOW } from '../core/verdict.ts'
import { lintChecks } from './lint-rules.ts'

const injection: Check = {
  name: 'prompt_injection',
  priority: 40,
  timeLimitMs: 100,
  describe: () => ({ name: 'prompt_injection' }),
  admit: () => ALLOW,
}
const sound: readonly Check[] = [
  new OwnerResolutionCheck(),
  new RateLimitCheck(),
  new ClassificationGateCheck(),
  new ScopeDriftCheck(),
  injection,
  new ToolCallInspectorCheck(),
]

const codes = (checks: readonly Check[], shadow = false) =>
  lintChecks(checks, shadow).map(({ code, level }) => `${code} ${level}`)
const without = (name: string) => sound.filter(check => check.name !== name)
const instead = (check: Check) => [...without(check.name), check]

describe('lint', () => {
  it('finds nothing in a sound pipeline', () => {
    expect(lintChecks(sound, false)).toEqual([])
  })

  it.each<[string, readonly Check[], boolean, readonly string[]]>([
    ['rate limit behind the scans', instead(new RateLimitCheck({ priority: 90 })), false, ['SIG001 warning']],
    ['no owner resolution', without('owner_resolution'), false, ['SIG002 error']],
    [
      'unregistered tools allowed',
      instead(new ToolCallInspectorCheck({ allowUnregistered: true })),
      false,
      ['SIG003 warning'],
    ],
    ['no scope drift', without('scope_drift'), false, ['SIG004 warning']],
    ['no prompt injection', without('prompt_injection'), false, ['SIG005 warning']],
    ['no tool inspector', without('tool_call_inspector'), false, ['SIG006 warning']],
    ['loopback trusted', [...sound, new LoopbackTrustCheck()], false, ['SIG007 warning']],
    ['shadow for all', sound, true, ['SIG008 warning']],
    ['shadow for one', instead(new ScopeDriftCheck({ shadow: true })), false, ['SIG008 warning']],
    ['no rate limit', without('rate_limit'), false, ['SIG009 warning']],
    ['owner not required', instead(new OwnerResolutionCheck({ requireOwner: false })), false, ['SIG010 warning']],
    ['critical tools allowed', instead(new ToolCallInspectorCheck({ allowCritical: true })), false, ['SIG011 warning']],
  ])('%s', (_name, checks, shadow, expected) => {
    expect(codes(checks, shadow)).toEqual(expected)
  })
})
