/**
 * What is kept of a witness between starts: the largest tree that it has cosigned, and what went wrong last. One file per
 * key in the log's folder. A lost or damaged file costs one more request, and what only it would have shown.
 */
import { fromBase64, fromUtf8, toBase64, toUtf8 } from './bytes.ts'
import type { FolderFiles } from './folder-files.ts'
import { keepFile } from './kept-file.ts'
import { HASH_BYTES } from './merkle.ts'
import { formatKey, type NoteKey } from './note.ts'
import { leafHashOf } from './sha256.ts'

export interface WitnessState {
  readonly size: number
  /** Of the tree of that size; `undefined` before the first cosignature. */
  readonly root: Uint8Array | undefined
  /** When it cosigned last, by its own clock, in seconds since 1970; 0 for never. */
  readonly cosignedAt: number
  /** What went wrong since then; one line. */
  readonly problem: string | undefined
}

export const UNSEEN: WitnessState = { size: 0, root: undefined, cosignedAt: 0, problem: undefined }

const FOLDER = 'witnesses'

/** Named after the key and not after the witness: another key has seen nothing yet. */
function fileOf(key: NoteKey): string {
  const digest = leafHashOf(key.publicKey)
  return `${FOLDER}/${Buffer.from(digest).toString('hex', 0, 8)}`
}

export async function readWitnessState(files: FolderFiles, key: NoteKey): Promise<WitnessState> {
  const bytes = await files.read(fileOf(key))
  if (bytes === undefined) return UNSEEN
  try {
    const found: unknown = JSON.parse(fromUtf8(bytes))
    if (typeof found !== 'object' || found === null) return UNSEEN
    const { size, root, cosigned_at, problem } = { ...UNSEEN, cosigned_at: 0, ...found } as Record<string, unknown>
    const hash = typeof root === 'string' ? fromBase64(root) : undefined
    if (!isCount(size) || !isCount(cosigned_at)) return UNSEEN
    return {
      size,
      root: hash?.length === HASH_BYTES ? hash : undefined,
      cosignedAt: cosigned_at,
      problem: typeof problem === 'string' ? problem : undefined,
    }
  } catch {
    return UNSEEN
  }
}

export async function keepWitnessState(files: FolderFiles, key: NoteKey, state: WitnessState): Promise<void> {
  const { size, root, cosignedAt, problem } = state
  const text = JSON.stringify({
    v: 1,
    key: formatKey(key),
    size,
    ...(root === undefined ? {} : { root: toBase64(root) }),
    cosigned_at: cosignedAt,
    ...(problem === undefined ? {} : { problem }),
  })
  await keepFile(files, fileOf(key), toUtf8(`${text}\n`))
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
