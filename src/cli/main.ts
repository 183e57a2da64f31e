/** The command line: parse, run one command, say how it ended. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { ConfigError, oneLine } from '../config/problem.ts'
import { VERSION } from '../config/version.ts'
import { registerAudit } from './commands/audit.ts'
import { registerBench } from './commands/bench.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerEscalations } from './commands/escalations.ts'
import { registerInit } from './commands/init.ts'
import { registerKeys } from './commands/keys.ts'
import { registerLint } from './commands/lint.ts'
import { registerLog } from './commands/log.ts'
import { registerNotify } from './commands/notify.ts'
import { registerPasskeys } from './commands/passkeys.ts'
import { registerPlugins } from './commands/plugins.ts'
import { registerPolicy } from './commands/policy.ts'
import { registerReceipt } from './commands/receipt.ts'
import { registerServe } from './commands/serve.ts'
import type { Context } from './context.ts'
import { CommandError, DONE, type ExitCode, UNUSABLE } from './failure.ts'
import { isNpmScriptOfOurs, parentGone } from './launcher.ts'
import { type Output, openTerminal } from './terminal.ts'

export interface Io extends Omit<Context, 'exit' | 'terminal'> {
  readonly out: Output
  readonly error: Output
}

export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  const terminal = openTerminal(io)
  let exitCode: ExitCode = DONE
  const context: Context = {
    terminal,
    environment: io.environment,
    folder: io.folder,
    now: io.now,
    input: io.input,
    asked: io.asked,
    ...(io.onHangup === undefined ? {} : { onHangup: io.onHangup }),
    ...(io.outliveReaders === undefined ? {} : { outliveReaders: io.outliveReaders }),
    exit: code => {
      exitCode = code
    },
  }
  const program = new Command('signet')
    .description('The model decides what to do; signet decides whether the decision may fire.')
    .version(`signet ${VERSION}`, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .configureOutput({
      writeOut: text => lines(text, terminal.line),
      writeErr: text => lines(text, terminal.note),
      outputError: (text, write) => write(text.replace(/^error: /, 'Error: ')),
      getOutHelpWidth: () => io.out.columns ?? 100,
      getErrHelpWidth: () => io.error.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
  for (const register of [
    registerInit,
    registerServe,
    registerDoctor,
    registerLint,
    registerPolicy,
    registerAudit,
    registerReceipt,
    registerLog,
    registerEscalations,
    registerKeys,
    registerPasskeys,
    registerNotify,
    registerPlugins,
    registerBench,
  ]) {
    register(program, context)
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    return explain(error, context)
  }
}

function explain(error: unknown, { terminal }: Context): ExitCode {
  // What commander itself refuses it has already said. Help and version end the program by a throw too, with exit code 0; every other usage error is 2 here, whatever commander says.
  if (error instanceof CommanderError && !(error instanceof InvalidArgumentError))
    return error.exitCode === 0 ? DONE : UNUSABLE
  if (error instanceof ConfigError) {
    for (const problem of error.problems) terminal.note({ text: 'Error: ', colour: 'red' }, problem)
    return UNUSABLE
  }
  terminal.note({ text: 'Error: ', colour: 'red' }, oneLine(error))
  return error instanceof CommandError ? error.exitCode : UNUSABLE
}

/** Commander's own texts have several lines; each is printed as one. */
function lines(text: string, print: (line: string) => void): void {
  for (const line of text.replace(/\n$/, '').split('\n')) print(line)
}

/** Run with this process's arguments, streams and signals. */
export async function start(): Promise<void> {
  // From here on: a parent that goes while the gate starts counts too.
  const launcherGone = isNpmScriptOfOurs(process.env) ? parentGone({ id: () => process.ppid, often }) : undefined
  let ends = true
  for (const stream of [process.stdout, process.stderr]) {
    // `signet audit tail | head`: the reader has gone, which is no failure of ours.
    stream.on('error', error => {
      if (ends) process.exit('code' in error && error.code === 'EPIPE' ? DONE : UNUSABLE)
    })
  }
  process.exitCode = await run(process.argv.slice(2), {
    out: process.stdout,
    error: process.stderr,
    environment: process.env,
    folder: process.cwd(),
    now: Date.now,
    input: readInput,
    asked: () => askedToEnd(launcherGone),
    onHangup,
    outliveReaders: () => {
      ends = false
    },
  })
}

async function readInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function onHangup(f: () => void): () => void {
  process.on('SIGHUP', f)
  return () => process.off('SIGHUP', f)
}

function askedToEnd(launcherGone: Promise<void> | undefined): Promise<string> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal))
    void launcherGone?.then(() => resolve('npm, which started this, is gone'))
  })
}

function often(f: () => void): () => void {
  const timer = setInterval(f, 1000).unref()
  return () => clearInterval(timer)
}
