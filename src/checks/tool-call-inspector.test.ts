import { describe, expect, it } from 'vitest'
import { agentOwner, humanOwner, UNRESOLVED } from '../core/owner.ts'
import type { ToolCall } from '../core/wire.ts'
import { callOf, exchangeOf, TestContext } from './testing.ts'
import { ToolCallInspectorCheck, type ToolCallInspectorOptions } from './tool-call-inspector.ts'

const registry = {
  get_weather: { riskTier: 'low', irreversible: false },
  plain: {},
  update_note: { riskTier: 'medium', irreversible: true },
  send_mail: { riskTier: 'high', irreversible: false },
  refund: { riskTier: 'high', irreversible: true, dryrunSupported: true, audience: 'https://pay.example' },
  wipe: { riskTier: 'critical', irreversible: true },
  'upstream:web_search': { riskTier: 'low' },
  'upstream:mcp:files': { riskTier: 'high', irreversible: true },
  'upstream:code_interpreter': { riskTier: 'critical' },
} as const

const x = exchangeOf()

function commit(name: string, options: ToolCallInspectorOptions = {}, call: Partial<ToolCall> = {}, exchange = x) {
  const check = new ToolCallInspectorCheck({ registry, ...options })
  const verdict = check.commit(callOf(name, call), exchange, new TestContext(check))
  return verdict.kind === 'allow' ? 'allow' : `${verdict.kind} ${verdict.because.code}`
}

describe('tool_call_inspector on calls', () => {
  it.each<[string, ToolCallInspectorOptions, string]>([
    ['get_weather', {}, 'allow'],
    ['plain', {}, 'allow'],
    ['update_note', {}, 'allow'],
    ['update_note', { escalateAtTier: 'medium' }, 'escalate tool_irreversible'],
    ['send_mail', {}, 'allow'],
    ['send_mail', { maxAllowedTier: 'medium' }, 'block tool_tier'],
    ['refund', {}, 'escalate tool_irreversible'],
    ['refund', { maxAllowedTier: 'medium' }, 'block tool_tier'],
    ['refund', { escalateAtTier: 'critical' }, 'allow'],
    ['wipe', {}, 'block tool_critical'],
    ['wipe', { allowCritical: true }, 'block tool_tier'],
    ['wipe', { maxAllowedTier: 'critical' }, 'block tool_critical'],
    ['wipe', { allowCritical: true, maxAllowedTier: 'critical' }, 'escalate tool_irreversible'],
    ['transfer', {}, 'block tool_unregistered'],
    ['transfer', { allowUnregistered: true }, 'allow'],
    ['Get_Weather', {}, 'block tool_unregistered'],
    ['get_weather ', {}, 'block tool_unregistered'],
    ['get_we\u0430ther', {}, 'block tool_unregistered'],
    ['', {}, 'block tool_unregistered'],
    ['__proto__', {}, 'block tool_unregistered'],
    ['constructor', {}, 'block tool_unregistered'],
    ['toString', {}, 'block tool_unregistered'],
    ['hasOwnProperty', {}, 'block tool_unregistered'],
  ])('%s with %j: %s', (name, options, expected) => {
    expect(commit(name, options)).toBe(expected)
  })

  it('refuses everything without a registry', () => {
    const check = new ToolCallInspectorCheck()
    expect(check.commit(callOf('get_weather'), x, new TestContext(check))).toMatchObject({
      kind: 'block',
      because: { reason: "tool 'get_weather' not in registry", details: { hint: expect.any(String) } },
    })
  })

  it('refuses arguments that can be read in two ways', () => {
    const ambiguous = { argumentsText: '{"to":"a","to":"b"}', arguments: undefined }
    expect(commit('get_weather', {}, ambiguous)).toBe('block arguments_ambiguous')
    expect(commit('transfer', { allowUnregistered: true }, ambiguous)).toBe('block arguments_ambiguous')
    expect(commit('get_weather', {}, { ...ambiguous, form: 'text' })).toBe('allow')
    expect(commit('get_weather', {}, { argumentsText: 'null', arguments: null })).toBe('allow')
  })

  it('never names the owner as the approver of its own call', () => {
    const check = new ToolCallInspectorCheck({ registry: { refund: { riskTier: 'high', irreversible: true } } })
    const owner = humanOwner('alice', { authenticatedBy: 'asserted' })
    expect(owner.approvalChain).toEqual(['human:alice'])
    expect(check.commit(callOf('refund'), exchangeOf({ owner }), new TestContext(check))).toMatchObject({
      because: { details: { requires_approval_from: [], current_approver: null } },
    })
  })

  it('says who may approve an irreversible call', () => {
    const check = new ToolCallInspectorCheck({ registry })
    const owner = agentOwner('bot', { authenticatedBy: 'jwt', approvalChain: ['human:alice', 'human:bob'] })
    expect(check.commit(callOf('refund'), exchangeOf({ owner }), new TestContext(check))).toEqual({
      kind: 'escalate',
      because: {
        code: 'tool_irreversible',
        reason: "tool 'refund' is irreversible (tier high) and needs a human's approval",
        details: {
          tool: 'refund',
          tier: 'high',
          irreversible: true,
          dryrun_supported: true,
          requires_approval_from: ['human:alice', 'human:bob'],
          current_approver: 'human:alice',
        },
      },
    })
    const nobody = exchangeOf({ owner: UNRESOLVED })
    expect(check.commit(callOf('refund'), nobody, new TestContext(check))).toMatchObject({
      because: { details: { requires_approval_from: [], current_approver: null } },
    })
  })

  it('repeats hostile names only escaped and bounded', () => {
    const check = new ToolCallInspectorCheck()
    const verdict = check.commit(callOf(`a\n\u202e${'x'.repeat(9_000)}`), x, new TestContext(check))
    const text = JSON.stringify(verdict)
    expect(text.length).toBeLessThan(500)
    expect(text).not.toContain('\u202e')
  })
})

