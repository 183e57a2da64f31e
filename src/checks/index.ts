/** The built-in checks. */
export type { ArgumentOptions } from './arguments/policy.ts'
export type { ArgumentRule } from './arguments/rules.ts'
export { CallLimitsCheck, type CallLimitsOptions } from './call-limits.ts'
export type { ToolLimitsOptions } from './call-limits-options.ts'
export { ClassificationGateCheck, type ClassificationGateOptions } from './classification-gate.ts'
export { ContinuingConsentCheck, type ContinuingConsentOptions, type Revalidate } from './continuing-consent.ts'
export type { LevelOptions } from './levels.ts'
export { LoopbackTrustCheck, type LoopbackTrustOptions } from './loopback-trust.ts'
export type { CommonOptions } from './options.ts'
export { OwnerResolutionCheck, type OwnerResolutionOptions } from './owner-resolution.ts'
export { DEFAULT_MAX_MATCH, type Pattern } from './pattern.ts'
export { type InjectionAction, PromptInjectionCheck, type PromptInjectionOptions } from './prompt-injection.ts'
export { RateLimitCheck, type RateLimitOptions } from './rate-limit.ts'
export { RegexContentCheck, type RegexContentOptions } from './regex-content.ts'
export { RegexOutputCheck, type RegexOutputOptions } from './regex-output.ts'
export { ScopeDriftCheck, type ScopeDriftOptions } from './scope-drift.ts'
export { SECRET_PATTERNS } from './secret-patterns.ts'
export { TokenBudgetCheck, type TokenBudgetOptions, type WindowSize } from './token-budget.ts'
export {
  type RegisteredTool,
  type RiskTier,
  ToolCallInspectorCheck,
  type ToolCallInspectorOptions,
  type ToolSpec,
} from './tool-call-inspector.ts'
