/** A pipeline file, run as the gate would run it. */

import { resolve } from 'node:path'
import type { EnvFile } from '../config/env-file.ts'
import type { PipelineConfig } from '../config/pipeline.ts'

export async function runPipelineFile(
  file: string,
  { variables }: EnvFile,
  { folder }: { readonly folder: string },
): Promise<PipelineConfig> {
  const { loadPipeline } = await import('../config/load-pipeline.ts')
  // It may need variables of its own from `.env`; the gate's settings and Node's switches are not among them.
  for (const [name, value] of Object.entries(variables)) {
    if (!/^(?:SIGNET_|NODE_)/i.test(name)) process.env[name] ??= value
  }
  return loadPipeline(resolve(folder, file))
}
