/** What any process has to say of itself, under the names that Prometheus' own client libraries use. */
import { type Metric, one } from './exposition.ts'

export function processMetrics(version: string): readonly Metric[] {
  const startedAt = Date.now() / 1000 - process.uptime()
  return [
    {
      name: 'signet_build_info',
      help: 'Always 1; the version is in the label.',
      type: 'gauge',
      read: () => [{ labels: { version }, value: 1 }],
    },
    {
      name: 'process_resident_memory_bytes',
      help: 'Resident memory size in bytes.',
      type: 'gauge',
      read: () => one(process.memoryUsage.rss()),
    },
    {
      name: 'process_cpu_seconds_total',
      help: 'Total user and system CPU time spent in seconds.',
      type: 'counter',
      read: () => {
        const { user, system } = process.cpuUsage()
        return one((user + system) / 1e6)
      },
    },
    {
      name: 'process_start_time_seconds',
      help: 'Start time of the process since unix epoch in seconds.',
      type: 'gauge',
      read: () => one(startedAt),
    },
  ]
}
