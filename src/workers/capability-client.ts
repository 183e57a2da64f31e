/** What is known of capabilities, from a worker: which have left, and which were used. The primary keeps both. */
import type { IssuedCapability, IssuedState, RedemptionStore } from '../core/state.ts'
import { type Calls, done, facts, nothing } from './state-client.ts'

export function remoteIssued(calls: Calls): IssuedState {
  return {
    put: (owner, exchange, { jti, call, tool, capability, expiresAtMs }) =>
      nothing(calls.call('issued.put', [owner, exchange, jti, call, tool, capability, expiresAtMs], done)),
    of: (owner, exchange) =>
      calls.call('issued.of', [owner, exchange], value => {
        const found = Array.isArray(value) ? value.map(issued) : [undefined]
        return found.every(each => each !== undefined) ? found : undefined
      }),
    knows: async jti => (await calls.call('issued.knows', [jti], yes)).value,
  }
}

export function remoteRedemptions(calls: Calls, durable: boolean): RedemptionStore {
  return {
    durable,
    redeem: async (jti, claims, untilMs, nowMs) =>
      (await calls.call('redemption.redeem', [jti, claims, untilMs, nowMs], yes)).value,
    find: async jti => {
      const { claims } = await calls.call('redemption.find', [jti], value =>
        typeof value === 'string' || value === null ? { claims: value } : undefined,
      )
      return claims ?? undefined
    },
    settle: async jti => (await calls.call('redemption.settle', [jti], yes)).value,
    // The primary's; it closes it.
    close: () => undefined,
  }
}

function yes(value: unknown): { readonly value: boolean } | undefined {
  return typeof value === 'boolean' ? { value } : undefined
}

function issued(value: unknown): IssuedCapability | undefined {
  const { jti, call, tool, capability, expiresAtMs } = facts(value)
  if (typeof jti !== 'string' || typeof call !== 'string' || typeof tool !== 'string') return undefined
  if (typeof capability !== 'string' || typeof expiresAtMs !== 'number') return undefined
  return { jti, call, tool, capability, expiresAtMs }
}
