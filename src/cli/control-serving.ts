/** The control plane of a gate that is being started: beside the gate, or, with several workers, in their primary. */
import { ConfigError, errorCode } from '../config/problem.ts'
import { DEFAULT_CONTROL_PORT, type Resolved } from '../config/resolve.ts'
import { VERSION } from '../config/version.ts'
import { keepEvidence } from '../control/kept-evidence.ts'
import { type RunningControl, startControl } from '../control/start.ts'
import type { Backing } from './backing.ts'
import { consoleOf, type OpenConsole, type ServedPipeline } from './console-serving.ts'
import type { Listening, ListeningGate } from './listening.ts'
import { metricsFor } from './metrics-serving.ts'

/** `undefined` when there is nothing to serve there: no log, and no metrics for others. */
export async function startControlOf(
  resolved: Resolved,
  backing: Backing,
  listening: Listening & Pick<ListeningGate, 'gate'>,
  pipeline: ServedPipeline,
): Promise<RunningControl | undefined> {
  const { settings } = resolved
  const { access, openPasskeys } = backing.approvals
  const { counters, times, audit, log, changes, notices } = backing
  const { desk } = listening.gate
  const metrics = metricsFor(settings.controlHost, access, counters, times, audit, log, listening.gate, notices?.status)
  const slack = notices?.slack?.(desk)
  if (log === undefined && access === undefined && metrics === undefined && slack === undefined) return undefined
  // Where the data plane takes any free port, a second gate may be running.
  const passkeys = access === undefined ? undefined : await openPasskeys(counters.counting(audit))
  if (passkeys !== undefined) await keepEvidence(desk, passkeys)
  const port = settings.controlPort ?? (settings.port === 0 ? 0 : DEFAULT_CONTROL_PORT)
  let console: OpenConsole | undefined
  try {
    if (access !== undefined && settings.console) console = await consoleOf(resolved, backing, listening, pipeline)
    const control = await startControl({
      host: settings.controlHost,
      port,
      allowedHosts: settings.controlAllowedHosts,
      log: log?.log,
      metrics,
      slack,
      escalations: access === undefined ? undefined : { desk, access, changes, passkeys },
      console: console?.parts,
      version: VERSION,
    })
    return {
      url: control.url,
      close: async () => {
        await control.close()
        await console?.close()
        await passkeys?.close()
      },
    }
  } catch (error) {
    await console?.close()
    await passkeys?.close()
    if (errorCode(error) !== 'EADDRINUSE') throw error
    throw new ConfigError([
      `port ${port} on ${settings.controlHost} is taken, and the control plane needs it; stop what listens there or choose another with --control-port`,
    ])
  }
}
