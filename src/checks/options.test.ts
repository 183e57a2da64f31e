import { describe, expect, it } from 'vitest'
import {
  ClassificationGateCheck,
  ContinuingConsentCheck,
  LoopbackTrustCheck,
  OwnerResolutionCheck,
  RateLimitCheck,
  RegexContentCheck,
  RegexOutputCheck,
  ScopeDriftCheck,
  TokenBudgetCheck,
  ToolCallInspectorCheck,
} from './index.ts'
import { printable } from './options.ts'
import { PromptInjectionCheck } from './prompt-injection.ts'

/** Options as an untyped configuration file would give them. */
function made<O>(make: new (options: O) => object, options: unknown): () => object {
  return () => new make(options as O)
}

const patterns = [{ pattern: 'x' }]
const revalidate = () => true

describe('a wrong option is one line that names the setting, what came and what is expected', () => {
  it.each<[() => object, string]>([
    [
      made(OwnerResolutionCheck, { requireOwner: 'yes' }),
      "owner_resolution: requireOwner must be true or false, got 'yes'",
    ],
    [made(OwnerResolutionCheck, null), 'owner_resolution: expected an object of options, got null'],
    [
      made(LoopbackTrustCheck, { extraTrustedCidrs: ['10.0.0.0/33'] }),
      "extraTrustedCidrs[0] must be a network such as 10.1.0.0/16 or fd00::/8, got '10.0.0.0/33'",
    ],
    [made(LoopbackTrustCheck, { extraTrustedCidrs: ['localhost/8'] }), 'extraTrustedCidrs[0] must be a network'],
    [made(LoopbackTrustCheck, { extraTrustedCidrs: '10.0.0.0/8' }), 'extraTrustedCidrs must be a list of strings'],
    [made(RateLimitCheck, { capacity: 0 }), 'rate_limit: capacity must be a whole number >= 1, got 0'],
    [made(RateLimitCheck, { capacity: '60' }), "rate_limit: capacity must be a whole number >= 1, got '60'"],
    [made(RateLimitCheck, { refillPerSecond: -1 }), 'rate_limit: refillPerSecond must be a number >= 0, got -1'],
    [made(RateLimitCheck, { refillPerSecond: Number.NaN }), 'refillPerSecond must be a number >= 0, got NaN'],
    [made(RateLimitCheck, { state: {} }), 'state must be a rate-limit state'],
    [
      made(RateLimitCheck, { capactiy: 5 }),
      "rate_limit: unknown option 'capactiy'; the options are capacity, refillPerSecond, state",
    ],
    [made(TokenBudgetCheck, {}), 'token_budget: cap must be a whole number >= 1, got nothing'],
    [made(TokenBudgetCheck, { cap: 10, window: 'DAY' }), "window must be one of 'minute', 'hour', 'day', got 'DAY'"],
    [made(TokenBudgetCheck, { cap: 10, state: { reserve: () => 1 } }), 'state must be a budget state'],
    [
      made(ClassificationGateCheck, { defaultClearance: 'CONFIDENTIAL' }),
      'defaultClearance must be one of UNCLASS, CUI, SECRET, TS, TS_SCI',
    ],
    [made(ClassificationGateCheck, { ladder: ['A'] }), 'ladder must be a ladder'],
    [made(ScopeDriftCheck, { markers: { ACME: 'NOPE' } }), 'its level must be one of UNCLASS'],
    [made(ScopeDriftCheck, { markers: ['ACME'] }), 'markers must be an object of marker text to level'],
    [made(ScopeDriftCheck, { charPerTokenEstimate: 0 }), 'charPerTokenEstimate must be a number >= 1, got 0'],
    [made(ContinuingConsentCheck, {}), 'revalidate must be a function'],
    [
      made(ContinuingConsentCheck, { revalidate, checkEveryChars: 0 }),
      'checkEveryChars must be a whole number >= 1, got 0',
    ],
    [made(RegexContentCheck, {}), 'regex_content: patterns must be a list'],
    [
      made(RegexContentCheck, { patterns: [{ pattern: '(' }] }),
      'patterns[0].pattern must be a usable regular expression',
    ],
    [made(RegexContentCheck, { patterns: [{ pattern: 'a?', label: 'maybe' }], roles: [] }), 'roles must be left out'],
    [
      made(RegexContentCheck, { patterns, roles: ['robot'] }),
      "roles must be made of system, developer, user, assistant, tool, schema, other, got 'robot'",
    ],
    [
      made(RegexContentCheck, { patterns: [{ regex: 'x' }] }),
      "patterns[0] must be made of pattern, action, replacement, label, maxMatch only, got 'regex'",
    ],
    [
      made(RegexContentCheck, { patterns: [{ pattern: 'x', action: 'allow' }] }),
      "patterns[0].action must be 'block' or 'redact'",
    ],
    [
      made(RegexOutputCheck, { patterns: [{ pattern: 'x', replacement: '' }] }),
      'patterns[0].replacement must be a non-empty string',
    ],
    [made(RegexOutputCheck, { patterns: [{ pattern: /x/y }] }), 'patterns[0].pattern must be without the flag y'],
    [
      made(RegexOutputCheck, { patterns: [{ pattern: 'x', maxMatch: 0 }] }),
      'patterns[0].maxMatch must be a whole number >= 1, got 0',
    ],
    [made(RegexOutputCheck, { patterns: [{ pattern: '(?=x)' }] }), 'can only match nothing'],
    [made(ToolCallInspectorCheck, { registry: [] }), 'registry must be an object of tool name to specification'],
    [
      made(ToolCallInspectorCheck, { registry: { t: { riskTier: 'HIGH' } } }),
      `registry["t"].riskTier must be one of 'low', 'medium', 'high', 'critical', got 'HIGH'`,
    ],
    [
      made(ToolCallInspectorCheck, { registry: { t: { tier: 'low' } } }),
      'must be made of riskTier, irreversible, dryrunSupported, audience, assurance, approverAuth, arguments only',
    ],
    [
      made(ToolCallInspectorCheck, { registry: { t: { irreversible: 'no' } } }),
      `registry["t"].irreversible must be true or false, got 'no'`,
    ],
    [
      made(ToolCallInspectorCheck, { registry: { t: { audience: '' } } }),
      `registry["t"].audience must be a non-empty string`,
    ],
    [made(ToolCallInspectorCheck, { registry: { t: 'low' } }), `registry["t"] must be a specification`],
    [made(ToolCallInspectorCheck, { maxAllowedTier: 3 }), 'maxAllowedTier must be one of'],
    [made(ToolCallInspectorCheck, { shadow: 1 }), 'shadow must be true or false, got 1'],
    [made(ToolCallInspectorCheck, { timeLimitMs: 0 }), 'timeLimitMs must be a whole number >= 1, got 0'],
  ])('%#', (make, message) => {
    expect(make).toThrow(message)
    try {
      make()
    } catch (error) {
      expect(String(error)).not.toContain('\n')
    }
  })
})

