/** Puts the control plane together and listens. */
import type { AddressInfo } from 'node:net'
import { createListenerRule } from '../identity/host.ts'
import type { Metric } from '../telemetry/exposition.ts'
import { consoleRoute } from './console.ts'
import { type EscalationsOptions, escalationRoutes } from './escalations.ts'
import { createControlListener, type Route } from './listener.ts'
import { logRoute, type ServedLog } from './log.ts'
import { metricsRoute } from './metrics.ts'
import { openApiRoute } from './openapi.ts'
import { passkeyRoutes } from './passkeys.ts'
import { proposalRoute } from './proposal.ts'
import { type RowsOptions, rowRoutes } from './rows.ts'
import { withSessions } from './session-access.ts'
import { sessionRoutes } from './session-routes.ts'
import { type SignInOptions, signInRoutes } from './sign-in-routes.ts'
import { type SlackOptions, slackRoute } from './slack.ts'
import { type StandingOptions, standingRoutes } from './standing.ts'

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
  /** `undefined`: nobody can be known here, or the console is off. */
  readonly console?: ConsoleParts | undefined
  readonly version: string
}

/** What the console stands on, besides the escalations. */
export interface ConsoleParts extends RowsOptions, SignInOptions {
  /** Of its files. */
  readonly folder: string
  readonly standing: StandingOptions
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
  console,
  version,
}: Pick<ControlOptions, 'log' | 'escalations' | 'slack' | 'metrics' | 'console' | 'version'>): readonly Route[] {
  const access =
    escalations === undefined || console === undefined
      ? escalations?.access
      : withSessions(escalations.access, console.sessions)
  const known = escalations === undefined || access === undefined ? undefined : { ...escalations, access }
  return [
    openApiRoute(version),
    ...(log === undefined ? [] : [logRoute(log)]),
    ...(known === undefined ? [] : [...escalationRoutes(known), proposalRoute(known)]),
    ...(known?.passkeys === undefined ? [] : passkeyRoutes({ ...known, passkeys: known.passkeys })),
    ...(slack === undefined ? [] : [slackRoute(slack)]),
    ...(metrics === undefined ? [] : [metricsRoute(metrics, access)]),
    ...(console === undefined || access === undefined
      ? []
      : [
          ...sessionRoutes(console, access),
          ...signInRoutes(console, access),
          ...rowRoutes(console, access),
          ...standingRoutes(console.standing, access),
          consoleRoute(console.folder),
        ]),
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
  console,
  version,
}: ControlOptions): Promise<RunningControl> {
  const bind = host === '0.0.0.0' || host === '::' ? [] : [host]
  const routes = controlRoutes({ log, escalations, slack, metrics, console, version })
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
