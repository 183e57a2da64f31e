/** `/metrics`: for Prometheus. What it says is the operator's: it is on the control plane only. */
import { EXPOSITION_TYPE, exposition, type Metric } from '../telemetry/exposition.ts'
import type { Route } from './listener.ts'

export function metricsRoute(metrics: readonly Metric[]): Route {
  return {
    methods: ['GET'],
    takes: path => path === '/metrics',
    answer: async () => ({
      status: 200,
      headers: { 'content-type': EXPOSITION_TYPE, 'cache-control': 'no-store' },
      body: Buffer.from(exposition(metrics)),
    }),
  }
}
