/**
 * What a gate stands on in this process: keys, the audit log, state that several gates share, the demo model. With several
 * workers it is the primary's, and they come to it.
 */
import { type AuditLog, openAuditLog } from '../audit/open.ts'
import { ConfigError, errorCode, oneLine } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import type { SharedState } from '../core/state.ts'
import { systemClock } from '../state/system.ts'
import type { DemoUpstream } from '../upstream/demo/server.ts'
import { type GateKeys, openGateKeys } from './gate-keys.ts'

export interface ServingEvents {
  /** Keys were read anew or could not be, or the signer process stopped or is back. */
  readonly onKeys?: (ok: boolean, message: string) => void
  /** The audit log stopped being writable, or is again. */
  readonly onAuditState?: (ok: boolean, reason: string) => void
  /** The shared state cannot be asked any longer, or can be again. */
  readonly onSharedState?: (ok: boolean, reason: string) => void
  /** The server of the shared state may throw keys away; `policy` is what it calls that. */
  readonly onEviction?: (policy: string) => void
  /** A worker process ended, or is there again. */
  readonly onWorker?: (ok: boolean, message: string) => void
}

export interface Backing {
  readonly keys: GateKeys
  readonly audit: AuditLog
  readonly shared: SharedState | undefined
  readonly demoUrl: string | undefined
  close(): Promise<void>
}

/** `folder`: the project folder. Whoever listens with it closes the audit log; the rest is closed here. */
export async function openBacking(resolved: Resolved, folder: string, events: ServingEvents): Promise<Backing> {
  const { settings, redis } = resolved
  let keys: GateKeys | undefined
  let demo: DemoUpstream | undefined
  let shared: SharedState | undefined
  const close = async (): Promise<void> => {
    await keys?.close()
    await shared?.close()
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
    const audit = await openAuditLog({
      path: settings.auditLogPath,
      ring: opened.ring,
      ...(events.onAuditState === undefined ? {} : { onState: events.onAuditState }),
    })
    return { keys: opened, audit, shared, demoUrl: demo?.url, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** One line that says what to do about it. */
export function startProblem(error: unknown, settings: Resolved['settings']): unknown {
  if (error instanceof ConfigError) return error
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new ConfigError([
        `port ${settings.port} on ${settings.host} is taken; stop what listens there or choose another with --port`,
      ])
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError([`${settings.host} is no address of this machine; choose another with --host`])
    case 'EACCES':
      return new ConfigError([
        `port ${settings.port} on ${settings.host} may not be used by this user; choose one above 1023 with --port`,
      ])
    default:
      return new ConfigError([oneLine(error)])
  }
}
