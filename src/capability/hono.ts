/** Hono middleware: Node, Deno, Bun and workers. */
import { CAPABILITY_HEADER, MAX_BODY_BYTES, refusedAnswer, textOf } from './http.ts'
import { type ExecutorOptions, type VerifiedCapability, verifyCapability } from './verify.ts'

/** What this needs of a context. */
export interface HonoContext {
  readonly req: { header(name: string): string | undefined; arrayBuffer(): Promise<ArrayBuffer> }
  set(key: 'signet', value: VerifiedCapability): void
}

/**
 * Lets a request pass once its capability for `tool` is verified and used up; else it is answered with 403, or 503 when
 * that cannot be known. What follows finds both arguments and claims in `c.get('signet')`.
 */
export function honoCapability(tool: string, options: ExecutorOptions) {
  return async (c: HonoContext, next: () => Promise<void>): Promise<Response | undefined> => {
    try {
      const length = Number(c.req.header('content-length') ?? 0)
      const body = length > MAX_BODY_BYTES ? new Uint8Array(0) : new Uint8Array(await c.req.arrayBuffer())
      const call = { tool, argumentsText: textOf(body) }
      c.set('signet', await verifyCapability(c.req.header(CAPABILITY_HEADER), { ...options, ...call }))
    } catch (error) {
      const { status, body } = refusedAnswer(error)
      return new Response(JSON.stringify(body), {
        status,
        headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      })
    }
    await next()
    return undefined
  }
}
