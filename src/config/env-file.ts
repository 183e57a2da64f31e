/** `.env`: lines of `NAME=value`, as Node itself reads them. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ConfigError, errorCode, shown } from './problem.ts'
import { type Reader, refuseUntrusted, thisReader } from './trusted-file.ts'

export interface EnvFile {
  readonly variables: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}

const NONE: EnvFile = Object.freeze({ variables: Object.freeze({}), warnings: Object.freeze([]) })

const SECRETS = [
  'SIGNET_HMAC_SECRET',
  'SIGNET_HMAC_LEGACY_KEYS',
  'SIGNET_UPSTREAM_API_KEY',
  'SIGNET_ANTHROPIC_UPSTREAM_API_KEY',
]

/** A file named by the operator must exist; the one looked for by itself need not. */
export function readEnvFile(path: string, required: boolean, reader: Reader = thisReader()): EnvFile {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (!required && errorCode(error) === 'ENOENT') return NONE
    throw new ConfigError([`${path}: cannot be read (${errorCode(error)}); check the path and who may read it`])
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new ConfigError([`${path}: is not a file; give the path of a file with NAME=value lines`])
    refuseUntrusted(path, stat, reader)
    if (stat.size > 1 << 20) throw new ConfigError([`${path}: is larger than 1 MiB; give a file with NAME=value lines`])
    const text = readFileSync(fd, 'utf8').replace(/^\ufeff/, '')
    const variables = readVariables(text, path)
    const open =
      reader.platform !== 'win32' && (stat.mode & 0o077) !== 0 && SECRETS.some(name => (variables[name] ?? '') !== '')
    return {
      variables,
      warnings: open ? [`${path} holds secrets and can be read by others; run: chmod 600 ${shown(path)}`] : [],
    }
  } finally {
    closeSync(fd)
  }
}

/** The variables of such a text; throws a `ConfigError` that names each line which is none. */
export function readVariables(text: string, path: string): Readonly<Record<string, string>> {
  // Node reads a last line without an end of its own differently when its value is empty.
  const read = parseEnv(`${text}\n`)
  const problems = unread(text, read).map(line => `${path}:${line}: expected NAME=value`)
  if (problems.length > 0) throw new ConfigError(problems)
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(read)) if (value !== undefined) variables[name] = value
  return variables
}

/** Node skips what it cannot read; a setting that is written down but not read would be a protection that is not there. */
function unread(text: string, read: NodeJS.Dict<string>): readonly number[] {
  const bad: number[] = []
  let quote: string | undefined
  for (const [index, ended] of text.split('\n').entries()) {
    const line = ended.endsWith('\r') ? ended.slice(0, -1) : ended
    // Node drops a CR in the middle of a line, and two lines become one.
    if (line.includes('\r')) bad.push(index + 1)
    if (quote !== undefined) {
      if (line.includes(quote)) quote = undefined
      continue
    }
    if (/^[ \t]*(?:#|$)/.test(line)) continue
    // Blanks and tabs only: Node takes any other white space for a part of the name.
    const match = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(["'`]?)(.*)$/.exec(line)
    if (match === null || !Object.hasOwn(read, match[1] ?? '')) bad.push(index + 1)
    else if (match[2] !== undefined && match[2] !== '' && !(match[3] ?? '').includes(match[2])) quote = match[2]
  }
  return [...new Set(bad)]
}
