/**
 * `owner_resolution`: no exchange without an accountable owner.
 *
 * Identity strategies name the owner before any check runs; this check only looks at the result. It therefore accepts
 * whatever a strategy accepted: how far the owner is proved is in `owner.authenticatedBy`.
 */
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { policyOwner } from '../core/owner.ts'
import { ALLOW, block, type Verdict } from '../core/verdict.ts'
import { CheckOptions, type Common, type CommonOptions, description } from './options.ts'

export interface OwnerResolutionOptions extends CommonOptions {
  /** False: exchanges without an owner belong to `policy:unattributed`. Default true. */
  readonly requireOwner?: boolean
}

const REFUSAL = block('owner_unresolved', 'no commit owner could be resolved', {
  hint: 'name the accountable owner of this request: send one of the headers below, or the credential that the gate is configured for',
  examples: [
    'X-Commit-Owner: human:alice@example.com',
    'X-Agent-Id: agent:billing-bot',
    'X-Policy-Name: nightly-report',
  ],
})

const UNATTRIBUTED = policyOwner('unattributed', { authenticatedBy: 'owner_resolution' })

export class OwnerResolutionCheck implements Check {
  readonly name = 'owner_resolution'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #common: Common
  readonly #requireOwner: boolean

  constructor(options: OwnerResolutionOptions = {}) {
    const read = new CheckOptions(this.name, options, ['requireOwner'])
    this.#common = read.common(-10)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#requireOwner = read.flag('requireOwner', true)
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, { requireOwner: this.#requireOwner })
  }

  admit(x: Exchange, ctx: Ctx): Verdict {
    if (x.owner.type !== 'unresolved') return ALLOW
    if (this.#requireOwner) return REFUSAL
    ctx.claimOwner(UNATTRIBUTED)
    return ALLOW
  }
}
