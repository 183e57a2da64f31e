/** The audit log, its transparency log, and who outside vouches for it. */
import type { AuthorityStatus } from '../audit/anchor/anchorer.ts'
import type { Alarm } from '../audit/log/alarm.ts'
import type { WitnessStatus } from '../audit/log/witness-client.ts'
import type { AuditWriter, RowLogStatus } from '../core/row.ts'
import { type Metric, one, type Sample } from './exposition.ts'

export function auditMetrics(audit: Pick<AuditWriter, 'ok' | 'head'>): readonly Metric[] {
  return [
    gauge('signet_audit_ok', 'Whether the audit log can be written.', () => one(audit.ok)),
    gauge('signet_audit_rows', 'Durable rows in the audit log.', () => one(Number(audit.head.size))),
  ]
}

/** What is asked at each scrape. */
export interface LogSources {
  readonly status: () => RowLogStatus
  readonly alarm: () => Alarm | undefined
  readonly witnesses: () => readonly WitnessStatus[]
  readonly anchors: () => readonly AuthorityStatus[]
}

export function logMetrics({ status, alarm, witnesses, anchors }: LogSources): readonly Metric[] {
  const perWitness = (value: (witness: WitnessStatus) => number): (() => readonly Sample[]) => {
    return () => witnesses().map(witness => ({ labels: { witness: witness.name }, value: value(witness) }))
  }
  const perAuthority = (value: (authority: AuthorityStatus) => number): (() => readonly Sample[]) => {
    return () => anchors().map(found => ({ labels: { authority: found.authority }, value: value(found) }))
  }
  return [
    gauge('signet_log_ok', 'Whether the transparency log is being written.', () => one(status().ok)),
    gauge('signet_log_halted', 'Whether an alarm has halted the transparency log.', () => one(status().halted)),
    gauge('signet_log_alarm', 'The alarm that has halted the log, by kind and witness.', () => {
      const raised = alarm()
      return raised === undefined ? [] : [{ labels: { kind: raised.kind, witness: raised.witness }, value: 1 }]
    }),
    gauge('signet_log_size', 'Entries under the last signed checkpoint.', () => one(status().size)),
    gauge('signet_log_behind_rows', 'Durable rows that are under no signed checkpoint yet.', () =>
      one(status().behind),
    ),
    gauge('signet_log_behind_seconds', 'How long the oldest of them has waited.', () => one(status().behindMs / 1000)),
    gauge('signet_log_witnessed_size', 'Entries under the last checkpoint with a quorum of cosignatures.', () =>
      one(status().witnessed),
    ),
    gauge(
      'signet_witness_ok',
      'Whether the last request to the witness brought a cosignature.',
      perWitness(({ problem }) => (problem === undefined ? 1 : 0)),
    ),
    gauge(
      'signet_witness_size',
      'Entries under the last checkpoint that the witness cosigned.',
      perWitness(({ size }) => size),
    ),
    gauge(
      'signet_witness_cosigned_at_seconds',
      'When the witness cosigned last, by its clock; 0 for never.',
      perWitness(({ cosignedAt }) => cosignedAt),
    ),
    counter(
      'signet_witness_cosignatures_total',
      'Cosignatures that were accepted.',
      perWitness(({ cosignatures }) => cosignatures),
    ),
    counter(
      'signet_witness_failures_total',
      'Requests to the witness without an acceptable cosignature.',
      perWitness(({ failures }) => failures),
    ),
    gauge(
      'signet_anchor_ok',
      'Whether the last request to the authority brought an acceptable time stamp.',
      perAuthority(({ problem }) => (problem === undefined ? 1 : 0)),
    ),
    gauge(
      'signet_anchor_size',
      'Entries under the last checkpoint that the authority stamped.',
      perAuthority(({ size }) => size),
    ),
    gauge(
      'signet_anchor_time_seconds',
      'The time that it gave; 0 for never.',
      perAuthority(({ atMs }) => atMs / 1000),
    ),
    counter(
      'signet_anchors_total',
      'Time stamps that were accepted and kept.',
      perAuthority(({ anchors: made }) => made),
    ),
    counter(
      'signet_anchor_failures_total',
      'Requests to the authority without an acceptable time stamp.',
      perAuthority(({ failures }) => failures),
    ),
  ]
}

function gauge(name: string, help: string, read: () => readonly Sample[]): Metric {
  return { name, help, type: 'gauge', read }
}

function counter(name: string, help: string, read: () => readonly Sample[]): Metric {
  return { name, help, type: 'counter', read }
}
