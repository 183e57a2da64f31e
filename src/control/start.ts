/** Puts the control plane together and listens. */
import type { AddressInfo } from 'node:net'
import { createListenerRule } from '../identity/host.ts'
import type { Metric } from '../telemetry/exposition.ts'
import { type EscalationsOptions, escalationRoutes } from './escalations.ts'
import { createControlListener, type Route } from './listener.ts'
import { logRoute, type ServedLog } from './log.ts'
import { metricsRoute } from './metrics.ts'
import { openApiRoute } from './openapi.ts'
import { passkeyRoutes } from './passkeys.ts'
import { type SlackOptions, slackRoute } from './slack.ts'

export interface ControlOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Host names answered besides the loopback ones and the bind address. */
  readonly allowedHosts?: readonly string[]
  /** `undefined`: there is no transparency log. */
  readonly log: ServedLog | undefined
  /** `undefined`: nobody can be known here, and no escalation is shown. */
  readonly escalations: EscalationsOptions | undefined
  /** `undefined`: nobody decides in Slack. */
  readonly slack?: SlackOptions | undefined
  /** `undefined`: nobody is known here, and others than this machine can reach the address. */
  readonly metrics: readonly Metric[] | undefined
  readonly version: string
}

export interface RunningControl {
  readonly url: string
  close(): Promise<void>
}

/** Everything that is answered, in the order in which it is asked. */
export function controlRoutes({
  log,
  escalations,
  slack,
  metrics,
  version,
}: Pick<ControlOptions, 'log' | 'escalations' | 'slack' | 'metrics' | 'version'>): readonly Route[] {
  return [
    openApiRoute(version),
    ...(log === undefined ? [] : [logRoute(log)]),
    ...(escalations === undefined ? [] : escalationRoutes(escalations)),
    ...(escalations?.passkeys === undefined ? [] : passkeyRoutes({ ...escalations, passkeys: escalations.passkeys })),
    ...(slack === undefined ? [] : [slackRoute(slack)]),
    ...(metrics === undefined ? [] : [metricsRoute(metrics, escalations?.access)]),
  ]
}

export async function startControl({
  host,
  port,
  allowedHosts = [],
  log,
  escalations,
  slack,
  metrics,
  version,
}: ControlOptions): Promise<RunningControl> {
  const bind = host === '0.0.0.0' || host === '::' ? [] : [host]
  const routes = controlRoutes({ log, escalations, slack, metrics, version })
  const server = createControlListener(
    createListenerRule({ hosts: [...bind, ...allowedHosts], sameOrigin: true }),
    routes,
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${isAddress(address) ? address.port : port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}
