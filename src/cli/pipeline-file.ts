/** A pipeline file, run as the gate would run it. */
import type { EnvFile } from '../config/env-file.ts'
import type { PipelineConfig } from '../config/pipeline.ts'
import { type Context, located } from './context.ts'

export async function runPipelineFile(file: string, { variables }: EnvFile, context: Context): Promise<PipelineConfig> {
  const { loadPipeline } = await import('../config/load-pipeline.ts')
  // It may need variables of its own from `.env`; the gate's settings and Node's switches are not among them.
  for (const [name, value] of Object.entries(variables)) {
    if (!/^(?:SIGNET_|NODE_)/i.test(name)) process.env[name] ??= value
  }
  return loadPipeline(located(context, file))
}
