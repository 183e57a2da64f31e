/**
 * What a gate stands on in this process: keys, the audit log and what is made of it, state that several gates share, who
 * approves, the demo model. With several workers it is the primary's, and they come to it.
 */
import { randomBytes } from 'node:crypto'
import type { IndexKeeper } from '../audit/index-thread.ts'
import { formatKey } from '../audit/log/note.ts'
import { type AuditLog, openAuditLog } from '../audit/open.ts'
import { SealingFolder } from '../audit/seal.ts'
import type { Resolved } from '../config/resolve.ts'
import { Changes } from '../control/changes.ts'
import type { Check } from '../core/check.ts'
import type { SharedState } from '../core/state.ts'
import { Key } from '../keys/ring.ts'
import { KeyFolder } from '../keys/store.ts'
import { type Egress, openEgress } from '../plugins/egress.ts'
import { systemClock, systemRandom } from '../state/system.ts'
import { CheckDurations } from '../telemetry/check-durations.ts'
import { GateCounters } from '../telemetry/counters.ts'
import type { DemoUpstream } from '../upstream/demo/server.ts'
import { type Approvals, noteLostStore, openApprovals } from './approvals.ts'
import { openCapabilities } from './capabilities.ts'
import { keyFolderOf } from './chain-keys.ts'
import { type GateKeys, openGateKeys } from './gate-keys.ts'
import { type LogParts, noteLateLog, noteSigner, openLogOf } from './log-serving.ts'
import { type Notices, openNotices } from './notices.ts'

export interface ServingEvents {
  /** Keys were read anew or could not be, or the signer process stopped or is back. */
  readonly onKeys?: (ok: boolean, message: string) => void
  /** The audit log stopped being writable, or is again. */
  readonly onAuditState?: (ok: boolean, reason: string) => void
  /** A log segment was made; or it, or the index, could not be made. */
  readonly onAuditSegment?: (ok: boolean, text: string) => void
  /** The transparency log stopped being written, or is again. Rows are not concerned. */
  readonly onLogState?: (ok: boolean, reason: string) => void
  /** A time-stamping authority does not stamp checkpoints, or does again. */
  readonly onAnchorState?: (ok: boolean, reason: string) => void
  /** The shared state cannot be asked any longer, or can be again. */
  readonly onSharedState?: (ok: boolean, reason: string) => void
  /** A store on the disk (escalations, passkeys, redemptions) cannot be used, or is again. */
  readonly onStoreState?: (ok: boolean, text: string) => void
  /** The store of escalations was gone, and was made anew. */
  readonly onStoreLost?: (text: string) => void
  /** The server of the shared state may throw keys away; `policy` is what it calls that. */
  readonly onEviction?: (policy: string) => void
  /** The access log stopped being written, or is again. */
  readonly onAccessState?: (ok: boolean, reason: string) => void
  /** Notices do not reach a destination, or do again. */
  readonly onNotice?: (ok: boolean, text: string) => void
  /** A worker process listens, or ended. */
  readonly onWorker?: (ok: boolean, message: string) => void
}

export interface Backing {
  readonly keys: GateKeys
  readonly audit: AuditLog
  readonly shared: SharedState | undefined
  readonly approvals: Approvals
  /** `undefined`: no tool has an audience, and none is issued. */
  readonly capabilities: Awaited<ReturnType<typeof openCapabilities>>
  readonly changes: Changes
  /** `undefined`: nobody is told of escalations. */
  readonly notices: Notices | undefined
  readonly log: LogParts | undefined
  /** The transparency log's name and public key; `undefined` when it is off. */
  readonly logName: { readonly origin: string; readonly key: string } | undefined
  readonly counters: GateCounters
  /** Of this gate's checks, whichever process asks them. */
  readonly times: CheckDurations
  readonly egress: Egress
  readonly demoUrl: string | undefined
  /** All but the audit log, which whoever listens with it closes first: its last rows are in the transparency log. */
  close(): Promise<void>
}

