/**
 * `/metrics`, for Prometheus. What it says is the operator's: whoever asks is a viewer at least, where people are known at
 * the control plane. Where nobody is, whoever starts the control plane leaves this out unless it listens on the loopback.
 */
import { EXPOSITION_TYPE, exposition, type Metric } from '../telemetry/exposition.ts'
import { type Access, isPerson } from './access.ts'
import type { Route } from './listener.ts'

export function metricsRoute(metrics: readonly Metric[], access: Access | undefined): Route {
  return {
    path: '/metrics',
    methods: ['GET'],
    takes: path => path === '/metrics',
    answer: async (_, request) => {
      const who = await access?.require(request, 'viewer')
      if (who !== undefined && !isPerson(who)) return who
      return {
        status: 200,
        headers: { 'content-type': EXPOSITION_TYPE, 'cache-control': 'no-store' },
        body: Buffer.from(exposition(metrics)),
      }
    },
  }
}
