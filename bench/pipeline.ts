/** The default pipeline with every built-in check in it, and limits that a benchmark does not reach. */
import {
  ClassificationGateCheck,
  ContinuingConsentCheck,
  definePipeline,
  LoopbackTrustCheck,
  OwnerResolutionCheck,
  PromptInjectionCheck,
  RateLimitCheck,
  RegexContentCheck,
  RegexOutputCheck,
  ScopeDriftCheck,
  SECRET_PATTERNS,
  TokenBudgetCheck,
  ToolCallInspectorCheck,
} from 'signet-gate'

export default definePipeline({
  checks: [
    new LoopbackTrustCheck(),
    new OwnerResolutionCheck(),
    new RateLimitCheck({ capacity: 1_000_000_000, refillPerSecond: 1_000_000 }),
    new TokenBudgetCheck({ cap: 1_000_000_000_000 }),
    new ClassificationGateCheck(),
    new RegexContentCheck({ patterns: [...SECRET_PATTERNS] }),
    new PromptInjectionCheck(),
    new RegexOutputCheck({ patterns: [...SECRET_PATTERNS] }),
    new ScopeDriftCheck(),
    new ContinuingConsentCheck({ revalidate: () => true }),
    new ToolCallInspectorCheck({ registry: { get_weather: { riskTier: 'low', irreversible: false } } }),
  ],
  identity: 'asserted',
})
