/**
 * Reads along on a gated stream: notes the final receipt, turns the abort frame into an error with all its facts (or
 * into a frame the SDK understands), and, when asked, checks the receipt before the stream may end.
 *
 * Guarantees: everything before an abort is delivered, nothing from it on; not a byte is changed otherwise, however the
 * network cuts it. With `verify`, the end mark (`[DONE]`, `message_stop`) and all that follows it, or the end of a
 * stream without one, come only after the receipt over everything was found good. It does not hold text back until
 * then: verified means that the whole was good at its end. A line is delivered when it is complete, which is when a
 * reader of SSE can use it.
 */
import { type Abort, CORRELATION_HEADER, readAbort } from './answer.ts'
import { markUnverified } from './errors.ts'

export interface TapHooks {
  /** The stream's final receipt, as it passes. */
  onReceipt(compact: string): void
  /** The error that ends a refused stream, or the `data:` line to end it with. */
  onAbort(abort: Abort): Error | string
  /** Every other `data:` payload, until it answers false. */
  onPayload?(payload: string): boolean
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
/** Anthropic's last event carries nothing but its type. */
const MESSAGE_STOP = /^\{\s*"type"\s*:\s*"message_stop"\s*\}$/

/** What a line that just ended means. */
type Said = { readonly kind: 'nothing' | 'end' } | { readonly kind: 'abort'; readonly by: Error | string }
const NOTHING: Said = { kind: 'nothing' }
const END: Said = { kind: 'end' }

export function tapSse(
  source: ReadableStream<Uint8Array>,
  headers: Headers,
  hooks: TapHooks,
): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  const decoder = new TextDecoder()
  /** With `verify`: the whole body so far, of which `delivered` bytes have passed. */
  const kept: Uint8Array[] = []
  let keptBytes = 0
  let delivered = 0
  /** The beginning of a line that is not complete, and how long the line is so far. */
  let held: Uint8Array[] = []
  let lineBytes = 0
  let wantsPayloads = hooks.onPayload !== undefined
  let ended: 'no' | 'mark' | 'abort' = 'no'
  let failure: unknown

  function read(line: Uint8Array): Said {
    const text = decoder.decode(line)
    if (text.startsWith(RECEIPT)) hooks.onReceipt(text.slice(RECEIPT.length))
    if (!text.startsWith('data:')) return NOTHING
    const payload = text.slice(text[5] === ' ' ? 6 : 5)
    if (payload === '[DONE]' || MESSAGE_STOP.test(payload)) return END
    const abort = readAbort(payload, headers)
    if (abort !== undefined) return { kind: 'abort', by: hooks.onAbort(abort) }
    if (wantsPayloads) wantsPayloads = hooks.onPayload?.(payload) === true
    return NOTHING
  }

  function keep(chunk: Uint8Array): void {
    keptBytes += chunk.length
    if (keptBytes > MAX_VERIFIED_BYTES)
      throw markUnverified(
        new Error(),
        'response_too_long',
        new RangeError(`at most ${MAX_VERIFIED_BYTES} bytes of one answer can be verified`),
        headers.get(CORRELATION_HEADER) ?? undefined,
      )
    kept.push(chunk)
  }

  /** What of `chunk`, and of what was held before it, passes now. */
  function scan(chunk: Uint8Array): readonly Uint8Array[] {
    const out: Uint8Array[] = []
    let lineFrom = 0
    for (let at = 0; at < chunk.length && ended === 'no'; at++) {
      const byte = chunk[at]
      if (byte !== CR && byte !== LF) continue
      const rest = chunk.subarray(lineFrom, at)
      const said = lineBytes + rest.length > MAX_LINE ? NOTHING : read(join([...held, rest]))
      if (said.kind === 'abort') {
        ended = 'abort'
        if (typeof said.by === 'string') out.push(new TextEncoder().encode(`${said.by}\n\n`))
        else failure = said.by
      } else if (said.kind === 'end' && hooks.verify !== undefined) ended = 'mark'
      else {
        out.push(...held, chunk.subarray(lineFrom, at + 1))
        lineFrom = at + 1
      }
      held = []
      lineBytes = 0
    }
    if (ended !== 'no') return out
    const open = chunk.subarray(lineFrom)
    lineBytes += open.length
    if (lineBytes <= MAX_LINE) held.push(open)
    else out.push(...held.splice(0), open)
    return out
  }

  /** The rest, once the source has ended and, if asked, the whole was found good. */
  async function finish(): Promise<Uint8Array> {
    if (hooks.verify === undefined) return join(held)
    const whole = join(kept)
    await hooks.verify(whole)
    return whole.subarray(delivered)
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          // Set one pull earlier, so that what came before it has been read.
          if (ended === 'abort') {
            reader.cancel().catch(() => {})
            if (failure !== undefined) throw failure
            controller.close()
            return
          }
          const { done, value } = await reader.read()
          if (done) {
            const rest = await finish()
            if (rest.length > 0) controller.enqueue(rest)
            controller.close()
            return
          }
          if (hooks.verify !== undefined) keep(value)
          const passing = join(scan(value))
          if (passing.length === 0) continue
          delivered += passing.length
          controller.enqueue(passing)
          return
        }
      },
      cancel: reason => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
