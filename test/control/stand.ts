/** A gate with its control plane, people with keys, and passkeys: what the suites of the control plane stand on. */

import { openReading } from '../../src/audit/reading-thread.ts'
import { type AccessOptions, createAccess, createRoles } from '../../src/control/access.ts'
import { Changes } from '../../src/control/changes.ts'
import type { OidcClient } from '../../src/control/oidc-client.ts'
import { expiredSessionRow } from '../../src/control/session-routes.ts'
import { Sessions, type SessionTimes } from '../../src/control/sessions.ts'
import type { StandingOptions } from '../../src/control/standing.ts'
import { type ControlOptions, controlRoutes, type RunningControl, startControl } from '../../src/control/start.ts'
import type { Check } from '../../src/core/check.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { PasskeyStore } from '../../src/core/state.ts'
import { createBox } from '../../src/escalation/box.ts'
import { Passkeys } from '../../src/escalation/passkeys.ts'
import { apiKeyIdentity, newApiKey } from '../../src/identity/api-key.ts'
import { ScheduledSigners } from '../../src/keys/signing-keys.ts'
import { readNotifications, type SlackSetting } from '../../src/notify/settings.ts'
import { MemoryPasskeyStore } from '../../src/state/passkeys/memory.ts'
import { systemClock, systemRandom } from '../../src/state/system.ts'
import { CheckDurations } from '../../src/telemetry/check-durations.ts'
import {
  chat,
  demoChecks,
  ISSUER,
  RING,
  scenario,
  startTestGate,
  type TestGate,
  testEscalations,
} from '../support/gate.ts'

const random = systemRandom()

/** Who is who. `old` is an admin whose key has expired; the owner of what is held is listed as an approver too. */
export const PEOPLE = {
  viewer: 'human:viewer',
  bob: 'human:bob',
  carol: 'human:carol',
  admin: 'human:admin',
  owner: 'human:alice@example.com',
  nobody: 'human:nobody',
  old: 'human:old',
  agent: 'agent:helper',
} as const
export type Who = keyof typeof PEOPLE

export const ACCESS: Omit<AccessOptions, 'identity'> = {
  viewers: [PEOPLE.viewer],
  // The agent is listed, and acts for bob: that it is listed must not help it.
  approvers: [PEOPLE.bob, PEOPLE.carol, PEOPLE.owner, PEOPLE.agent],
  admins: [PEOPLE.admin, PEOPLE.old],
}

export const RP = { id: 'localhost', origins: ['http://localhost:8444'] }

function readSlack(): SlackSetting {
  const { slack } = readNotifications({
    slack: { channel: 'C0123456789', team: 'T0123456789', app: 'A0123456789', users: { U0000000BOB: PEOPLE.bob } },
  })
  if (slack === undefined) throw new Error('there is a slack setting')
  return slack
}

export interface Shown {
  readonly id: string
  readonly digest: string
  readonly state: string
  readonly may_decide: boolean
  readonly passkey_required: boolean
  readonly current_approvers: readonly string[]
  readonly decisions: readonly { readonly by: string; readonly evidence_digest: string | null }[]
}

export interface Stand {
  readonly gate: TestGate
  readonly control: RunningControl
  readonly routes: ReturnType<typeof controlRoutes>
  readonly passkeys: Passkeys
  token(who: Who): string
  call(method: string, path: string, who?: Who, body?: unknown): Promise<Response>
  /** Holds a call and shows it as the viewer sees it. */
  hold(args?: string, tool?: string): Promise<Shown>
  close(): Promise<void>
}

export interface StandOptions {
  readonly origins?: readonly string[]
  readonly port?: number
  readonly registration?: 'invited' | 'self'
  readonly approvers?: readonly string[]
  readonly quorum?: number
  readonly auth?: 'passkey'
  readonly checks?: readonly Check[]
  readonly store?: PasskeyStore
  /** Of the console's sessions. */
  readonly clock?: Clock
  readonly times?: SessionTimes
  /** Of the console's files. */
  readonly folder?: string
  readonly oidc?: OidcClient
  readonly log?: Pick<ControlOptions, 'log'> & { readonly standing: StandingOptions['log'] }
}

