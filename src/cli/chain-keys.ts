/** The keys of the audit chain, from wherever the operator keeps them. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readEnvFile } from '../config/env-file.ts'
import { ConfigError, oneLine } from '../config/problem.ts'
import { fromEnvironment, fromFlags, type Settings, settle } from '../config/settings.ts'
import { keyIdProblem } from '../config/values.ts'
import { type DatedKey, Key, KeyRing, SERVER_KEY_BYTES } from '../keys/ring.ts'
import { KeyFolder, type KeyPurpose, macKeys, readSecretFile } from '../keys/store.ts'
import { type Context, located } from './context.ts'
import { CommandError } from './failure.ts'

export interface KeyOptions {
  readonly hmacSecret?: string
  readonly hmacSecretFile?: string
  readonly keyId?: string
  readonly legacyKey?: readonly string[]
}

/** The key folder unless another one is set, below the project folder: where `--dev` keeps its keys. */
export const DEV_FOLDER = '.signet'

/** Where a gate's key folder is. */
export function keyFolderOf({ keyFolder }: Pick<Settings, 'keyFolder'>, folder: string): string {
  return keyFolder ?? join(folder, DEV_FOLDER)
}

/** The chain keys of a key folder, if it has any. Looking does not make one. */
function folderKeys(path: string): readonly DatedKey[] {
  return existsSync(path) ? macKeys(new KeyFolder(path).keys('chain')) : []
}

/** Where the key folder is: the flag, the environment, `.env`, or below the project folder. */
export function keyFolderPath(flag: string | undefined, context: Context): string {
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  const { settings } = settle([
    fromFlags({ keyFolder: flag }),
    fromEnvironment(keyVariables(context.environment), ''),
    fromEnvironment(keyVariables(env), '.env'),
  ])
  return located(context, settings.keyFolder ?? DEV_FOLDER)
}

/** The variable, here or in `.env`, that gives one key for this purpose and so leaves the key folder's unused. */
export function signsInstead(purpose: KeyPurpose, context: Context): string | undefined {
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  return (GIVEN[purpose] ?? []).find(name => (context.environment[name] ?? env[name] ?? '') !== '')
}

const GIVEN: { readonly [P in KeyPurpose]?: readonly string[] } = {
  chain: ['SIGNET_HMAC_SECRET', 'SIGNET_HMAC_SECRET_FILE'],
  receipts: ['SIGNET_RECEIPT_KEY_FILE', 'SIGNET_RECEIPT_SIGNER'],
  capabilities: ['SIGNET_CAPABILITY_KEY_FILE'],
}

/** Flags, then the environment, then `.env`, then the key folder. `undefined`: no key anywhere. */
export function findKeyRing(options: KeyOptions, context: Context): KeyRing | undefined {
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  const flags = fromFlags({
    hmacSecret: options.hmacSecret,
    hmacSecretFile: options.hmacSecretFile,
    hmacKeyId: options.keyId,
  })
  const layers = [
    flags,
    fromEnvironment(keyVariables(context.environment), ''),
    fromEnvironment(keyVariables(env), '.env'),
  ]
  // A key from the command line is meant instead of the one in the environment, in whichever of the two forms.
  const givenAsFlag = options.hmacSecret !== undefined || options.hmacSecretFile !== undefined
  const { settings, from } = settle(layers)
  const kept = folderKeys(located(context, settings.keyFolder ?? DEV_FOLDER))
  const secret = secretOf()
  const legacy = [
    ...Object.entries(settings.hmacLegacyKeys).map(([id, hex]) => Key.fromHex(id, hex)),
    ...(options.legacyKey ?? []).map(legacyKey),
  ]
  const signing: readonly DatedKey[] =
    secret === undefined ? kept : [{ key: secret, notBefore: undefined, notAfter: undefined }]
  // Whoever brings a key wants to know whether it is this log's: keys that lie beside the log must not answer for it.
  const others =
    secret === undefined || givenAsFlag ? [] : kept.map(({ key }) => key).filter(({ id }) => id !== secret.id)
  const [first, ...rest] = legacy
  if (signing.length > 0) return ringOf(() => KeyRing.dated(signing, [...legacy, ...others]))
  return first === undefined ? undefined : ringOf(() => new KeyRing(first, rest))

  function secretOf(): Key | undefined {
    const useFile = settings.hmacSecretFile !== undefined && !(givenAsFlag && options.hmacSecretFile === undefined)
    const useText = settings.hmacSecret !== undefined && !(givenAsFlag && options.hmacSecret === undefined)
    if (useFile && useText)
      throw new CommandError(
        `${from.get('hmacSecret')}: set together with ${from.get('hmacSecretFile')}; keep one of them`,
      )
    if (useText && settings.hmacSecret !== undefined) return Key.fromHex(settings.hmacKeyId, settings.hmacSecret)
    if (!useFile || settings.hmacSecretFile === undefined) return undefined
    return Key.fromHex(settings.hmacKeyId, readSecretFile(located(context, settings.hmacSecretFile)), SERVER_KEY_BYTES)
  }
}

/** Only what is about keys: a command that reads a log does not care about a wrong port. */
function keyVariables(
  variables: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) => name.startsWith('SIGNET_HMAC_') || name === 'SIGNET_KEY_FOLDER'),
  )
}

function ringOf(make: () => KeyRing): KeyRing {
  try {
    return make()
  } catch (error) {
    throw new ConfigError([oneLine(error)])
  }
}

function legacyKey(text: string): Key {
  const cut = text.indexOf('=')
  if (cut < 0) throw new CommandError('--legacy-key: expected id=hex')
  const id = text.slice(0, cut)
  const problem = keyIdProblem(id)
  if (problem !== undefined) throw new CommandError(`--legacy-key: the key id ${problem}`)
  return Key.fromHex(id, text.slice(cut + 1).trim())
}
