/**
 * A held answer, sealed. What would have been written is kept as upstream's frames and the edits they need (plain data),
 * encrypted with AES-256-GCM (NIST SP 800-38D, 96-bit random nonce); the exchange id is bound as associated data, so one
 * held answer cannot be put in another's place.
 *
 * Guarantees: opening gives exactly the frames and edits that were sealed, or fails. Writing them through a fresh writer
 * of the same dialect gives the bytes that a caller who had not been made to wait would have got.
 * Not guaranteed: capabilities are not in it; they are minted at release.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Random } from '../core/clock.ts'
import type { Dialect, Edit } from '../core/wire.ts'

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
  /** The calls a human has to decide about, as they stand in the answer. */
  readonly calls: readonly HeldCall[]
  readonly frames: readonly HeldFrame[]
}

export interface HeldCall {
  readonly key: string
  readonly id: string
  readonly name: string
  readonly argumentsText: string
}

export interface Sealer {
  seal(exchangeId: string, answer: HeldAnswer): Uint8Array
  /** Throws `SealBroken` when the bytes are not what was sealed for this exchange. */
  open(exchangeId: string, sealed: Uint8Array): HeldAnswer
}

export class SealBroken extends Error {
  override readonly name = 'SealBroken'
  readonly code = 'seal_broken'
}

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

export function createSealer(key: Uint8Array, random: Random): Sealer {
  if (key.length !== 32) throw new TypeError(`the sealing key must be 32 bytes, got ${key.length}`)
  return {
    seal(exchangeId, answer) {
      const nonce = random.bytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(associated(exchangeId))
      const body = Buffer.concat([cipher.update(encode(answer)), cipher.final()])
      return Buffer.concat([Buffer.of(VERSION), nonce, body, cipher.getAuthTag()])
    },
    open(exchangeId, sealed) {
      if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== VERSION) {
        throw new SealBroken('the held answer has no known form')
      }
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + NONCE_BYTES))
      decipher.setAAD(associated(exchangeId))
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
      let plain: Buffer
      try {
        plain = Buffer.concat([
          decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES)),
          decipher.final(),
        ])
      } catch {
        throw new SealBroken('the held answer does not open with this key for this exchange')
      }
      return decode(plain)
    },
  }
}

/** The bytes the caller gets, through a fresh writer. `capability` mints one for a released call that may have one. */
export function resume(
  dialect: Dialect,
  answer: HeldAnswer,
  capability: (call: HeldCall) => string | undefined = () => undefined,
): Uint8Array {
  const view = dialect.readRequest(answer.request)
  if ('kind' in view) throw new SealBroken(`the held request cannot be read again: ${view.message}`)
  const reader = dialect.openResponse(view, answer.status, answer.stream ? 'text/event-stream' : 'application/json')
  if ('kind' in reader) throw new SealBroken(`the held answer cannot be read again: ${reader.message}`)
  const writer = dialect.openWriter({ ...view, stream: reader.stream })
  const out: Uint8Array[] = []
  const minted: Edit[] = []
  for (const call of answer.calls) {
    const jws = capability(call)
    if (jws !== undefined) minted.push({ kind: 'capability', key: call.key, jws })
  }
  let i = 0
  const take = (elements: ReturnType<typeof reader.push>) => {
    for (const element of elements) {
      const held = answer.frames[i]
      if (element.kind === 'fault' || held === undefined) throw new SealBroken('the held answer cannot be read again')
      const keys = new Set(
        element.parts.flatMap(p => (p.kind === 'callPiece' ? [p.key] : p.kind === 'callDone' ? [p.call.key] : [])),
      )
      out.push(
        writer.write(element, [...held.edits, ...minted.filter(e => e.kind === 'capability' && keys.has(e.key))]),
      )
      i += 1
    }
  }
  for (const held of answer.frames) take(reader.push(held.raw))
  take(reader.end())
  if (i !== answer.frames.length) throw new SealBroken('the held answer is not whole')
  return Buffer.concat(out)
}

function associated(exchangeId: string): Uint8Array {
  return Buffer.from(`signet held answer v${VERSION}\n${exchangeId}`)
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
