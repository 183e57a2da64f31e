/** `serve --workers N`: this process keeps the log, the keys and the state; N others listen. */
import { randomBytes } from 'node:crypto'
import type { Resolved } from '../config/resolve.ts'
import type { SharedState } from '../core/state.ts'
import {
  MemoryBudgetState,
  MemoryRateLimitState,
  MemoryReferenceState,
  MemorySealedStore,
  MemorySessionState,
} from '../state/memory.ts'
import { systemClock, systemRandom } from '../state/system.ts'
import { Crew } from '../workers/crew.ts'
import type { Backing, ServingEvents } from './backing.ts'
import type { Listening } from './listening.ts'
import type { Project } from './project.ts'
import { readListening, shareOf } from './worker-facts.ts'

/** Beyond the time that running exchanges get. */
const LEAVE_MORE_MS = 5000
/** Named here, so that a worker's environment does not hold what a worker must not have. */
const HIDDEN = ['SIGNET_HMAC_SECRET', 'SIGNET_HMAC_LEGACY_KEYS', 'SIGNET_REDIS_URL', 'SIGNET_RECEIPT_SIGNER']

export interface RunningWorkers {
  readonly crew: Crew
  readonly serving: Omit<Listening, 'port'> & { readonly failed: Promise<never> }
}

export async function startWorkers(
  resolved: Resolved,
  backing: Backing,
  project: Project,
  events: ServingEvents,
): Promise<RunningWorkers> {
  const { settings } = resolved
  const { audit, keys, demoUrl } = backing
  const now = () => systemClock.now()
  const { crew, facts } = await Crew.start({
    count: settings.workers,
    program: new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : '../cli/worker.js', import.meta.url).pathname,
    begin: shareOf(resolved, project, { sealingKey: randomBytes(32), demoUrl, receipts: keys.receipts !== undefined }),
    hidden: HIDDEN,
    leaveMs: settings.shutdownGraceSeconds * 1000 + LEAVE_MORE_MS,
    ports: {
      audit,
      shared: backing.shared ?? memoryState(),
      held: new MemorySealedStore({ now }),
      receipts: keys.receipts,
      form: settings.receipts,
      now,
    },
    clock: systemClock,
    random: systemRandom(),
    onWorker: (ok, message) => events.onWorker?.(ok, message),
  })
  return {
    crew,
    serving: {
      ...readListening(facts),
      failed: crew.failed,
      close: async () => {
        await crew.close()
        await audit.close()
        await backing.close()
      },
    },
  }
}

/** One of each for all workers, so that a limit is a limit however many there are. */
function memoryState(): SharedState {
  return {
    rateLimits: new MemoryRateLimitState(),
    budgets: new MemoryBudgetState(),
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    reachable: () => true,
    close: () => Promise.resolve(),
  }
}
