/**
 * The witness protocol (https://c2sp.org/tlog-witness) as bytes: what `add-checkpoint` is asked and what its answers
 * mean. No I/O.
 */
import { fromUtf8, readDecimal, toBase64 } from './bytes.ts'
import { cosignatureTime, cosignatureVerifier } from './cosignature.ts'
import { LogInvalid } from './errors.ts'
import { type NoteKey, openNote, parseNote } from './note.ts'

/** A proof has at most this many hashes; a tree of 2^63 leaves is as high. */
const MAX_HASHES = 63
/** How far a witness's clock may be from ours, in seconds. */
const MAX_SKEW_S = 600n

/** `old`: the size that the witness is thought to have. */
export function formatAddCheckpoint(old: number, proof: readonly Uint8Array[], note: string): string {
  if (proof.length > MAX_HASHES) throw new LogInvalid('malformed', `expected at most ${MAX_HASHES} hashes`)
  return `old ${old}\n${proof.map(hash => `${toBase64(hash)}\n`).join('')}\n${note}`
}

export type WitnessAnswer =
  | { readonly kind: 'cosigned'; readonly lines: string }
  /** The witness has a tree of this size of the log. */
  | { readonly kind: 'has'; readonly size: number }
  | { readonly kind: 'split_view'; readonly detail: string }
  /** It will not answer otherwise until somebody changes something. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** It may answer otherwise in a while. */
  | { readonly kind: 'later'; readonly detail: string }

export function readAnswer(status: number, contentType: string | undefined, body: Uint8Array): WitnessAnswer {
  switch (status) {
    case 200:
      return { kind: 'cosigned', lines: utf8(body) }
    case 409: {
      // Without a size this is what a known witness answers to another root of the same size.
      if (contentType?.split(';')[0]?.trim().toLowerCase() !== 'text/x.tlog.size')
        return { kind: 'split_view', detail: 'it has another tree of the same size (409)' }
      const text = utf8(body)
      if (!text.endsWith('\n')) throw new LogInvalid('malformed', 'expected a size and a newline')
      return { kind: 'has', size: readDecimal(text.slice(0, -1), "a witness's size") }
    }
    case 422:
      return { kind: 'split_view', detail: 'the tree does not continue the one that it has (422)' }
    case 404:
      return { kind: 'refused', detail: 'it does not know this log (404); its operator has to add it' }
    case 403:
      return { kind: 'refused', detail: "it does not trust this log's key (403); its operator has to add it" }
    case 400:
      return { kind: 'refused', detail: 'it does not understand the request (400)' }
    case 429:
      return { kind: 'later', detail: 'it asks for fewer requests (429)' }
    default:
      return { kind: 'later', detail: `it answered ${status}` }
  }
}

/**
 * The witness's own line among those that it answered with. Rejects with `LogInvalid` when there is none, when it is not
 * its key's, or when it states a time far from ours (`nowMs`).
 */
export async function cosignatureIn(
  lines: string,
  note: string,
  key: NoteKey,
  nowMs: number,
): Promise<{ readonly line: string; readonly time: bigint }> {
  if (lines === '' || !lines.endsWith('\n') || lines.includes('\n\n'))
    throw new LogInvalid('malformed', 'expected one or more signature lines')
  const verifier = await cosignatureVerifier(key)
  const { text } = parseNote(note)
  const opened = await openNote(parseNote(`${text}\n${lines}`), [verifier])
  const [signature] = opened.verified
  if (signature === undefined) throw new LogInvalid('signature_missing', `expected a cosignature of ${key.name}`)
  const time = cosignatureTime(signature)
  const now = BigInt(Math.floor(nowMs / 1000))
  const off = time > now ? time - now : now - time
  if (off > MAX_SKEW_S) {
    throw new LogInvalid(
      'malformed',
      `the cosignature of ${key.name} states a time ${off} s ${time > now ? 'after' : 'before'} now; compare both clocks`,
    )
  }
  return { line: signature.line, time }
}

function utf8(body: Uint8Array): string {
  try {
    return fromUtf8(body)
  } catch {
    throw new LogInvalid('malformed', 'expected UTF-8')
  }
}
