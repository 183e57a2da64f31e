/** Bounded decompression for the decoders: never throws, never gives more than the bound. */
import { constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'

const MAX_OUTPUT = 1_048_576
// A stream cut short still shows what it holds.
const OPTIONS = { maxOutputLength: MAX_OUTPUT, finishFlush: constants.Z_SYNC_FLUSH }

export function inflate(bytes: Uint8Array, format: 'gzip' | 'zlib'): Uint8Array | 'too_large' | undefined {
  const whole = attempt(() => (format === 'gzip' ? gunzipSync(bytes, OPTIONS) : inflateSync(bytes, OPTIONS)))
  if (whole !== undefined) return whole
  // Node refuses what has bytes behind it that are none of it, or a wrong checksum; somebody who unpacks by hand does not.
  const head = format === 'gzip' ? gzipHeader(bytes) : 2
  const raw = attempt(() => inflateRawSync(bytes.subarray(head), OPTIONS))
  return raw === undefined || raw.length === 0 ? undefined : raw
}

function attempt(unpack: () => Uint8Array): Uint8Array | 'too_large' | undefined {
  try {
    return unpack()
  } catch (error) {
    return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      ? 'too_large'
      : undefined
  }
}

/** RFC 1952 2.3: ten bytes, then what the flags say. */
function gzipHeader(b: Uint8Array): number {
  const flags = b[3] ?? 0
  let at = 10
  if ((flags & 4) !== 0) at += 2 + ((b[at] ?? 0) | ((b[at + 1] ?? 0) << 8))
  for (const flag of [8, 16])
    if ((flags & flag) !== 0) {
      const end = b.indexOf(0, at)
      at = end < 0 ? b.length : end + 1
    }
  return (flags & 2) !== 0 ? at + 2 : at
}
