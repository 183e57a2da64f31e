/**
 * Reads along on a gated stream without changing a byte of it: notes the final receipt, turns the abort frame into an
 * error with all its facts, and, when asked, checks the receipt before the stream may end.
 *
 * Guarantees: bytes that came before an abort are delivered before it; with `verify`, the end of the stream (`[DONE]`,
 * or the last byte) is delivered only after the receipt over everything before it was found good. It does not hold text
 * back: verified means that the whole was good at its end.
 */
import { type Abort, CORRELATION_HEADER, readAbort } from './answer.ts'
import { markUnverified } from './errors.ts'

export interface TapHooks {
  /** The stream's final receipt, as it passes. */
  onReceipt(compact: string): void
  /** Makes the error that ends a refused stream. */
  onAbort(abort: Abort): Error
  /** Given: the body is kept, and this resolves when its receipt is good. Rejects with the error to end the stream with. */
  readonly verify: ((body: Uint8Array) => Promise<void>) | undefined
}

const CR = 13
const LF = 10
const RECEIPT = ': signet-receipt '
/** A line longer than this is neither a receipt nor an abort frame. */
const MAX_LINE = 65_536
/** What `verify` keeps of one answer; more cannot be checked and ends the stream. */
export const MAX_VERIFIED_BYTES = 64 * 1024 * 1024

export function tapSse(
  source: ReadableStream<Uint8Array>,
  headers: Headers,
  hooks: TapHooks,
): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  const decoder = new TextDecoder()
  const kept: Uint8Array[] = []
  let keptBytes = 0
  let line: Uint8Array[] = []
  let lineBytes = 0
  let verified = hooks.verify === undefined
  let failure: unknown

  /** What the line that just ended means: an error to end with, `end` for the end marker, or nothing. */
  function read(): Error | 'end' | undefined {
    const bytes = lineBytes > MAX_LINE ? undefined : join(line, lineBytes)
    line = []
    lineBytes = 0
    if (bytes === undefined) return undefined
    const text = decoder.decode(bytes)
    if (text.startsWith(RECEIPT)) hooks.onReceipt(text.slice(RECEIPT.length))
    if (!text.startsWith('data:')) return undefined
    const payload = text.slice(text[5] === ' ' ? 6 : 5)
    if (payload === '[DONE]') return 'end'
    const abort = readAbort(payload, headers)
    return abort === undefined ? undefined : hooks.onAbort(abort)
  }

  function take(piece: Uint8Array): void {
    lineBytes += piece.length
    if (lineBytes <= MAX_LINE) line.push(piece)
  }

  function keep(piece: Uint8Array): void {
    if (verified) return
    keptBytes += piece.length
    if (keptBytes > MAX_VERIFIED_BYTES)
      throw markUnverified(
        new Error(),
        'response_too_long',
        new RangeError(`at most ${MAX_VERIFIED_BYTES} bytes of one answer can be verified`),
        headers.get(CORRELATION_HEADER) ?? undefined,
      )
    kept.push(piece)
  }

  async function check(): Promise<void> {
    if (verified) return
    await hooks.verify?.(join(kept, keptBytes))
    verified = true
    kept.length = 0
  }

  /** How much of `chunk` may pass; sets `failure` when the stream must end there. */
  async function scan(chunk: Uint8Array): Promise<number> {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (byte !== CR && byte !== LF) continue
      take(chunk.subarray(from, at))
      const said = read()
      if (said === 'end' && !verified) {
        keep(chunk.subarray(0, at + 1))
        try {
          await check()
        } catch (error) {
          failure = error
          return from
        }
        from = at + 1
        continue
      }
      if (said instanceof Error) {
        failure = said
        return from
      }
      from = at + 1
    }
    take(chunk.subarray(from))
    keep(chunk)
    return chunk.length
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          // Set one pull earlier, so that what came before it has been read.
          if (failure !== undefined) {
            reader.cancel().catch(() => {})
            throw failure
          }
          const { done, value } = await reader.read()
          if (done) {
            await check()
            controller.close()
            return
          }
          const passing = await scan(value)
          if (passing === 0) continue
          controller.enqueue(value.subarray(0, passing))
          return
        }
      },
      cancel: reason => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
