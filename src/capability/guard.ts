/**
 * A tool's handler behind its capability. Guarantees that the handler runs at most once per capability, with the verified
 * arguments, and after the use is remembered.
 */
import type { ToolArguments } from './arguments.ts'
import type { CapabilityClaims } from './claims.ts'
import { type ExecutorOptions, type PresentedCall, verifyCapability } from './verify.ts'

export type GuardedCall = { readonly capability: unknown } & (
  | { readonly argumentsText: string; readonly arguments?: never }
  | { readonly arguments: unknown; readonly argumentsText?: never }
)

/** `args`: what was permitted; never the caller's own object. */
export type Handler<Result> = (args: ToolArguments, claims: CapabilityClaims) => Result | Promise<Result>

/** The returned function rejects with `CapabilityInvalid` when the call is not permitted, and with whatever the handler throws. */
export function requireCapability<Result>(
  tool: string,
  handler: Handler<Result>,
  options: ExecutorOptions,
): (call: GuardedCall) => Promise<Result> {
  return async call => {
    const presented: PresentedCall =
      call.argumentsText === undefined
        ? { tool, arguments: call.arguments }
        : { tool, argumentsText: call.argumentsText }
    const verified = await verifyCapability(call.capability, { ...options, ...presented })
    let result: Result
    try {
      result = await handler(verified.arguments, verified.claims)
    } catch (error) {
      // What the handler says may hold what it was called with.
      await verified.report({ ok: false, detail: error instanceof Error ? error.name : 'error' })
      throw error
    }
    await verified.report({ ok: true })
    return result
  }
}

/** The capability on a tool call of an answer (`tool_calls[]`, `tool_use`, `function_call`), if there is one. */
export function capabilityOf(call: unknown): string | undefined {
  const signet = memberOf(call, 'signet')
  const capability = memberOf(signet, 'capability')
  return typeof capability === 'string' ? capability : undefined
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
