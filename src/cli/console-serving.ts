/** What the console of a gate that is being started stands on. */
import { fileURLToPath } from 'node:url'
import { openReading } from '../audit/reading-thread.ts'
import type { ConsoleOidc } from '../config/console-oidc.ts'
import { ConfigError } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import type { Settings } from '../config/settings.ts'
import { VERSION } from '../config/version.ts'
import type { OidcClient, OidcPorts } from '../control/oidc-client.ts'
import { expiredSessionRow } from '../control/session-routes.ts'
import { Sessions } from '../control/sessions.ts'
import type { ConsoleParts } from '../control/start.ts'
import type { Check } from '../core/check.ts'
import { systemClock, systemRandom } from '../state/system.ts'
import type { Backing } from './backing.ts'
import type { Listening, ListeningGate } from './listening.ts'
import type { Project } from './project.ts'

/** Two folders up, from the source as from what is built of it. */
const FOLDER = fileURLToPath(new URL('../../dist/console', import.meta.url))

export interface ServedPipeline extends Pick<Project, 'file' | 'consoleFolder'> {
  readonly checks: readonly Check[]
}

export interface OpenConsole {
  readonly parts: ConsoleParts
  close(): Promise<void>
}

export async function consoleOf(
  { settings, consoleOidc }: Pick<Resolved, 'consoleOidc'> & { readonly settings: Settings },
  { counters, audit: log, log: parts, logName, keys, capabilities, egress, times }: Backing,
  listening: Listening & Pick<ListeningGate, 'gate'>,
  pipeline: ServedPipeline,
): Promise<OpenConsole> {
  const audit = counters.counting(log)
  const random = systemRandom()
  const oidc =
    consoleOidc === undefined ? undefined : await openOidc(consoleOidc, { egress, clock: systemClock, random })
  const folders = settings.auditSegmentFolder === undefined ? [] : [settings.auditSegmentFolder]
  const reading = openReading(settings.auditLogPath, folders)
  const sessions = new Sessions({
    clock: systemClock,
    random,
    times: { maxMs: settings.consoleSessionS * 1000, idleMs: settings.consoleIdleS * 1000 },
    onExpired: session => void audit.append(expiredSessionRow(session, random)),
  })
  return {
    parts: {
      folder: pipeline.consoleFolder ?? FOLDER,
      reading,
      clock: systemClock,
      sessions,
      audit,
      random,
      oidc,
      standing: {
        version: VERSION,
        startedAtMs: systemClock.now(),
        nowMs: () => systemClock.now(),
        pipeline: {
          checks: pipeline.checks,
          times,
          shadow: settings.shadow,
          policyDigest: listening.policyDigest,
          source: pipeline.file ?? 'the default pipeline',
          upstream: listening.upstreamLabel,
          identity: listening.identity,
        },
        audit: log,
        chainKeys: () => ({ ids: keys.ring.ids, active: keys.ring.active.id }),
        load: () => listening.gate.load,
        receipts:
          keys.receipts === undefined
            ? undefined
            : {
                keys: keys.receipts,
                issuer: settings.issuer,
                headerName: settings.receiptHeaderName,
                form: settings.receipts,
              },
        capabilities: capabilities?.signer,
        log:
          parts === undefined || logName === undefined
            ? undefined
            : {
                ...logName,
                status: () => parts.log.status,
                alarm: () => parts.alarm(),
                witnesses: () => parts.witnesses?.status ?? [],
                anchors: () => parts.anchors?.status ?? [],
              },
      },
    },
    close: () => reading.close(),
  }
}

/** Its library is loaded only where it is wanted. */
async function openOidc(setting: ConsoleOidc, ports: OidcPorts): Promise<OidcClient> {
  const { loadOidcLibrary, OidcLibraryMissing } = await import('../control/oidc-library.ts')
  const { OidcClient } = await import('../control/oidc-client.ts')
  try {
    return new OidcClient(setting, ports, await loadOidcLibrary())
  } catch (error) {
    throw error instanceof OidcLibraryMissing ? new ConfigError([error.message]) : error
  }
}
