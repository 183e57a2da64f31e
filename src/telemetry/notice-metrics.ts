/** Notices, by destination: labels are the operator's, never from a request, and name no person. */
import type { DestinationStatus } from '../notify/notifier.ts'
import type { Metric, Sample } from './exposition.ts'

export function noticeMetrics(status: () => readonly DestinationStatus[]): readonly Metric[] {
  const each = (outcome: string | undefined, value: (d: DestinationStatus) => number): readonly Sample[] => {
    const sums = new Map<string, number>()
    for (const d of status()) sums.set(d.label, (sums.get(d.label) ?? 0) + value(d))
    return [...sums].map(([destination, sum]) => ({
      labels: { destination, ...(outcome === undefined ? {} : { outcome }) },
      value: sum,
    }))
  }
  return [
    {
      name: 'signet_notices_total',
      help: 'Notices of escalations since the start, by destination and what became of them; failed: a try that failed.',
      type: 'counter',
      read: () => [
        ...each('delivered', d => d.delivered),
        ...each('failed', d => d.failed),
        ...each('given_up', d => d.givenUp),
      ],
    },
    {
      name: 'signet_notices_waiting',
      help: 'Notices that are to be sent, by destination, as last seen.',
      type: 'gauge',
      read: () => each(undefined, d => d.waiting),
    },
    {
      name: 'signet_notices_disabled',
      help: 'Destinations that have said that they want no more notices.',
      type: 'gauge',
      read: () => each(undefined, d => Number(d.disabled)),
    },
  ]
}
