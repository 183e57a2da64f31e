/** Bounded decompression for the decoders: never throws, never gives more than the bound. */
import { constants, gunzipSync, inflateSync } from 'node:zlib'

const MAX_OUTPUT = 1_048_576

export function inflate(bytes: Uint8Array, format: 'gzip' | 'zlib'): Uint8Array | 'too_large' | undefined {
  try {
    // A stream cut short still shows what it holds.
    const options = { maxOutputLength: MAX_OUTPUT, finishFlush: constants.Z_SYNC_FLUSH }
    return format === 'gzip' ? gunzipSync(bytes, options) : inflateSync(bytes, options)
  } catch (error) {
    return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      ? 'too_large'
      : undefined
  }
}
