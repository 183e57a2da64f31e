/**
 * A gate for a team and its agents: two providers, callers known by keys of the gate's own. Run:
 *
 *   npx signet keys generate --kind api            # once for each caller: the key for it, the hash for here
 *   npx signet serve --config examples/team.ts --dev
 *
 * Callers put their key where their SDK puts a key (`apiKey`). It never reaches a provider: the gate calls them with keys
 * of its own, SIGNET_UPSTREAM_API_KEY_FILE and SIGNET_ANTHROPIC_UPSTREAM_API_KEY_FILE.
 */
import {
  ClassificationGateCheck,
  definePipeline,
  OwnerResolutionCheck,
  PromptInjectionCheck,
  RateLimitCheck,
  ScopeDriftCheck,
  ToolCallInspectorCheck,
} from 'signet-gate'

export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new RateLimitCheck({ capacity: 60, refillPerSecond: 1 }),
    new ClassificationGateCheck(),
    new PromptInjectionCheck(),
    new ToolCallInspectorCheck({
      registry: {
        get_weather: { riskTier: 'low' },
        issue_refund: { riskTier: 'high', irreversible: true },
        // Run by the providers themselves; whatever is not here is refused when a request declares it.
        'upstream:web_search': { riskTier: 'low' },
        'upstream:web_search_20250305': { riskTier: 'low' },
      },
    }),
    new ScopeDriftCheck(),
  ],
  identity: {
    apiKey: {
      keys: [
        // Replace these hashes: nobody has their keys.
        { hash: `sha256:${'0'.repeat(63)}1`, owner: 'human:alice@example.com', clearance: 'CUI' },
        { hash: `sha256:${'0'.repeat(63)}2`, owner: 'agent:crawler-7' },
      ],
    },
  },
  upstreamUrl: 'https://api.openai.com/v1',
  anthropicUpstreamUrl: 'https://api.anthropic.com/v1',
})
