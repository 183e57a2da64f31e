/**
 * Small files in a log's folder that are no part of the log as it is served: what a witness has seen, an alarm, an
 * anchor. Complete or absent under its name, and there after a power cut, when `keepFile` resolves. One writer per path and process.
 */
import { dirname } from 'node:path/posix'
import type { FolderFiles } from './folder-files.ts'

export async function keepFile(files: FolderFiles, path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path)
  if (folder !== '.' && (await files.makeFolder(folder))) await files.syncFolder('.')
  const aside = `${path}.${process.pid}.new`
  await files.writeSynced(aside, bytes)
  await files.rename(aside, path)
  await files.syncFolder(folder)
}
