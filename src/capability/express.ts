/** Express middleware (4 and 5; connect alike). Before it, no body parser is needed; `express.raw` and `express.text` are fine. */
import { CapabilityInvalid } from './errors.ts'
import { CAPABILITY_HEADER, MAX_BODY_BYTES, onlyHeader, presentedBody, refusedAnswer, textOf } from './http.ts'
import { type ExecutorOptions, type PresentedCall, type VerifiedCapability, verifyCapability } from './verify.ts'

/** What this needs of a request. */
export interface ExpressRequest extends AsyncIterable<Uint8Array> {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  body?: unknown
  signet?: VerifiedCapability
}

/** What this needs of a response. */
export interface ExpressResponse {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body: string): unknown
}

/**
 * Lets a request pass once its capability for `tool` is verified and used up; else it is answered with 403, or 503 when
 * that cannot be known. What follows finds the arguments in `req.body` and the claims in `req.signet`.
 */
export function expressCapability(tool: string, options: ExecutorOptions) {
  return (req: ExpressRequest, res: ExpressResponse, next: (error?: unknown) => void): void => {
    admit(tool, options, req).then(
      verified => {
        req.body = verified.arguments
        req.signet = verified
        next()
      },
      (error: unknown) => {
        try {
          const { status, body } = refusedAnswer(error)
          res.statusCode = status
          res.setHeader('content-type', 'application/json')
          res.setHeader('cache-control', 'no-store')
          res.end(JSON.stringify(body))
        } catch (other) {
          next(other)
        }
      },
    )
  }
}

async function admit(tool: string, options: ExecutorOptions, req: ExpressRequest): Promise<VerifiedCapability> {
  const presented = await presentedCall(tool, req)
  return verifyCapability(onlyHeader(req.headers[CAPABILITY_HEADER]), { ...options, ...presented })
}

/** Without a parser in front, the bytes themselves: the strictest reading there is. */
async function presentedCall(tool: string, req: ExpressRequest): Promise<PresentedCall> {
  if (req.body !== undefined) return presentedBody(tool, req.body)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of req) {
    size += chunk.length
    if (size > MAX_BODY_BYTES)
      throw new CapabilityInvalid('arguments_mismatch', `expected arguments of at most ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return { tool, argumentsText: textOf(whole) }
}
