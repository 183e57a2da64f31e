/** What a gate that is being started says of itself at `/metrics`, and to whom. */

import { isLoopbackHost } from '../config/network-names.ts'
import { VERSION } from '../config/version.ts'
import type { Access } from '../control/access.ts'
import type { AuditWriter } from '../core/row.ts'
import type { Gate } from '../gate/gate.ts'
import type { DestinationStatus } from '../notify/notifier.ts'
import type { CheckDurations } from '../telemetry/check-durations.ts'
import type { GateCounters } from '../telemetry/counters.ts'
import { type Metric, one } from '../telemetry/exposition.ts'
import { auditMetrics, logMetrics } from '../telemetry/log-metrics.ts'
import { noticeMetrics } from '../telemetry/notice-metrics.ts'
import { processMetrics } from '../telemetry/process.ts'
import type { LogParts } from './log-serving.ts'

/** `undefined` where others than this machine reach the control plane and nobody is known there. */
export function metricsFor(
  controlHost: string,
  access: Access | undefined,
  counters: GateCounters,
  times: CheckDurations,
  audit: Pick<AuditWriter, 'ok' | 'head'>,
  parts: LogParts | undefined,
  { load }: Pick<Gate, 'load'>,
  notices?: () => readonly DestinationStatus[],
): readonly Metric[] | undefined {
  if (access === undefined && !isLoopbackHost(controlHost)) return undefined
  return [
    ...processMetrics(VERSION),
    ...counters.metrics(),
    ...times.metrics(),
    {
      name: 'signet_exchanges_active',
      help: 'Exchanges under way.',
      type: 'gauge',
      read: () => one(load.active),
    },
    {
      name: 'signet_held_bytes',
      help: 'Bytes of answers held back until checks have decided.',
      type: 'gauge',
      read: () => one(load.heldBytes),
    },
    ...auditMetrics(audit),
    ...(notices === undefined ? [] : noticeMetrics(notices)),
    ...(parts === undefined
      ? []
      : logMetrics({
          status: () => parts.log.status,
          alarm: parts.alarm,
          witnesses: () => parts.witnesses?.status ?? [],
          anchors: () => parts.anchors?.status ?? [],
        })),
  ]
}