/** `folder`: the project folder. */
export async function openBacking(
  resolved: Resolved,
  checks: readonly Check[],
  folder: string,
  events: ServingEvents,
): Promise<Backing> {
  const { settings, redis, outside } = resolved
  let keys: GateKeys | undefined
  let demo: DemoUpstream | undefined
  let shared: SharedState | undefined
  let index: IndexKeeper | undefined
  let log: LogParts | undefined
  let audit: AuditLog | undefined
  let notices: Notices | undefined
  let opening: Promise<Approvals> | undefined
  const egress = openEgress()
  const close = async (): Promise<void> => {
    await notices?.close()
    await log?.close()
    await index?.close()
    await shared?.close()
    await keys?.close()
    await egress.close()
    await demo?.close()
  }
  try {
    const opened = await openGateKeys(resolved, {
      clock: systemClock,
      folder,
      environment: process.env,
      onEvent: (ok, message) => events.onKeys?.(ok, message),
    })
    keys = opened
    if (settings.upstreamUrl === 'demo') {
      const { startDemoUpstream } = await import('../upstream/demo/server.ts')
      demo = await startDemoUpstream()
    }
    if (redis !== undefined) {
      const { openRedisState } = await import('../state/redis/open.ts')
      shared = await openRedisState({
        ...redis,
        ...(events.onSharedState === undefined ? {} : { onState: events.onSharedState }),
        ...(events.onEviction === undefined ? {} : { onEviction: events.onEviction }),
      })
    }
    const changes = new Changes(systemClock)
    // Its thread starts while the log is looked through.
    const onStoreState = (ok: boolean, text: string) => events.onStoreState?.(ok, text)
    const ports = { egress, now: Date.now, randomBytes }
    opening = openApprovals(resolved, checks, folder, ports, changes, onStoreState)
    opening.catch(() => undefined)
    audit = await openAuditLog({
      path: settings.auditLogPath,
      ring: opened.ring,
      roll: {
        bytes: settings.auditSegmentBytes,
        ageNs: settings.auditSegmentAgeS === 0 ? undefined : BigInt(settings.auditSegmentAgeS) * 1_000_000_000n,
      },
      segmentFolder: settings.auditSegmentFolder,
      sealer: ownerSealer(resolved, folder),
      onDurable: rows => log?.log.push(rows),
      onState: events.onAuditState,
      onSegment: events.onAuditSegment,
    })
    if (settings.auditIndex) {
      const { keepIndex } = await import('../audit/index-thread.ts')
      const folders = settings.auditSegmentFolder === undefined ? [] : [settings.auditSegmentFolder]
      index = keepIndex(settings.auditLogPath, folders, text => events.onAuditSegment?.(false, text))
    }
    const approvals = await opening
    if (approvals.storeLost !== undefined) noteLostStore(audit, approvals.storeLost, text => events.onStoreLost?.(text))
    notices = await openNotices(resolved, {
      audit,
      egress,
      clock: systemClock,
      random: systemRandom(),
      changes,
      approvers: approvals.escalations.policy?.approvers ?? [],
      onState: (ok, text) => events.onNotice?.(ok, text),
    })
    const capabilities = await openCapabilities(resolved, checks, opened, onStoreState)
    const signer = settings.transparencyLog ? await noteSigner(settings) : undefined
    if (signer !== undefined) {
      const onState = events.onLogState ?? (() => undefined)
      const onAnchorState = events.onAnchorState ?? (() => undefined)
      log = await openLogOf(settings, signer, { audit, outside, egress, onState, onAnchorState })
      if (log.log.begunLate) noteLateLog(audit, log.log, onState)
    }
    return {
      keys: opened,
      audit,
      shared,
      approvals,
      capabilities,
      changes,
      notices,
      log,
      logName: signer === undefined ? undefined : { origin: signer.key.name, key: formatKey(signer.key) },
      counters: new GateCounters(),
      times: durationsOf(checks),
      egress,
      demoUrl: demo?.url,
      close,
    }
  } catch (error) {
    await opening?.then(
      ({ escalations }) => escalations.store?.close(),
      () => undefined,
    )
    await audit?.close().catch(() => undefined)
    await close()
    throw error
  }
}

function ownerSealer({ settings, sealingKey }: Resolved, folder: string): SealingFolder | undefined {
  if (!settings.auditSealing) return undefined
  const key =
    sealingKey === undefined
      ? new KeyFolder(keyFolderOf(settings, folder)).secret('sealing')
      : Key.fromHex('sealing', sealingKey)
  return new SealingFolder(settings.auditSealingFolder ?? `${settings.auditLogPath}.owners`, key)
}

/** Every check at every stage that it acts at: what workers say of others is not taken. */
function durationsOf(checks: readonly Check[]): CheckDurations {
  const times = new CheckDurations(() => performance.now())
  for (const { name, admit, inspect, commit, record } of checks) {
    if (admit !== undefined) times.at(name, 'admission')
    if (inspect !== undefined) times.at(name, 'inspection')
    if (commit !== undefined) times.at(name, 'commitment')
    if (record !== undefined) times.at(name, 'record')
  }
  return times
}
