/**
 * The final receipt of a stream. It travels as an SSE comment, `: signet-receipt <compact JWS>`, before `[DONE]` (or
 * `message_stop`), and covers every body byte before that line. Clients ignore comments, so nothing else changes.
 */
import { fromUtf8, isObject } from '../jws/bytes.ts'
import { STREAM_RECEIPT_COMMENT } from './claims.ts'
import { ReceiptInvalid } from './errors.ts'
import { type VerifiedReceipt, type VerifyReceiptOptions, verifyReceipt } from './verify.ts'

export interface VerifiedStream extends VerifiedReceipt {
  /** How many bytes the receipt covers. */
  readonly coveredBytes: number
  /** What follows the receipt, which it cannot cover: nothing but blank lines, or these and the API's end marker. */
  readonly remainder: 'blank' | 'end_marker'
}

export interface FoundStreamReceipt {
  readonly compact: string
  /** Offset of the comment line. */
  readonly from: number
  /** Offset after the comment's text, at its line terminator. */
  readonly to: number
}

const PREFIX = new TextEncoder().encode(`: ${STREAM_RECEIPT_COMMENT} `)
const CR = 13
const LF = 10

/**
 * Verify a whole SSE body: the digest over the bytes before the receipt, and that nothing a client would read follows it.
 * The LAST such comment counts: an earlier one (an upstream that writes its own) is covered bytes like any other.
 */
export async function verifyStreamReceipt(
  body: Uint8Array,
  options: Omit<VerifyReceiptOptions, 'responseBytes' | 'requireFinal'>,
): Promise<VerifiedStream> {
  const found = findStreamReceipt(body)
  if (found === undefined)
    throw new ReceiptInvalid(
      'stream_receipt_missing',
      `expected a comment line \`: ${STREAM_RECEIPT_COMMENT} …\` in the stream`,
    )
  const verified = await verifyReceipt(found.compact, { ...options, responseBytes: body.subarray(0, found.from) })
  return { ...verified, coveredBytes: found.from, remainder: readStreamRemainder(body.subarray(found.to)) }
}

/** SSE lines end at CR, LF or CRLF and at nothing else. */
export function findStreamReceipt(body: Uint8Array): FoundStreamReceipt | undefined {
  let found: { readonly from: number; readonly to: number } | undefined
  let lineStart = 0
  for (let at = 0; at <= body.length; at++) {
    const byte = body[at]
    if (byte !== CR && byte !== LF && byte !== undefined) continue
    if (startsWith(body, lineStart, at)) found = { from: lineStart, to: at }
    lineStart = at + 1
  }
  if (found === undefined) return undefined
  const text = new TextDecoder().decode(body.subarray(found.from + PREFIX.length, found.to))
  return { compact: text, ...found }
}

function startsWith(body: Uint8Array, from: number, to: number): boolean {
  if (to - from < PREFIX.length) return false
  for (let at = 0; at < PREFIX.length; at++) if (body[from + at] !== PREFIX[at]) return false
  return true
}

/** What a client would read behind the receipt; anything but the end of the stream is refused. */
export function readStreamRemainder(rest: Uint8Array): VerifiedStream['remainder'] {
  let text: string
  try {
    text = fromUtf8(rest)
  } catch {
    throw unsigned()
  }
  const lines = text.split(/\r\n|\r|\n/).filter(line => line !== '')
  if (lines.length === 0) return 'blank'
  // `message_stop`, named or not, and then `[DONE]` from servers that speak both APIs.
  if (lines.every(isEndMark) && new Set(lines).size === lines.length) return 'end_marker'
  throw unsigned()
}

function isEndMark(line: string): boolean {
  return line === 'data: [DONE]' || line === 'data:[DONE]' || line === 'event: message_stop' || isMessageStop(line)
}

/** Anthropic's `message_stop` carries nothing but its type; anything more would be text that no receipt covers. */
function isMessageStop(line: string): boolean {
  if (!line.startsWith('data:')) return false
  try {
    const value: unknown = JSON.parse(line.slice('data:'.length))
    return isObject(value) && value['type'] === 'message_stop' && Object.keys(value).length === 1
  } catch {
    return false
  }
}

function unsigned(): ReceiptInvalid {
  return new ReceiptInvalid(
    'stream_remainder_unsigned',
    'expected nothing after the receipt but the end of the stream; what follows is covered by no signature',
  )
}
