/** The owners' keys, where a command that shows rows finds them. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SealingFolder } from '../audit/seal.ts'
import { readEnvFile } from '../config/env-file.ts'
import { oneLine } from '../config/problem.ts'
import { Key, SERVER_KEY_BYTES } from '../keys/ring.ts'
import { KeyFolder, readSecretFile } from '../keys/store.ts'
import { keyFolderPath } from './chain-keys.ts'
import { type Context, located } from './context.ts'
import { CommandError } from './failure.ts'

export interface SealingOptions {
  readonly sealingFolder?: string
  readonly sealingKeyFile?: string
}

/** Flags, the environment, `.env`, then what `--dev` keeps. `undefined`: nothing was ever sealed here, or no key is known. */
export function findSealing(options: SealingOptions, logPath: string, context: Context): SealingFolder | undefined {
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  const configured = (variable: string): string | undefined => {
    const text = (context.environment[variable] ?? env[variable])?.trim()
    return text === undefined || text === '' ? undefined : text
  }
  const given = options.sealingFolder ?? configured('SIGNET_AUDIT_SEALING_FOLDER')
  const folder = given === undefined ? `${logPath}.owners` : located(context, given)
  // Looking makes no folder and no key; a file that was named has to be there all the same.
  if (!existsSync(folder)) {
    if (options.sealingKeyFile !== undefined) keyIn(located(context, options.sealingKeyFile))
    return undefined
  }
  const file = options.sealingKeyFile ?? configured('SIGNET_AUDIT_SEALING_KEY_FILE')
  try {
    if (file !== undefined) return new SealingFolder(folder, keyIn(located(context, file)))
    const path = keyFolderPath(undefined, context)
    if (!existsSync(path)) return undefined
    const keys = new KeyFolder(path)
    return keys.keys('sealing').length === 0 ? undefined : new SealingFolder(folder, keys.secret('sealing'))
  } catch (error) {
    throw new CommandError(oneLine(error))
  }
}

function keyIn(path: string): Key {
  try {
    return Key.fromHex('sealing', readSecretFile(path), SERVER_KEY_BYTES)
  } catch (error) {
    throw new CommandError(oneLine(error))
  }
}
