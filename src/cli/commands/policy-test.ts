/** `signet policy test`: a table of tool calls, each with what the pipeline is expected to say. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { readEnvFile } from '../../config/env-file.ts'
import { type PolicyTable, readPolicyTable } from '../../config/policy-table.ts'
import { ConfigError, oneLine } from '../../config/problem.ts'
import { refuseUntrusted } from '../../config/trusted-file.ts'
import { type Context, fileError, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { runPipelineFile } from '../pipeline-file.ts'
import { type CaseResult, runPolicyTable, type Said } from '../policy-run.ts'

interface Options {
  readonly pipeline: string
  readonly check?: readonly string[]
  readonly json?: true
}

const DEFAULTS = ['policy.test.json', 'policy.test.ts']

export async function test(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const file = given ?? DEFAULTS.find(name => existsSync(located(context, name)))
  if (file === undefined) {
    throw new CommandError(
      `expected a table in ${DEFAULTS.join(' or ')}, or its path as the argument; the least one is {"cases":[{"tool":"NAME","expect":"block"}]}`,
    )
  }
  const { systemClock } = await import('../../state/system.ts')
  const pipeline = await runPipelineFile(options.pipeline, readEnvFile(located(context, '.env'), false), context)
  const only = options.check ?? []
  const unknown = only.find(name => !pipeline.checks.some(check => check.name === name))
  if (unknown !== undefined) throw new CommandError(`--check: ${options.pipeline} has no check '${unknown}'`)
  const table = await tableIn(file, context)
  const results = await runPolicyTable(pipeline, table, { ...systemClock, now: context.now }, only)
  const failed = results.filter(result => !result.ok)
  if (options.json === true) {
    terminal.json({ ok: failed.length === 0, table: file, pipeline: options.pipeline, cases: results })
  } else {
    for (const result of results) print(result, context)
    const count = `${results.length} ${results.length === 1 ? 'case' : 'cases'}`
    if (failed.length === 0) terminal.line({ text: 'OK', colour: 'green' }, `: ${count} as expected.`)
    else terminal.line({ text: 'FAILED', colour: 'red' }, `: ${failed.length} of ${count} not as expected.`)
  }
  context.exit(failed.length === 0 ? DONE : FAILED)
}

function print({ index, name, ok, expected, got }: CaseResult, { terminal }: Context): void {
  if (ok) {
    terminal.line({ text: 'ok     ', colour: 'green' }, `${index} ${name}: ${inWords(got)}`)
    return
  }
  terminal.line({ text: 'failed ', colour: 'red' }, `${index} ${name}`)
  terminal.line(`         expected ${inWords(expected)}`)
  terminal.line(`         got      ${inWords(got)}`)
  if (got.reason !== undefined) terminal.line(`         because  ${got.reason}`)
}

function inWords({ verdict, code, check, rule }: Said): string {
  return [
    verdict,
    ...(code === undefined ? [] : [code]),
    ...(check === undefined ? [] : [`by ${check}`]),
    ...(rule === undefined ? [] : [`rule '${rule}'`]),
  ].join(' ')
}

async function tableIn(file: string, context: Context): Promise<PolicyTable> {
  const path = located(context, file)
  let given: unknown
  if (/\.[cm]?[jt]s$/.test(file)) {
    try {
      // It is code, like the pipeline file.
      refuseUntrusted(file, statSync(path))
      const module: unknown = await import(pathToFileURL(path).href)
      given = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined
    } catch (error) {
      if (error instanceof ConfigError) throw error
      throw new CommandError(`${file}: cannot be run: ${oneLine(error)}`)
    }
  } else {
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      throw fileError(file, error)
    }
    try {
      given = JSON.parse(text)
    } catch {
      throw new CommandError(`${file}: is no JSON`)
    }
  }
  try {
    return readPolicyTable(given)
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(error.problems.map(problem => `${file}: ${problem}`))
    throw error
  }
}
