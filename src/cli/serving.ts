/** From resolved settings to a gate that listens. What cannot work is a one-line error before anything listens. */
import type { PipelineConfig } from '../config/pipeline.ts'
import type { Resolved } from '../config/resolve.ts'
import type { RunningControl } from '../control/start.ts'
import type { Crew } from '../workers/crew.ts'
import { type Backing, openBacking, type ServingEvents } from './backing.ts'
import { startControlOf } from './control-serving.ts'
import { type Listening, type ListeningGate, listen } from './listening.ts'
import type { Project } from './project.ts'
import { startProblem } from './start-problem.ts'

export interface Serving extends Listening {
  /** Whom `--dev` made to approve, and the file with the token that proves it. */
  readonly devApprover: { readonly token: string } | undefined
  /** Where the control plane listens; `undefined` when there is nothing to serve there: no log, and no metrics for others. */
  readonly controlUrl: string | undefined
  /** The transparency log's name and public key; `undefined` when it is off. */
  readonly log: { readonly origin: string; readonly key: string } | undefined
  /** The audit key, when it dies with this process and was not given: to verify the log later. */
  readonly ephemeralKey: { readonly id: string; readonly hex: string } | undefined
  /** Rejects when it cannot go on by itself: with several workers, when none of them stays up. */
  readonly failed: Promise<never>
  /** Looks for new keys now (SIGHUP). */
  reload(): void
  close(): Promise<void>
}

/** `folder`: the project folder, where `--dev` keeps keys. `file`: the pipeline file, which every worker runs too. */
export async function startServing(
  resolved: Resolved,
  pipeline: PipelineConfig,
  project: Project,
  events: ServingEvents = {},
): Promise<Serving> {
  const { settings } = resolved
  let crew: Crew | undefined
  let backing: Backing | undefined
  let control: RunningControl | undefined
  let gate: Pick<ListeningGate, 'close'> | undefined
  try {
    const opened = await openBacking(resolved, pipeline.checks, project.folder, {
      ...events,
      onAuditState: (ok, reason) => {
        events.onAuditState?.(ok, reason)
        crew?.health(reason)
      },
      onKeys: (ok, message) => {
        events.onKeys?.(ok, message)
        crew?.keys()
      },
    })
    backing = opened
    const { keys, approvals, capabilities, logName } = opened
    let listening: ListeningGate
    let failed = new Promise<never>(() => undefined)
    if (settings.workers > 1) {
      const { startWorkers } = await import('./primary.ts')
      const workers = await startWorkers(resolved, opened, project, events)
      crew = workers.crew
      failed = workers.crew.failed
      listening = workers.listening
    } else {
      const { audit, shared, log, counters, times, egress, demoUrl } = opened
      listening = await listen(resolved, pipeline, {
        audit: counters.counting(audit),
        receipts: keys.receipts,
        shared,
        log:
          log === undefined
            ? undefined
            : {
                rows: log.log,
                timeLimitMs: settings.assuranceTimeoutS * 1000,
                witnesses: log.witnesses !== undefined,
              },
        escalations: approvals.escalations,
        capabilities,
        counter: counters,
        times,
        egress,
        onAccessState: events.onAccessState,
        demoUrl,
      })
    }
    gate = listening
    opened.notices?.start(listening.gate.desk)
    control = await startControlOf(resolved, opened, listening, { checks: pipeline.checks, ...project })
    const { devToken } = approvals
    return {
      ...listening,
      controlUrl: control?.url,
      devApprover: devToken === undefined ? undefined : { token: devToken },
      log: logName,
      ephemeralKey: keys.ephemeralKey,
      failed,
      reload: () => keys.look(),
      close: async () => {
        // Before the desk that it reads; what happens from here on is found at the next start.
        await opened.notices?.close()
        await listening.close()
        await control?.close()
        await opened.close()
      },
    }
  } catch (error) {
    await backing?.notices?.close()
    await (gate?.close() ?? backing?.audit.close())?.catch(() => undefined)
    await backing?.close()
    throw startProblem(error, settings)
  }
}
