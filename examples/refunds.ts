/**
 * A gate for agents that refund: each refund is held for a human, and leaves with a capability that `executor.mjs` demands. Run:
 *
 *   npx signet serve --upstream demo --dev --config examples/refunds.ts
 *
 * docs/capabilities.md has the whole walk, with the executor and an attacker.
 */
import { definePipeline, OwnerResolutionCheck, ScopeDriftCheck, ToolCallInspectorCheck } from 'signet-gate'

export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new ToolCallInspectorCheck({
      registry: { issue_refund: { riskTier: 'high', irreversible: true, audience: 'https://pay.example' } },
    }),
    new ScopeDriftCheck(),
  ],
})
