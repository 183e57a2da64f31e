/**
 * A pipeline: checks in order, one joined scanner, one digest. Built once at start, shared by all exchanges; it holds no
 * state of any exchange.
 */
import type { ApproverAuths, Assurances, Audiences, Check } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import type { CheckTimes, HookStage } from '../core/timing.ts'
import { compileScanner, type PatternSet, type Scanner } from '../text/scan.ts'
import { combineApproverAuths } from './approver-auth.ts'
import { combineAssurances } from './assurance.ts'
import { combineAudiences } from './audience.ts'
import { policyDigest } from './digest.ts'
import { type SnapshotReaders, snapshotReaders } from './snapshots.ts'
import { StageTimes } from './times.ts'

export interface Pipeline {
  /** All checks, by priority; equal priorities keep their order of registration. */
  readonly checks: readonly Check[]
  readonly admission: readonly Check[]
  readonly inspection: readonly Check[]
  readonly commitment: readonly Check[]
  readonly recording: readonly Check[]
  readonly scanner: Scanner
  /** What the admission checks look for. */
  readonly admissionPatterns: readonly PatternSet[]
  readonly assurance: Assurances
  readonly audience: Audiences
  readonly approverAuth: ApproverAuths
  /** Which checks have to be asked about text that only repeats other text; see `Check.snapshots`. */
  readonly snapshots: SnapshotReaders
  readonly digest: string
  /** Decide and record, never enforce a policy verdict. */
  readonly shadow: boolean
  readonly clock: Clock
  /** How long each check takes, in the order of the stage's checks. */
  readonly times: Readonly<Record<HookStage, StageTimes>>
}

export interface PipelineOptions {
  readonly checks: readonly Check[]
  readonly clock: Clock
  readonly shadow?: boolean
  /** Who counts how long checks take. Default: nobody. */
  readonly times?: CheckTimes
}

const NAME = /^[a-z][a-z0-9_]{0,63}$/

export function buildPipeline(options: PipelineOptions): Pipeline {
  const shadow = options.shadow ?? false
  if (options.checks.length === 0) {
    throw new TypeError('checks: expected at least one check, got none; an empty pipeline would let everything through')
  }
  const seen = new Set<string>()
  for (const check of options.checks) {
    if (typeof check.name !== 'string' || !NAME.test(check.name)) {
      throw new TypeError(`checks: a check's name must match ${NAME.source}`)
    }
    if (seen.has(check.name))
      throw new TypeError(`checks: '${check.name}' is there twice; give each check its own name`)
    seen.add(check.name)
    if (!Number.isFinite(check.priority)) throw new TypeError(`checks: '${check.name}' needs a finite priority`)
    if (!(Number.isFinite(check.timeLimitMs) && check.timeLimitMs > 0)) {
      throw new TypeError(`checks: '${check.name}' needs a timeLimitMs above 0`)
    }
    if (!check.admit && !check.inspect && !check.commit && !check.record) {
      throw new TypeError(`checks: '${check.name}' has no hook; implement admit, inspect, commit or record`)
    }
  }
  const checks = [...options.checks].sort((a, b) => a.priority - b.priority)
  const scanner = compileScanner(checks.flatMap(c => (c.patterns ? [c.patterns] : [])))
  const admission = checks.filter(c => c.admit)
  const inspection = checks.filter(c => c.inspect)
  const commitment = checks.filter(c => c.commit)
  const recording = checks.filter(c => c.record)
  const { times } = options
  return Object.freeze({
    checks,
    admission,
    inspection,
    commitment,
    recording,
    assurance: combineAssurances(checks),
    admissionPatterns: checks.flatMap(c => (c.admit && c.patterns ? [c.patterns] : [])),
    scanner,
    audience: combineAudiences(checks),
    approverAuth: combineApproverAuths(checks),
    snapshots: snapshotReaders(checks, scanner),
    digest: policyDigest(checks, shadow),
    shadow,
    clock: options.clock,
    times: {
      admission: new StageTimes(times, 'admission', admission),
      inspection: new StageTimes(times, 'inspection', inspection),
      commitment: new StageTimes(times, 'commitment', commitment),
      record: new StageTimes(times, 'record', recording),
    },
  })
}
