/** The transparency log of a gate that is being started: its key, its name, its folder, and how rows come to it. */
import { LogInvalid } from '../audit/log/errors.ts'
import { ED25519, type NoteSigner, noteKey } from '../audit/log/note.ts'
import { openTransparencyLog, type TransparencyLog } from '../audit/log/open.ts'
import { FileRows } from '../audit/log/rows.ts'
import type { Settings } from '../config/settings.ts'
import { SigningKey } from '../keys/signing.ts'
import { createPrivate, readPrivate, readSecretFile } from '../keys/store.ts'

/** Reserved for names that lead nowhere (RFC 2606): a log of this name is meant for nobody but its operator. */
const NOWHERE = 'signet.invalid'

/** The log's folder. */
export function logFolder({ transparencyLogPath, auditLogPath }: Settings): string {
  return transparencyLogPath ?? `${auditLogPath}.tlog`
}

export async function noteSigner(settings: Settings): Promise<NoteSigner> {
  const key = signingKey(settings)
  const origin = settings.transparencyLogOrigin ?? `${NOWHERE}/${Buffer.from(key.publicBytes()).toString('hex', 0, 8)}`
  return { key: await noteKey(origin, ED25519, key.publicBytes()), sign: data => key.sign(data) }
}

/** Where its key is. A log has one key for life, through --dev and production: it is kept with the rows. */
export function noteKeyPath({ transparencyLogKeyFile, auditLogPath }: Settings): string {
  return transparencyLogKeyFile ?? `${auditLogPath}.notes.pem`
}

function signingKey(settings: Settings): SigningKey {
  const path = noteKeyPath(settings)
  if (settings.transparencyLogKeyFile !== undefined) return SigningKey.fromPem(readSecretFile(path))
  return SigningKey.fromPem(readPrivate(path) ?? createPrivate(path, () => SigningKey.generate().privatePem()))
}

/** `rows`: how many are durable, and nothing else is in the file. */
export async function openLogOf(
  settings: Settings,
  signer: NoteSigner,
  rows: number,
  onState: (ok: boolean, reason: string) => void,
): Promise<TransparencyLog> {
  const path = logFolder(settings)
  try {
    const folders = settings.auditSegmentFolder === undefined ? [] : [settings.auditSegmentFolder]
    return await openTransparencyLog({
      path,
      signer,
      source: await FileRows.atEnd(settings.auditLogPath, rows, folders),
      rows,
      intervalMs: settings.checkpointIntervalS * 1000,
      onState,
    })
  } catch (error) {
    if (error instanceof LogInvalid) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new LogInvalid(
      'log_unreadable',
      `${path} cannot be opened (${code}); create the folder above it, or check that this user may write it`,
      { cause: error },
    )
  }
}
