/** From resolved settings to a gate that listens. What cannot work is a one-line error before anything listens. */
import type { PipelineConfig } from '../config/pipeline.ts'
import type { Resolved } from '../config/resolve.ts'
import type { Crew } from '../workers/crew.ts'
import { type Backing, openBacking, type ServingEvents, startProblem } from './backing.ts'
import { type Listening, listen } from './listening.ts'
import type { Project } from './project.ts'

export type { ServingEvents } from './backing.ts'

export interface Serving extends Omit<Listening, 'port'> {
  /** The audit key, when it dies with this process and was not given: to verify the log later. */
  readonly ephemeralKey: { readonly id: string; readonly hex: string } | undefined
  /** Rejects when it cannot go on by itself: with several workers, when none of them stays up. */
  readonly failed: Promise<never>
  /** Looks for new keys now (SIGHUP). */
  reload(): void
}

/** `folder`: the project folder, where `--dev` keeps keys. `file`: the pipeline file, which every worker runs too. */
export async function startServing(
  resolved: Resolved,
  pipeline: PipelineConfig,
  { folder, file, variables }: Project,
  events: ServingEvents = {},
): Promise<Serving> {
  let backing: Backing | undefined
  try {
    let crew: Crew | undefined
    const opened = await openBacking(resolved, folder, {
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
    const { keys, audit, shared, demoUrl } = opened
    if (resolved.settings.workers > 1) {
      const { startWorkers } = await import('./primary.ts')
      const running = await startWorkers(resolved, opened, { folder, file, variables }, events)
      crew = running.crew
      return { ...running.serving, ephemeralKey: keys.ephemeralKey, reload: () => keys.look() }
    }
    const listening = await listen(resolved, pipeline, { audit, receipts: keys.receipts, shared, demoUrl })
    return {
      ...listening,
      ephemeralKey: keys.ephemeralKey,
      failed: new Promise<never>(() => undefined),
      reload: () => keys.look(),
      close: async () => {
        await listening.close()
        await opened.close()
      },
    }
  } catch (error) {
    await backing?.audit.close().catch(() => undefined)
    await backing?.close()
    throw startProblem(error, resolved.settings)
  }
}
