/** The pipeline of a gate whose operator has written none: never empty, no trust by network, no tool allowed that nobody registered. */
import {
  ClassificationGateCheck,
  OwnerResolutionCheck,
  PromptInjectionCheck,
  RateLimitCheck,
  RegexOutputCheck,
  ScopeDriftCheck,
  SECRET_PATTERNS,
  TokenBudgetCheck,
  ToolCallInspectorCheck,
  type ToolSpec,
} from '../checks/index.ts'
import { DEMO_TOOLS } from '../upstream/demo/tools.ts'
import { definePipeline, type PipelineConfig } from './pipeline.ts'

export interface DefaultPipelineOptions {
  /** Register the tools of the built-in demo model. */
  readonly demo?: boolean
}

export function defaultPipeline({ demo = false }: DefaultPipelineOptions = {}): PipelineConfig {
  return definePipeline({
    checks: [
      new OwnerResolutionCheck(),
      new RateLimitCheck({ capacity: 60, refillPerSecond: 1 }),
      new TokenBudgetCheck({ cap: 1_000_000, window: 'day' }),
      new ClassificationGateCheck(),
      new PromptInjectionCheck(),
      new RegexOutputCheck({ patterns: SECRET_PATTERNS }),
      new ScopeDriftCheck(),
      new ToolCallInspectorCheck({ registry: demo ? demoRegistry() : {} }),
    ],
  })
}

function demoRegistry(): Readonly<Record<string, ToolSpec>> {
  return Object.fromEntries(
    DEMO_TOOLS.map(({ name, tier, reversible }) => [name, { riskTier: tier, irreversible: !reversible }]),
  )
}