describe('tool_call_inspector on tools that upstream runs', () => {
  const admit = (upstreamTools: readonly string[], options: ToolCallInspectorOptions = {}) => {
    const verdict = new ToolCallInspectorCheck({ registry, ...options }).admit(
      exchangeOf({ request: { upstreamTools } }),
    )
    return verdict.kind === 'allow' ? 'allow' : `${verdict.kind} ${verdict.because.code}`
  }

  it.each<[readonly string[], ToolCallInspectorOptions, string]>([
    [[], {}, 'allow'],
    [['upstream:web_search'], {}, 'allow'],
    [['upstream:mcp:files'], {}, 'escalate tool_irreversible'],
    [['upstream:code_interpreter'], {}, 'block tool_critical'],
    [['upstream:web_search'], { registry: {} }, 'block upstream_tool'],
    [['upstream:mcp:other'], {}, 'block upstream_tool'],
    [['upstream:mcp'], {}, 'block upstream_tool'],
    [['upstream:mcp:files:more'], {}, 'block upstream_tool'],
    [['upstream:computer_use'], { allowUnregistered: true }, 'block upstream_tool'],
    [['upstream:mcp:files', 'upstream:nope'], {}, 'block upstream_tool'],
    [['upstream:nope', 'upstream:mcp:files'], {}, 'block upstream_tool'],
    [['upstream:mcp:files', 'upstream:web_search'], {}, 'escalate tool_irreversible'],
    [['upstream:web_search', 'upstream:mcp:files'], {}, 'escalate tool_irreversible'],
  ])('%j with %j: %s', (tools, options, expected) => {
    expect(admit(tools, options)).toBe(expected)
  })
})

describe('the registry', () => {
  it('is there for others to read', () => {
    const { registry: read } = new ToolCallInspectorCheck({ registry })
    expect(read.get('refund')).toEqual({
      riskTier: 'high',
      irreversible: true,
      dryrunSupported: true,
      audience: 'https://pay.example',
      assurance: 'durable',
    })
    expect(read.get('plain')).toEqual({
      riskTier: 'low',
      irreversible: false,
      dryrunSupported: false,
      audience: undefined,
      assurance: 'durable',
    })
  })

  it('cannot be changed through the object it was made from', () => {
    const given: Record<string, { riskTier: 'low' | 'critical' }> = { wipe: { riskTier: 'critical' } }
    const check = new ToolCallInspectorCheck({ registry: given })
    given['wipe'] = { riskTier: 'low' }
    given['new'] = { riskTier: 'low' }
    expect(check.commit(callOf('wipe'), x, new TestContext(check))).toMatchObject({
      because: { code: 'tool_critical' },
    })
    expect(check.registry.has('new')).toBe(false)
  })

  it('knows whether anything in it can wait for a human', () => {
    expect(new ToolCallInspectorCheck({ registry }).canEscalate).toBe(true)
    expect(new ToolCallInspectorCheck({ registry, maxAllowedTier: 'medium' }).canEscalate).toBe(false)
    expect(new ToolCallInspectorCheck().canEscalate).toBe(false)
  })
})
