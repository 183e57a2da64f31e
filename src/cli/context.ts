/** What a command may touch. Everything of the process comes through here, so a test runs a command without one. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { pathProblem } from '../config/paths.ts'
import { CommandError, type ExitCode } from './failure.ts'
import type { Terminal } from './terminal.ts'

export interface Context {
  readonly terminal: Terminal
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly folder: string
  readonly now: () => number
  /** The whole of standard input, as bytes. */
  readonly input: () => Promise<Uint8Array>
  /** Resolves when the process is asked to end (SIGINT, SIGTERM, or npm that started it is gone), with a word for why. */
  readonly asked: () => Promise<string>
  /** Calls back whenever the process gets SIGHUP; returns how to stop that. */
  readonly onHangup?: (f: () => void) => () => void
  /** From here on whoever reads the output may go: that costs lines, and does not end the process. */
  readonly outliveReaders?: () => void
  /** How the command ended. */
  exit(code: ExitCode): void
}

/** Adds its command to the program. Heavy modules are imported inside the action: `signet --help` needs none of them. */
export type Register = (program: Command, context: Context) => void

/** Every option and argument that is a path goes through this. */
export function pathOption(text: string): string {
  const problem = pathProblem(text)
  if (problem !== undefined) throw new InvalidArgumentError(problem)
  return text
}

export function wholeNumberOption(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`)
  }
}

export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

/** The file a path option means. */
export function located(context: Context, path: string): string {
  return resolve(context.folder, path)
}

/** An http(s) URL given on the command line. */
export function urlOption(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new InvalidArgumentError('expected a URL such as http://127.0.0.1:8443')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new InvalidArgumentError('expected an http:// or https:// URL')
  if (/[\p{Cc}\p{Cf}\p{Z}]/u.test(text)) throw new InvalidArgumentError('holds a blank or an invisible character')
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError('must not hold a user name or password')
  return text.replace(/\/+$/, '')
}

/** `FILE: reason` for a file that cannot be used, without a trace. */
export function fileError(path: string, error: unknown): CommandError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (code === 'ENOENT') return new CommandError(`${path}: no such file`)
  if (code === 'EISDIR') return new CommandError(`${path}: is a folder, expected a file`)
  return new CommandError(`${path}: cannot be used (${code ?? 'unknown error'})`)
}
