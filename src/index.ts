/** The public API of signet-gate. Subpaths: `signet-gate/receipt` and `signet-gate/capability` (browsers and servers), `signet-gate/evidence`, and `signet-gate/openai`. */
export * from './checks/index.ts'
export { definePipeline, type PipelineConfig } from './config/pipeline.ts'
export type { PolicyCase, PolicyTable, WrittenCall } from './config/policy-table.ts'
export {
  CHECK_ABI_VERSION,
  type Check,
  type Ctx,
  type Inspection,
  type Inspector,
  type MaybeAsync,
  type Piece,
} from './core/check.ts'
export { defineLadder, type Ladder } from './core/classification.ts'
export type { Admitted, Decision, Declared, Exchange, Levels, Outcome, Owner, OwnerType } from './core/exchange.ts'
export type {
  BudgetState,
  RateLimitState,
  ReferenceState,
  Session,
  SessionState,
  SharedState,
} from './core/state.ts'
export {
  ALLOW,
  type Because,
  because,
  block,
  type Code,
  escalate,
  redact,
  type Stage,
  type TextEdit,
  type Verdict,
} from './core/verdict.ts'
export type { Channel, RequestView, Segment, ToolCall } from './core/wire.ts'
export type { IdentitySetting } from './identity/open.ts'
export { SandboxPreviewCheck } from './plugins/sandbox-preview.ts'
export { TribunalCheck } from './plugins/tribunal.ts'
export type { Hit, PatternSet, Rule, Scan } from './text/scan.ts'
