/**
 * Offline proofs (https://c2sp.org/tlog-proof), files that end in `.tlog-proof`: that an entry is in a log, and that as many
 * witnesses as a policy demands have seen the log as it then was.
 *
 * Guarantees, when `verifyProof` resolves: the holder of a key that YOU trust signed a tree in which exactly this entry
 * stands at this index, and the policy's quorum of witnesses cosigned that tree. Does not: show that the log's owner
 * showed everybody the same tree unless witnesses that you trust cosigned it, nor that what the entry says is true.
 */
import { fromBase64, readDecimal, toBase64 } from './bytes.ts'
import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts'
import { cosignatureTime, cosignatureVerifier } from './cosignature.ts'
import { LogInvalid } from './errors.ts'
import { HASH_BYTES, leafHash, verifyInclusion } from './merkle.ts'
import { type NoteKey, openNote } from './note.ts'
import { meets, type Policy } from './policy.ts'

export interface LogProof {
  /** For the application; nobody has signed it. */
  readonly extra: Uint8Array | undefined
  readonly index: number
  /** The leaf's sibling first, the root's child last. */
  readonly hashes: readonly Uint8Array[]
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1'
/** A tree of 2^53 leaves is 53 high. */
const MAX_HASHES = 63
const MAX_PROOF = 2_000_000

export function formatProof({ extra, index, hashes, checkpoint }: LogProof): string {
  const lines = [FIRST_LINE]
  if (extra !== undefined) lines.push(`extra ${toBase64(extra)}`)
  lines.push(`index ${index}`, ...hashes.map(toBase64))
  return `${lines.join('\n')}\n\n${checkpoint}`
}

export function parseProof(text: string): LogProof {
  if (text.length > MAX_PROOF) throw new LogInvalid('too_large', `expected a proof of at most ${MAX_PROOF} characters`)
  const end = text.indexOf('\n\n')
  if (end < 0) throw malformed('a blank line before the checkpoint')
  const [first, ...rest] = text.slice(0, end).split('\n')
  if (first !== FIRST_LINE) throw malformed(`the first line ${FIRST_LINE}`)
  let extra: Uint8Array | undefined
  if (rest[0]?.startsWith('extra ') === true) {
    extra = fromBase64(rest.shift()?.slice('extra '.length) ?? '')
    if (extra === undefined) throw malformed('base64 after extra')
  }
  const indexLine = rest.shift()
  if (indexLine?.startsWith('index ') !== true) throw malformed('an index line')
  if (rest.length > MAX_HASHES) throw malformed(`at most ${MAX_HASHES} hashes`)
  const hashes = rest.map(line => {
    const hash = fromBase64(line)
    if (hash?.length !== HASH_BYTES) throw malformed('each hash as base64 of 32 bytes')
    return hash
  })
  const index = readDecimal(indexLine.slice('index '.length), "the entry's index")
  return { extra, index, hashes, checkpoint: text.slice(end + 2) }
}

export interface ProofTrust {
  /** Any of these logs. */
  readonly logKeys: readonly NoteKey[]
  /** Witnesses and how many of them; without it no cosignature is looked at. Its own logs count as `logKeys`. */
  readonly policy?: Policy
}

export interface VerifiedProof {
  readonly index: number
  readonly checkpoint: OpenedCheckpoint
  /** Which known witnesses have cosigned, and when (seconds since 1970, their word). */
  readonly witnesses: readonly { readonly name: string; readonly time: bigint }[]
}

/** Rejects with `LogInvalid`. `entry`: the exact bytes that should be in the log. */
export async function verifyProof(
  proof: LogProof,
  entry: Uint8Array,
  { logKeys, policy }: ProofTrust,
): Promise<VerifiedProof> {
  const keys = [...logKeys, ...(policy?.logs ?? []).map(log => log.key)]
  if (keys.length === 0) throw new LogInvalid('key_invalid', "expected the log's public key, or a policy that names it")
  const checkpoint = await openCheckpoint(proof.checkpoint, keys)
  const witnesses = policy === undefined ? [] : await cosigned(checkpoint, policy)
  const { index, hashes } = proof
  const { size, root } = checkpoint
  await verifyInclusion({ leafHash: await leafHash(entry), index, size, proof: hashes, root })
  return { index, checkpoint, witnesses }
}

/** The policy's witnesses on a checkpoint; rejects with `quorum_unmet` when they are not enough. */
export async function cosigned(
  checkpoint: OpenedCheckpoint,
  policy: Policy,
): Promise<readonly { readonly name: string; readonly time: bigint }[]> {
  const found: { readonly name: string; readonly time: bigint }[] = []
  for (const { name, key } of policy.witnesses) {
    const verifier = await cosignatureVerifier(key)
    const signature = checkpoint.note.signatures.find(s => s.name === verifier.name && s.id === verifier.id)
    if (signature === undefined) continue
    await openNote(checkpoint.note, [verifier])
    found.push({ name, time: cosignatureTime(signature) })
  }
  if (!meets(policy.quorum, new Set(found.map(({ name }) => name)))) {
    const names = found.map(({ name }) => name).join(', ')
    throw new LogInvalid(
      'quorum_unmet',
      `too few witnesses of the policy have cosigned: ${names === '' ? 'none' : names}`,
    )
  }
  return found
}

function malformed(expected: string): LogInvalid {
  return new LogInvalid('malformed', `expected a tlog-proof with ${expected}`)
}
