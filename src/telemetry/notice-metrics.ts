/** Notices, by destination: names are the operator's, never from a request. */
import type { DestinationStatus } from '../notify/notifier.ts'
import type { Metric, Sample } from './exposition.ts'

export function noticeMetrics(status: () => readonly DestinationStatus[]): readonly Metric[] {
  const each = (value: (d: DestinationStatus) => number) => (): readonly Sample[] =>
    status().map(d => ({ labels: { destination: d.name }, value: value(d) }))
  return [
    {
      name: 'signet_notices_total',
      help: 'Notices of escalations since the start, by destination and what became of them; failed: a try that is repeated.',
      type: 'counter',
      read: () =>
        status().flatMap(({ name: destination, delivered, failed, givenUp }) => [
          { labels: { destination, outcome: 'delivered' }, value: delivered },
          { labels: { destination, outcome: 'failed' }, value: failed },
          { labels: { destination, outcome: 'given_up' }, value: givenUp },
        ]),
    },
    {
      name: 'signet_notices_waiting',
      help: 'Notices that are to be sent, by destination, as last seen.',
      type: 'gauge',
      read: each(d => d.waiting),
    },
    {
      name: 'signet_notices_disabled',
      help: 'Whether a destination has said that it wants no more notices.',
      type: 'gauge',
      read: each(d => Number(d.disabled)),
    },
  ]
}
