/** `signet lint`: what is wrong with a pipeline, before it gates anything. The file is code and is run. */
import type { PipelineConfig } from '../../config/pipeline.ts'
import type { Clock } from '../../core/clock.ts'
import { type Context, located, pathOption, type Register } from '../context.ts'
import { DONE, FAILED } from '../failure.ts'
import type { Finding } from '../lint-rules.ts'

interface Options {
  readonly strict?: true
  readonly json?: true
}

export const registerLint: Register = (program, context) => {
  program
    .command('lint')
    .description('check a pipeline file (runs it)')
    .argument('[file]', 'the pipeline file', pathOption, 'pipeline.ts')
    .option('--strict', 'fail on warnings too')
    .option('--json', 'print JSON')
    .action((file: string, options: Options) => lint(file, options, context))
}

async function lint(file: string, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { readEnvFile } = await import('../../config/env-file.ts')
  const { runPipelineFile } = await import('../pipeline-file.ts')
  const { lintChecks } = await import('../lint-rules.ts')
  const { VERSION } = await import('../../config/version.ts')
  const pipeline = await runPipelineFile(file, readEnvFile(located(context, '.env'), false), context)
  const findings = [...(await unusable(pipeline)), ...lintChecks(pipeline.checks, pipeline.settings.shadow === true)]
  const failed = findings.some(({ level }) => level === 'error' || options.strict === true)

  if (options.json === true) terminal.json({ ok: !failed, file, signet_version: VERSION, findings })
  else {
    for (const { code, level, check, message } of findings) {
      const where = check === undefined ? '' : ` [${check}]`
      terminal.line({ text: `${level} ${code}`, colour: level === 'error' ? 'red' : 'yellow' }, `${where}: ${message}`)
    }
    if (!failed) {
      const note =
        findings.length === 0 ? '' : ` (${findings.length} ${findings.length === 1 ? 'warning' : 'warnings'})`
      terminal.line({ text: 'OK', colour: 'green' }, `: pipeline passes the v${VERSION} lint checks${note}.`)
    }
  }
  context.exit(failed ? FAILED : DONE)
}

/** Building a pipeline asks for no time. */
const STILL: Clock = { now: () => 0, nowNs: () => 0n, timer: () => () => {} }

/** What would keep the gate from starting with this file. */
async function unusable(pipeline: PipelineConfig): Promise<readonly Finding[]> {
  const { fromPipeline, settle } = await import('../../config/settings.ts')
  const { ConfigError, oneLine } = await import('../../config/problem.ts')
  const { buildPipeline } = await import('../../pipeline/pipeline.ts')
  const { openIdentity } = await import('../../identity/open.ts')
  const { randomBytes } = await import('node:crypto')
  const findings: Finding[] = []
  const { identity } = pipeline.settings
  try {
    // Made and not asked: nothing is fetched.
    const egress = { send: () => Promise.reject(new Error('lint calls nobody')) }
    if (typeof identity === 'object') await openIdentity(identity, { egress, now: () => 0, randomBytes })
  } catch (error) {
    findings.push({ code: 'SIG000', level: 'error', message: oneLine(error) })
  }
  try {
    settle([fromPipeline(pipeline.settings, '')])
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [oneLine(error)]
    for (const message of problems) findings.push({ code: 'SIG000', level: 'error', message })
  }
  try {
    buildPipeline({ checks: pipeline.checks, clock: STILL })
  } catch (error) {
    findings.push({ code: 'SIG000', level: 'error', message: oneLine(error) })
  }
  return findings
}