describe('every check', () => {
  const checks = [
    new OwnerResolutionCheck(),
    new LoopbackTrustCheck(),
    new RateLimitCheck(),
    new TokenBudgetCheck({ cap: 1 }),
    new ClassificationGateCheck(),
    new RegexContentCheck({ patterns }),
    new RegexOutputCheck({ patterns }),
    new ScopeDriftCheck(),
    new ContinuingConsentCheck({ revalidate }),
    new ToolCallInspectorCheck({ registry: { pay: { riskTier: 'high', irreversible: true } } }),
  ]

  it('describes itself as plain JSON that begins with its name', () => {
    for (const check of checks) {
      const described = check.describe()
      expect(JSON.parse(JSON.stringify(described))).toEqual(described)
      expect(described).toMatchObject({ name: check.name, priority: check.priority, shadow: false, options: {} })
      expect(described['stages']).not.toHaveLength(0)
    }
  })

  it('takes shadow, priority and a time limit', () => {
    const check = new RateLimitCheck({ shadow: true, priority: -5, timeLimitMs: 10 })
    expect(check).toMatchObject({ shadow: true, priority: -5, timeLimitMs: 10 })
    expect(check.describe()).toMatchObject({ shadow: true, priority: -5, timeLimitMs: 10 })
  })

  it('has a description that changes with what it does', () => {
    const of = (options: ConstructorParameters<typeof ScopeDriftCheck>[0]) =>
      JSON.stringify(new ScopeDriftCheck(options).describe())
    expect(of({ markers: { ACME: 'TS' } })).not.toBe(of({ markers: { ACME: 'CUI' } }))
    expect(of({ markers: { ACME: 'TS' } })).not.toBe(of({ markers: { ACMA: 'TS' } }))
  })

  it('runs the cheap ones first, the rate limit and budget before any scan', () => {
    const order = [...checks, new PromptInjectionCheck()]
      .filter(check => 'admit' in check)
      .sort((a, b) => a.priority - b.priority)
    expect(order.map(({ name }) => name)).toEqual([
      'loopback_trust',
      'owner_resolution',
      'rate_limit',
      'token_budget',
      'classification_gate',
      'regex_content',
      'tool_call_inspector',
      // The costliest scan comes last of all.
      'prompt_injection',
    ])
  })
})

describe('text from outside in a reason', () => {
  it.each([
    ['plain', 'plain'],
    ['a\nb', 'a\\u{a}b'],
    ['\u202eevil', '\\u{202e}evil'],
    ['é', '\\u{e9}'],
    ['\x1b[31m', '\\u{1b}[31m'],
  ])('%j', (text, out) => {
    expect(printable(text)).toBe(out)
  })

  it('is bounded', () => {
    expect(printable('x'.repeat(100_000)).length).toBeLessThanOrEqual(64)
    expect(printable('\u{1f600}'.repeat(100)).length).toBeLessThanOrEqual(64)
  })
})