export async function startStand(o: StandOptions = {}): Promise<Stand> {
  const keys = Object.fromEntries(Object.keys(PEOPLE).map(who => [who, newApiKey(n => random.bytes(n))]))
  const changes = new Changes(systemClock)
  // Each look at the clock is a millisecond later: every hook takes one.
  let looks = 0
  const times = new CheckDurations(() => ++looks)
  const gate = await startTestGate({
    checks: o.checks ?? demoChecks(),
    times,
    escalations: testEscalations({
      policy: {
        approvers: o.approvers ?? ACCESS.approvers,
        ...(o.quorum === undefined ? {} : { quorum: o.quorum }),
        ...(o.auth === undefined ? {} : { auth: o.auth }),
      },
      onChange: changes.tell,
    }),
  })
  const identity = apiKeyIdentity(
    {
      keys: Object.entries(PEOPLE).map(([who, owner]) => ({
        hash: keys[who]?.hash ?? '',
        owner,
        ...(who === 'old' ? { expiresAt: '2020-01-01T00:00:00Z' } : {}),
        ...(who === 'agent' ? { onBehalfOf: [PEOPLE.bob] } : {}),
      })),
    },
    { now: Date.now, randomBytes: n => random.bytes(n) },
  )
  const passkeys = await Passkeys.open({
    store: o.store ?? new MemoryPasskeyStore(),
    box: createBox(Buffer.alloc(32, 9), random),
    audit: gate.running.gate.audit,
    clock: systemClock,
    random,
    rp: { ...RP, ...(o.origins === undefined ? {} : { origins: o.origins }) },
    registration: o.registration ?? 'invited',
  })
  const { audit, pipeline } = gate.running.gate
  const reading = openReading(gate.logPath, [])
  const sessions = new Sessions({
    clock: o.clock ?? systemClock,
    random,
    times: o.times ?? { maxMs: 28_800_000, idleMs: 1_800_000 },
    onExpired: session => void audit.append(expiredSessionRow(session, random)),
  })
  const checks = o.checks ?? demoChecks()
  const options: ControlOptions = {
    host: '127.0.0.1',
    port: o.port ?? 0,
    log: o.log?.log,
    console: {
      folder: o.folder ?? '/nowhere',
      reading,
      clock: systemClock,
      sessions,
      audit,
      random,
      oidc: o.oidc,
      standing: {
        version: '0.0.0-test',
        startedAtMs: systemClock.now(),
        nowMs: () => systemClock.now(),
        pipeline: {
          checks,
          times,
          shadow: false,
          policyDigest: pipeline.digest,
          source: 'pipeline.ts',
          upstream: 'demo',
          identity: { name: 'asserted', verified: false },
        },
        audit,
        chainKeys: () => ({ ids: RING.ids, active: RING.active.id }),
        load: () => gate.running.gate.load,
        receipts: {
          keys: ScheduledSigners.of(gate.signer),
          issuer: ISSUER,
          headerName: 'X-Signet-Receipt',
          form: 'jws',
        },
        capabilities: ScheduledSigners.of(gate.permits),
        log: o.log?.standing,
      },
    },
    metrics: [{ name: 'a', help: 'one', type: 'gauge', read: () => [{ value: 1 }] }],
    escalations: {
      desk: gate.running.gate.desk,
      access: createAccess({ identity, ...ACCESS }),
      changes,
      passkeys,
    },
    slack: {
      desk: gate.running.gate.desk,
      roles: createRoles(ACCESS),
      setting: readSlack(),
      signingSecret: 'not the one that anybody has',
      api: { call: async () => ({ ok: true, answer: {} }) },
      clock: systemClock,
    },
    version: '0.0.0-test',
  }
  const control = await startControl(options)
  const token = (who: Who) => keys[who]?.key ?? ''
  const call: Stand['call'] = (method, path, who, body) =>
    fetch(`${control.url}${path}`, {
      method,
      headers: {
        ...(who === undefined ? {} : { authorization: `Bearer ${token(who)}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  return {
    gate,
    control,
    routes: controlRoutes(options),
    passkeys,
    token,
    call,
    async hold(args = '{"amount":50000,"account":"X"}', name = 'issue_refund') {
      const tools = [{ type: 'function', function: { name } }]
      const res = await chat(gate, scenario({ kind: 'call', calls: [{ name, arguments: args }] }, { tools }))
      const { escalation_id: id } = (await res.json()) as { escalation_id: string }
      return (await (await call('GET', `/api/v1/escalations/${id}`, 'viewer')).json()) as Shown
    },
    close: async () => {
      await control.close()
      await reading.close()
      await passkeys.close()
      await gate.close()
    },
  }
}
