/** Verify a log over all cores; a small one here, for a thread costs more than it saves. */
import { stat } from 'node:fs/promises'
import { AuditError } from '../audit/files.ts'
import { type VerifyOptions, verifyLog } from '../audit/verify.ts'
import { verifyParallel } from '../audit/verify-parallel.ts'
import type { VerifyReport } from '../audit/verify-report.ts'
import { VERSION } from '../config/version.ts'
import type { KeyRing } from '../keys/ring.ts'
import type { Context } from './context.ts'
import { CommandError } from './failure.ts'

const SMALL_BYTES = 8 * 1024 * 1024

/** A broken log is a report; a log that cannot be read is a one-line error. */
export async function verifyAnyLog(
  path: string,
  ring: KeyRing,
  context: Context,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const [size, rolled] = await Promise.all([sizeOf(path), sizeOf(`${path}.manifest`)])
  const verify = size < SMALL_BYTES && rolled === 0 ? verifyLog : verifyParallel
  try {
    return await verify(path, ring, { version: VERSION, now: () => new Date(context.now()), ...options })
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    found => found.size,
    () => 0,
  )
}
