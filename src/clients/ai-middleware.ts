/**
 * How the `ai` package is told that the gate ended a stream, and how its errors get signet's types.
 *
 * A provider package turns an error event into an `error` part, in order with the text; a stream that breaks instead
 * loses whatever text is on its way through the package's own pipes. So the abort frame stays in the stream, rewritten
 * where the packages would misread it, and the middleware exchanges the part's error for one with all the facts.
 */
import { type Abort, isObject } from './answer.ts'
import { signetErrorOf } from './error-of.ts'
import { markEscalated, markRefused } from './errors.ts'

/** `LanguageModelMiddleware` and `EmbeddingModelMiddleware` of the `ai` package, as far as signet uses them. */
export interface SignetMiddleware {
  readonly specificationVersion: 'v4'
  wrapGenerate<Result>(call: { doGenerate(): PromiseLike<Result> }): Promise<Result>
  wrapStream<Result extends StreamResult>(call: { doStream(): PromiseLike<Result> }): Promise<Result>
}

export interface SignetEmbeddingMiddleware {
  readonly specificationVersion: 'v4'
  wrapEmbed<Result>(call: { doEmbed(): PromiseLike<Result> }): Promise<Result>
}

interface StreamResult {
  readonly stream: ReadableStream
  readonly response?: { readonly headers?: Readonly<Record<string, string>> | undefined } | undefined
}

type AbortOf = (headers: Readonly<Record<string, string>> | undefined) => Abort | undefined

/**
 * The abort frame as a `data:` line that provider packages read as an error:
 * - `@ai-sdk/openai` takes a frame with `choices` for an ordinary chunk of chat and drops its `error`;
 * - a type it does not know means status 500 to it, which is retried if no text came before (`openai-stream-error.ts`).
 *   `permission_error`, Anthropic's word, means 403. What upstream did wrong keeps its type: it may be retried.
 */
export function abortLine({ frame }: Abort): string {
  const { choices: _, error, ...rest } = frame
  const byUpstream = typeof frame['reason'] === 'string' && frame['reason'].startsWith('upstream_')
  const shown = isObject(error) && error['type'] === 'signet_refusal' && !byUpstream
  return `data: ${JSON.stringify({ ...rest, error: shown ? { ...error, type: 'permission_error' } : error })}`
}

export function aiMiddleware(abortOf: AbortOf): {
  readonly middleware: SignetMiddleware
  readonly embeddingMiddleware: SignetEmbeddingMiddleware
} {
  /** What is thrown for `error`: itself, with signet's facts, or what it wraps. */
  const typed = (error: unknown): unknown => {
    const found = signetErrorOf(error)
    if (found !== undefined || !(error instanceof Error)) return found ?? error
    const headers: unknown = Reflect.get(error, 'responseHeaders')
    const abort = isObject(headers) ? abortOf(stringsOf(headers)) : undefined
    return abort === undefined ? error : mark(error, abort)
  }
  return {
    middleware: {
      specificationVersion: 'v4',
      wrapGenerate: ({ doGenerate }) => rethrown(doGenerate, typed),
      wrapStream: async ({ doStream }) => {
        const result = await rethrown(doStream, typed)
        const headers = result.response?.headers
        return { ...result, stream: typedParts(result.stream, () => abortOf(headers), typed) }
      },
    },
    embeddingMiddleware: {
      specificationVersion: 'v4',
      wrapEmbed: ({ doEmbed }) => rethrown(doEmbed, typed),
    },
  }
}

function typedParts(
  source: ReadableStream,
  abortOf: () => Abort | undefined,
  typed: (error: unknown) => unknown,
): ReadableStream {
  const reader = source.getReader()
  let told = false
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch((error: unknown) => {
          throw typed(error)
        })
        if (done) return controller.close()
        const part: unknown = value
        const abort = isObject(part) && part['type'] === 'error' && !told ? abortOf() : undefined
        if (abort === undefined) return controller.enqueue(part)
        told = true
        controller.enqueue({ type: 'error', error: mark(new Error(), abort) })
      },
      cancel: reason => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

async function rethrown<Result>(run: () => PromiseLike<Result>, typed: (error: unknown) => unknown): Promise<Result> {
  try {
    return await run()
  } catch (error) {
    throw typed(error)
  }
}

function mark(error: Error, abort: Abort): Error {
  return abort.kind === 'refused' ? markRefused(error, abort.facts) : markEscalated(error, abort.facts)
}

function stringsOf(from: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(from).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
