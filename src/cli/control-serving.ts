/** The control plane of a gate that is being started: beside the gate, or, with several workers, in their primary. */
import { ConfigError, errorCode } from '../config/problem.ts'
import type { Settings } from '../config/settings.ts'
import { VERSION } from '../config/version.ts'
import { type RunningControl, startControl } from '../control/start.ts'
import type { Gate } from '../gate/gate.ts'
import type { Backing } from './backing.ts'
import { metricsFor } from './metrics-serving.ts'

const DEFAULT_CONTROL_PORT = 8444

/** `undefined` when there is nothing to serve there: no log, and no metrics for others. */
export async function startControlOf(
  settings: Settings,
  { approvals: { access }, counters, audit, log, changes }: Backing,
  { desk, load }: Pick<Gate, 'desk' | 'load'>,
): Promise<RunningControl | undefined> {
  const metrics = metricsFor(settings.controlHost, access, counters, audit, log, { load })
  if (log === undefined && access === undefined && metrics === undefined) return undefined
  // Where the data plane takes any free port, a second gate may be running.
  const port = settings.controlPort ?? (settings.port === 0 ? 0 : DEFAULT_CONTROL_PORT)
  try {
    return await startControl({
      host: settings.controlHost,
      port,
      allowedHosts: settings.controlAllowedHosts,
      log: log?.log,
      metrics,
      escalations: access === undefined ? undefined : { desk, access, changes },
      version: VERSION,
    })
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE') throw error
    throw new ConfigError([
      `port ${port} on ${settings.controlHost} is taken, and the control plane needs it; stop what listens there or choose another with --control-port`,
    ])
  }
}
