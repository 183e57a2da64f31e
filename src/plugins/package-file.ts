/** Reading one package.json as data: bounded, never a device or a pipe, never code. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { CHECK_ABI_VERSION } from '../core/check.ts'
import { MAX_NAME, plainText } from './plain-text.ts'

const MAX_PACKAGE_JSON = 1_048_576
const MAX_CHECKS = 100

/** What a package declares about one check, before it is compared with what others declare. */
export interface Declared {
  readonly name: string
  readonly target: string
  readonly version: string
  /** The number, or a word for what stands in its place; `null` when nothing does. */
  readonly abi: number | string | null
  /** `undefined` when the declaration is good. */
  readonly fault: { readonly status: 'malformed' | 'incompatible_abi'; readonly error: string } | undefined
}

/**
 * `"signet": { "abi": 1, "checks": { "my_check": "./dist/my-check.js#MyCheck" } }`. `undefined` when the package says
 * nothing about signet, or cannot be read at all: it is then no plugin.
 */
export async function readDeclarations(packageJson: string): Promise<readonly Declared[] | undefined> {
  const text = await readBounded(packageJson)
  // Most packages are none of ours: do not parse them.
  if (!text?.includes('"signet"')) return undefined
  const json = parse(text)
  if (!isObject(json)) return [whole('', null, 'package.json is not a JSON object')]
  const signet = json['signet']
  if (signet === undefined) return undefined
  const version = typeof json['version'] === 'string' ? plainText(json['version'], MAX_NAME) : ''
  if (!isObject(signet)) return [whole(version, null, '`signet` must be an object with `abi` and `checks`')]
  const abi = readAbi(signet['abi'])
  const checks = signet['checks']
  if (!isObject(checks)) return [whole(version, abi, '`signet.checks` must be an object: name to "./file.js#Export"')]
  const entries = Object.entries(checks)
  if (entries.length > MAX_CHECKS)
    return [whole(version, abi, `\`signet.checks\` may name at most ${MAX_CHECKS} checks`)]
  return entries.map(([name, target]) => readOne(name, target, version, abi))
}

/** The two halves of a target that has passed `readDeclarations`. */
export function splitTarget(target: string): { readonly file: string; readonly exported: string } | undefined {
  const [, file, exported] = TARGET.exec(target) ?? []
  return file === undefined || exported === undefined ? undefined : { file, exported }
}

/** A file below the package's own folder, and one export of it. */
const TARGET =
  /^(\.\/(?:[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*\/)*[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*\.[cm]?[jt]s)#([A-Za-z_$][A-Za-z0-9_$]*)$/
const NAME = /^[a-z][a-z0-9_]*$/

function readOne(name: string, target: unknown, version: string, abi: Declared['abi']): Declared {
  const row = { name: plainText(name, MAX_NAME), target: plainText(target), version, abi }
  const malformed = (error: string): Declared => ({ ...row, fault: { status: 'malformed', error } })
  if (name.length > MAX_NAME || !NAME.test(name)) return malformed('a check is named a-z, then a-z 0-9 _')
  if (typeof target !== 'string' || target.length > 1024 || !TARGET.test(target))
    return malformed('a target is "./path/in/the/package.js#Export"')
  if (abi !== CHECK_ABI_VERSION)
    return {
      ...row,
      fault: {
        status: 'incompatible_abi',
        error: `written for check ABI ${abi ?? '(not declared)'}; this signet has ${CHECK_ABI_VERSION}: look for a release of the package for it`,
      },
    }
  return { ...row, fault: undefined }
}

/** `true` is not 1, nor is "1", nor 1.5. */
function readAbi(value: unknown): Declared['abi'] {
  if (value === undefined) return null
  return Number.isSafeInteger(value) && typeof value === 'number' ? value : plainText(value, MAX_NAME)
}

function whole(version: string, abi: Declared['abi'], error: string): Declared {
  return { name: '', target: '', version, abi, fault: { status: 'malformed', error } }
}

async function readBounded(path: string): Promise<string | undefined> {
  // Opening a pipe without O_NONBLOCK would wait for its writer for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const stat = await file.stat()
    if (!stat.isFile() || stat.size > MAX_PACKAGE_JSON) return undefined
    const bytes = Buffer.alloc(stat.size)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return bytes.toString('utf8', 0, bytesRead)
  } catch {
    return undefined
  } finally {
    await file.close()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
