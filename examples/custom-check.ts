/**
 * A pipeline with a check of one's own. Run: npx signet serve --upstream demo --dev --config examples/custom-check.ts
 *
 * `refund_limit` looks at the arguments of one tool: small refunds pass, larger ones wait for a human, and one without a
 * readable amount is refused. Everything else about the call is for `tool_call_inspector`.
 */
import {
  ALLOW,
  block,
  type Check,
  definePipeline,
  escalate,
  OwnerResolutionCheck,
  ScopeDriftCheck,
  type ToolCall,
  ToolCallInspectorCheck,
  type Verdict,
} from 'signet-gate'

class RefundLimitCheck implements Check {
  readonly name = 'refund_limit'
  readonly priority = 60
  readonly timeLimitMs = 1000
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Plain JSON; it is part of the policy digest, so another limit is another policy. */
  describe() {
    return { name: this.name, stages: ['commitment'], limit: this.#limit }
  }

  commit(call: ToolCall): Verdict {
    if (call.name !== 'issue_refund') return ALLOW
    const amount = amountOf(call.arguments)
    if (amount === undefined) return block('custom:refund_unreadable', 'the refund names no amount')
    if (amount <= this.#limit) return ALLOW
    return escalate('custom:refund_large', `a refund above ${this.#limit} needs a human`, { amount })
  }
}

/** `arguments` is undefined when they were not strict JSON: two readers could read two amounts. */
function amountOf(given: unknown): number | undefined {
  if (typeof given !== 'object' || given === null || !('amount' in given)) return undefined
  const { amount } = given
  return typeof amount === 'number' && Number.isSafeInteger(amount) && amount > 0 ? amount : undefined
}

export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new ScopeDriftCheck(),
    new ToolCallInspectorCheck({
      registry: {
        get_weather: { riskTier: 'low' },
        issue_refund: { riskTier: 'medium' },
      },
    }),
    new RefundLimitCheck(100),
  ],
})
