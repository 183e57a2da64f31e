/** `serve --workers N`: this process keeps the log, the keys, the state and the control plane; N others listen. */
import { fileURLToPath } from 'node:url'
import type { Resolved } from '../config/resolve.ts'
import type { SharedState } from '../core/state.ts'
import { createBox } from '../escalation/box.ts'
import { Desk } from '../escalation/desk.ts'
import { IssuedCapabilities } from '../gate/issued.ts'
import { MemoryBudgetState, MemoryRateLimitState, MemoryReferenceState, MemorySessionState } from '../state/memory.ts'
import { MemoryRedemptionStore } from '../state/redemptions/memory.ts'
import { systemClock, systemRandom } from '../state/system.ts'
import { Crew } from '../workers/crew.ts'
import type { Backing, ServingEvents } from './backing.ts'
import type { ListeningGate } from './listening.ts'
import type { Project } from './project.ts'
import { readListening, shareOf } from './worker-facts.ts'

/** Beyond the time that running exchanges get. */
const LEAVE_MORE_MS = 5000
/** What a worker's environment must not hold; its settings come over the connection. */
const HIDDEN =
  /^SIGNET_(?:HMAC_|RECEIPT_|CAPABILITY_KEY|REDIS_|AUDIT_SEALING|TRANSPARENCY_LOG_KEY|CONTROL_IDENTITY|NOTIFICATIONS|WEBHOOK_|SLACK_|SMTP_)/i

export interface RunningWorkers {
  readonly crew: Crew
  readonly listening: ListeningGate
}

export async function startWorkers(
  resolved: Resolved,
  backing: Backing,
  project: Project,
  events: ServingEvents,
): Promise<RunningWorkers> {
  const { settings } = resolved
  const { audit, keys, approvals, capabilities, changes, counters, times, log, demoUrl } = backing
  const redemptions = capabilities?.redemptions ?? new MemoryRedemptionStore()
  const { store, key, policy, ttlMs } = approvals.escalations
  if (store === undefined || key === undefined) throw new Error('the store of escalations was not opened')
  const random = systemRandom()
  const now = () => systemClock.now()
  const counted = counters.counting(audit)
  let crew: Crew | undefined
  const desk = new Desk({
    store,
    box: createBox(key, random),
    audit: counted,
    clock: systemClock,
    random,
    policy: policy ?? { approvers: [] },
    ttlMs: ttlMs ?? settings.escalationTtlS * 1000,
    onChange: e => {
      changes.tell(e)
      crew?.noticed(e.id)
    },
  })
  const started = await Crew.start({
    count: settings.workers,
    program: fileURLToPath(
      new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : '../cli/worker.js', import.meta.url),
    ),
    begin: shareOf(resolved, project, {
      key,
      approvers: policy?.approvers ?? [],
      quorum: policy?.quorum,
      demoUrl,
      receipts: keys.receipts !== undefined,
      log: log === undefined ? undefined : { witnesses: log.witnesses !== undefined },
      capabilities: capabilities === undefined ? undefined : { durable: redemptions.durable },
    }),
    hidden: Object.keys(process.env).filter(name => HIDDEN.test(name)),
    leaveMs: settings.shutdownGraceSeconds * 1000 + LEAVE_MORE_MS,
    ports: {
      audit: counted,
      counter: counters,
      times,
      shared: backing.shared ?? memoryState(),
      escalations: store,
      onEscalation: id => void told(desk, id),
      log: log?.log,
      receipts: keys.receipts,
      capabilities: capabilities?.signer,
      issued: new IssuedCapabilities(systemClock),
      redemptions,
      form: settings.receipts,
      now,
    },
    clock: systemClock,
    random,
    onWorker: (ok, message) => events.onWorker?.(ok, message),
  }).catch(async (error: unknown) => {
    await desk.close()
    throw error
  })
  crew = started.crew
  const running = started.crew
  return {
    crew: running,
    listening: {
      ...readListening(started.facts),
      gate: {
        desk,
        get load() {
          return running.load
        },
      },
      close: async () => {
        await running.close()
        await desk.close()
        await redemptions.close()
        await audit.close()
      },
    },
  }

  /** A worker's change, to those who follow escalations here and to the other workers. */
  async function told(by: Desk, id: string): Promise<void> {
    const e = await by.find(id).catch(() => undefined)
    if (e !== undefined) changes.tell(e)
    by.noticed(id)
    crew?.noticed(id)
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
