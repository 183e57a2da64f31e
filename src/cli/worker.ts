/**
 * The program of a worker process: started by the primary, never by hand. It is told everything over its connection, runs
 * the pipeline file, listens, and leaves when it is asked to or when the primary is gone.
 */
import { keepCompiledCode, keepHeapSmall } from './engine.ts'

keepCompiledCode()
// The primary decides who leaves: a Ctrl-C, or a supervisor that signals the whole group, reaches workers too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

const { default: cluster } = await import('node:cluster')
// Whatever goes wrong on Node's own channel, the primary is gone.
cluster.worker?.on('error', () => process.exit(1))
const { Socket } = await import('node:net')
const { Worker } = await import('../workers/worker.ts')
const { LINK_FD } = await import('../workers/fd.ts')

const worker = new Worker(new Socket({ fd: LINK_FD, readable: true, writable: true }), {
  // Nothing that this process still does can be recorded.
  onOver: () => process.exit(1),
})
try {
  const { readBegin, listeningFacts } = await import('./worker-facts.ts')
  const { startProblem } = await import('./start-problem.ts')
  const { ConfigError } = await import('../config/problem.ts')
  const begin = readBegin(await worker.begun)
  try {
    const { folder, file, variables } = begin.project
    const pipeline =
      file === undefined
        ? (await import('../config/default-pipeline.ts')).defaultPipeline({ demo: begin.demoUrl !== undefined })
        : await (await import('./pipeline-file.ts')).runPipelineFile(file, { variables, warnings: [] }, { folder })
    const { listen } = await import('./listening.ts')
    const { openEgress } = await import('../plugins/egress.ts')
    const { systemClock } = await import('../state/system.ts')
    const egress = openEgress()
    const { audit, receipts, shared, escalations, log, counting, timing, capabilities, issued, redemptions } =
      worker.ground
    const { settings } = begin
    let load = { active: 0, heldBytes: 0 }
    const listening = await listen(begin, pipeline, {
      audit,
      receipts: begin.receipts ? receipts : undefined,
      shared,
      log:
        begin.log === undefined
          ? undefined
          : { rows: log, timeLimitMs: settings.assuranceTimeoutS * 1000, witnesses: begin.log.witnesses },
      escalations: {
        policy: {
          approvers: begin.approvers,
          ...(begin.quorum === undefined ? {} : { quorum: begin.quorum }),
          ...(settings.approverAuth === 'passkey' ? { auth: settings.approverAuth } : {}),
        },
        store: escalations,
        key: begin.key,
        ttlMs: settings.escalationTtlS * 1000,
        sweptElsewhere: true,
      },
      capabilities:
        begin.capabilities === undefined
          ? undefined
          : {
              signer: capabilities,
              issuer: settings.issuer,
              ttlS: settings.capabilityTtlS,
              redeemers: settings.redeemers,
              redemptions: redemptions(begin.capabilities.durable),
              issued,
            },
      counter: counting(() => load),
      times: timing(systemClock, () => performance.now()),
      egress,
      demoUrl: begin.demoUrl,
    })
    load = listening.gate.load
    worker.onNoticed = id => listening.gate.desk.noticed(id)
    keepHeapSmall()
    worker.listening(listeningFacts(listening))
    await worker.asked
    await listening.close().catch(() => undefined)
    await egress.close()
    await worker.finish()
    process.exit(0)
  } catch (error) {
    const problem = startProblem(error, begin.settings)
    worker.failed(problem instanceof ConfigError ? problem.problems.join('\n') : 'the worker cannot start')
    await worker.finish()
    process.exit(1)
  }
} catch {
  process.exit(1)
}
