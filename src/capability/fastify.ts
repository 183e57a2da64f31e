/** A Fastify `preHandler`. Fastify has parsed the body by then: what counts is the value it read, and the handler gets no other. */
import { CAPABILITY_HEADER, onlyHeader, presentedBody, refusedAnswer } from './http.ts'
import { type ExecutorOptions, type VerifiedCapability, verifyCapability } from './verify.ts'

/** What this needs of a request. */
export interface FastifyRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  body: unknown
  signet?: VerifiedCapability
}

/** What this needs of a reply. */
export interface FastifyReply {
  code(status: number): FastifyReply
  header(name: string, value: string): FastifyReply
  send(body: unknown): unknown
}

/**
 * Lets a request pass once its capability for `tool` is verified and used up; else it is answered with 403, or 503 when
 * that cannot be known. What follows finds the arguments in `request.body` and the claims in `request.signet`.
 */
export function fastifyCapability(tool: string, options: ExecutorOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    try {
      const call = presentedBody(tool, request.body ?? '')
      const verified = await verifyCapability(onlyHeader(request.headers[CAPABILITY_HEADER]), { ...options, ...call })
      request.body = verified.arguments
      request.signet = verified
      return undefined
    } catch (error) {
      const { status, body } = refusedAnswer(error)
      return reply.code(status).header('cache-control', 'no-store').send(body)
    }
  }
}
