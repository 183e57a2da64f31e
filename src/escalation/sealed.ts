/**
 * A held answer. What would have been written is kept as upstream's frames and the edits they need (plain data), sealed.
 *
 * Guarantees: opening gives exactly the frames and edits that were sealed, or fails. Writing them through a fresh writer
 * of the same dialect gives the bytes that a caller who had not been made to wait would have got.
 * Not guaranteed: capabilities of the calls that wait are not in it; they are minted at release.
 */
import type { Exchange } from '../core/exchange.ts'
import type { Dialect, Edit, Frame, RequestView, ToolCall } from '../core/wire.ts'
import { type Box, SealBroken } from './box.ts'

export interface HeldFrame {
  readonly raw: Uint8Array
  readonly edits: readonly Edit[]
}

export interface HeldAnswer {
  readonly dialect: string
  /** As it was forwarded: the writer needs what the request asked for. */
  readonly request: Uint8Array
  readonly stream: boolean
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** Facts of the exchange that its calls are judged by again before they are released. */
  readonly context: HeldContext
  /** The calls a human has to decide about, as they stand in the answer. */
  readonly calls: readonly HeldCall[]
  readonly frames: readonly HeldFrame[]
  /** Capabilities of calls that had left already, by the key of the call: the released bytes repeat them. */
  readonly given: readonly (readonly [string, string])[]
  /** Something was found before this was held and, in shadow, not enforced. */
  readonly shadowed: boolean
}

export type HeldContext = Pick<Exchange, 'peerAddress' | 'declared' | 'levels' | 'session'>

export interface HeldCall {
  readonly key: string
  readonly id: string
  readonly name: string
  readonly argumentsText: string
  /** As the check that held it rates the tool. */
  readonly tier?: string
}

const PURPOSE = 'held answer'

export function sealAnswer(box: Box, id: string, answer: HeldAnswer): Uint8Array {
  return box.seal(PURPOSE, id, encode(answer))
}

/** Throws `SealBroken` when the bytes are not what was sealed for this escalation. */
export function openAnswer(box: Box, id: string, sealed: Uint8Array): HeldAnswer {
  return decode(Buffer.from(box.open(PURPOSE, id, sealed)))
}

/** A held answer read again by its dialect: what stands in it, and how it is written. */
export interface Reopened {
  readonly request: RequestView
  /** Every call of the answer, in order, those that nobody had to be asked about included. */
  readonly calls: readonly ToolCall[]
  /** The bytes the caller gets, frame by frame, through a fresh writer. `capabilities`: by the key of their call. */
  write(capabilities?: ReadonlyMap<string, string>): readonly Written[]
}

export interface Written {
  readonly frame: Frame
  readonly bytes: Uint8Array
}

export function reopen(dialect: Dialect, answer: HeldAnswer): Reopened {
  const view = dialect.readRequest(answer.request)
  if ('kind' in view) throw new SealBroken(`the held request cannot be read again: ${view.message}`)
  const reader = dialect.openResponse(view, answer.status, answer.stream ? 'text/event-stream' : 'application/json')
  if ('kind' in reader) throw new SealBroken(`the held answer cannot be read again: ${reader.message}`)
  const frames: Frame[] = []
  const take = (elements: ReturnType<typeof reader.push>) => {
    for (const element of elements) {
      if (element.kind === 'fault') throw new SealBroken('the held answer cannot be read again')
      frames.push(element)
    }
  }
  for (const held of answer.frames) take(reader.push(held.raw))
  take(reader.end())
  if (frames.length !== answer.frames.length) throw new SealBroken('the held answer is not whole')
  return {
    request: view,
    calls: frames.flatMap(f => f.parts.flatMap(p => (p.kind === 'callDone' ? [p.call] : []))),
    write(capabilities = new Map()) {
      const writer = dialect.openWriter({ ...view, stream: reader.stream })
      const minted: Edit[] = []
      for (const [key, jws] of capabilities) minted.push({ kind: 'capability', key, jws })
      return frames.map((frame, i) => {
        const keys = new Set(
          frame.parts.flatMap(p => (p.kind === 'callPiece' ? [p.key] : p.kind === 'callDone' ? [p.call.key] : [])),
        )
        const extra = minted.filter(e => e.kind === 'capability' && keys.has(e.key))
        return { frame, bytes: writer.write(frame, [...(answer.frames[i]?.edits ?? []), ...extra]) }
      })
    },
  }
}

/** Lengths and edits as JSON, then the bytes: the request's, then each frame's. */
function encode(answer: HeldAnswer): Uint8Array {
  const { request, frames, ...rest } = answer
  const head = Buffer.from(
    JSON.stringify({
      ...rest,
      request: request.length,
      frames: frames.map(f => ({ size: f.raw.length, edits: f.edits })),
    }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(head.length)
  return Buffer.concat([length, head, request, ...frames.map(f => f.raw)])
}

type Head = Omit<HeldAnswer, 'request' | 'frames'> & {
  readonly request: number
  readonly frames: readonly { readonly size: number; readonly edits: readonly Edit[] }[]
}

/** What was authenticated is what `encode` wrote: its shape needs no second proof. */
function decode(plain: Buffer): HeldAnswer {
  let at = 4 + plain.readUInt32BE(0)
  const head: Head = JSON.parse(plain.subarray(4, at).toString())
  const take = (size: number) => plain.subarray(at, (at += size))
  const request = take(head.request)
  return { ...head, request, frames: head.frames.map(f => ({ raw: take(f.size), edits: f.edits })) }
}
