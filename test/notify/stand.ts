/** What the suites of notices stand on: a clock that is moved by hand, a log in memory, a desk, receivers that listen. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../../src/core/clock.ts'
import { agentOwner } from '../../src/core/owner.ts'
import { AuditUnavailable, type AuditWriter, type Row } from '../../src/core/row.ts'
import type { EscalationStore } from '../../src/core/state.ts'
import type { ApprovalPolicy } from '../../src/escalation/approvers.ts'
import { createBox } from '../../src/escalation/box.ts'
import { Desk, type Held } from '../../src/escalation/desk.ts'
import type { Escalation } from '../../src/escalation/escalation.ts'
import { type Egress, openEgress } from '../../src/plugins/egress.ts'
import { MemoryEscalationStore } from '../../src/state/escalations/memory.ts'
import { systemRandom } from '../../src/state/system.ts'

/** Stands until it is moved; timers fire when it passes them. It begins now, for verifiers that look at the real time. */
export class StillClock implements Clock {
  ms = Date.now()
  readonly #timers = new Set<{ readonly at: number; readonly f: () => void }>()
  now = () => this.ms
  nowNs = () => BigInt(this.ms) * 1_000_000n
  timer = (ms: number, f: () => void) => {
    const t = { at: this.ms + ms, f }
    this.#timers.add(t)
    return () => this.#timers.delete(t)
  }
  pass(ms: number): void {
    this.ms += ms
    for (const t of [...this.#timers]) {
      if (t.at > this.ms) continue
      this.#timers.delete(t)
      t.f()
    }
  }
}

export class Log implements AuditWriter {
  readonly rows: Row[] = []
  ok = true
  readonly head = { size: 0n, hmac: undefined }
  append(row: Row) {
    const lost = this.ok ? undefined : new AuditUnavailable('the log cannot be written')
    if (lost === undefined) this.rows.push(row)
    const placed = () =>
      lost === undefined
        ? Promise.resolve({ index: 0n, tsNs: 0n, hmac: '', commit: '', canonical: '', leaf: '' })
        : Promise.reject(lost)
    return {
      entryId: row.entryId,
      get placed() {
        return placed()
      },
      durable: placed,
    }
  }
  drain = () => Promise.resolve()
  close = () => Promise.resolve()
  named = (name: string) => this.rows.filter(r => r.metadata['_check_name'] === name)
}

const box = createBox(Buffer.alloc(32, 7), systemRandom())
export const OWNER = agentOwner('crawler-7', { authenticatedBy: 'api_key', notApprovers: ['human:alice@example.com'] })

export interface TestDesk {
  readonly desk: Desk
  readonly store: EscalationStore
  readonly audit: Log
  readonly clock: StillClock
  /** Whoever is told of changes. */
  readonly followers: ((e: Escalation) => void)[]
  hold(calls?: readonly (readonly [tool: string, args: string])[], over?: Partial<Held>): Promise<Escalation>
  decide(e: Escalation, decision?: 'approve' | 'deny', approver?: string): Promise<void>
}

export function testDesk(policy: ApprovalPolicy = { approvers: ['human:bob@example.com'] }, ttlMs = 900_000): TestDesk {
  const clock = new StillClock()
  const audit = new Log()
  const random = systemRandom(clock.now)
  const store = new MemoryEscalationStore({ maxEntries: 5000, maxPerOwner: 5000 })
  const followers: ((e: Escalation) => void)[] = []
  const onChange = (e: Escalation) => {
    for (const f of followers) f(e)
  }
  const desk = new Desk({ store, box, audit, clock, random, policy, ttlMs, onChange })
  return {
    desk,
    store,
    audit,
    clock,
    followers,
    async hold(calls = [['issue_refund', '{"amount":50000}']], over = {}) {
      const opened = await desk.hold(held(calls, over))
      if ('kind' in opened) throw new Error('nobody may approve')
      return opened.escalation
    },
    async decide(e, decision = 'approve', approver = 'human:bob@example.com') {
      const said = await desk.decide(e.id, { approver, decision, by: 'api_key', digest: e.digest, reason: 'a reason' })
      if (said.kind !== 'decided') throw new Error(`not decided: ${JSON.stringify(said)}`)
    },
  }
}

function held(calls: readonly (readonly [string, string])[], over: Partial<Held>): Held {
  return {
    exchange: '01900000-0000-7000-8000-00000000abcd',
    owner: OWNER,
    claimsVerified: true,
    stage: 'commitment',
    surface: 'chat',
    upstream: 'demo',
    policyDigest: 'p',
    requestDigest: 'sha256:r',
    check: 'tool_call_inspector',
    reason: 'it is irreversible (tier high)',
    audienceOf: () => undefined,
    answer: {
      dialect: 'chat',
      request: Buffer.from('{}'),
      stream: false,
      status: 200,
      headers: [],
      context: {
        peerAddress: undefined,
        declared: { classification: undefined, clearance: undefined, clearanceVerified: true },
        levels: undefined,
        session: undefined,
      },
      calls: calls.map(([name, argumentsText], i) => ({
        key: `0:${i}`,
        id: `call_${i}`,
        name,
        argumentsText,
        tier: 'high',
      })),
      frames: [],
      given: [],
      shadowed: false,
    },
    ...over,
  }
}

export interface Got {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Receiver {
  readonly url: string
  readonly got: readonly Got[]
  /** Resolves when so many requests have come. */
  came(count: number): Promise<void>
  close(): Promise<void>
}

/** A server on the loopback that answers as it is told. */
export async function receiver(answer: (res: ServerResponse, got: Got, nth: number) => void): Promise<Receiver> {
  const got: Got[] = []
  let look: () => void = () => undefined
  const listener: RequestListener = (req, res) => {
    let body = ''
    req.on('data', piece => {
      body += String(piece)
    })
    req.on('end', () => {
      const one = { path: req.url ?? '', headers: req.headers, body }
      got.push(one)
      answer(res, one, got.length)
      look()
    })
  }
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    came: count =>
      new Promise(resolve => {
        look = () => {
          if (got.length >= count) resolve()
        }
        look()
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The one egress client; its first so many calls have a patience that a test can wait for. */
export function impatient(calls: number): Egress {
  const egress = openEgress()
  let left = calls
  return {
    send: r => egress.send(left-- > 0 ? { ...r, timeoutMs: 100 } : r),
    close: () => egress.close(),
  }
}

/** Literal attacks on whoever looks at arguments. */
export const ATTACKS: readonly (readonly [what: string, text: string])[] = [
  ['bidi override', 'pay \u202e0005 ot tnuoma\u202c'],
  ['bidi isolates', '\u2066abc\u2069 \u200f \u061c'],
  ['zero width', 'pay\u200bpal\ufeff\u2060\u00ad'],
  ['tag characters', 'ok\u{e0061}\u{e0062}'],
  ['ANSI', '\u001b[2J\u001b[31mAPPROVED\u001b[0m\u0007\u009b31m'],
  ['carriage return', 'amount: 50000\ramount: 5'],
  ['HTML', '<script>alert(1)</script><img src=x onerror=alert(1)>&lt;b&gt;'],
  ['mrkdwn', '*bold* _it_ ~no~ `code` ```block``` > quote'],
  ['mention', '<!channel> <!here> <@U0123456789> <#C0123456789> @everyone'],
  ['link', '<https://evil.example|https://signet.example.com/escalations>'],
  ['emoji', ':white_check_mark: :skull:'],
  ['header', 'x\r\nBcc: evil@example.com\r\n\r\nApprove here: https://evil.example'],
  ['lines', '\n\nDigest:  sha256:0000\nDecide after signing in: https://evil.example\n'],
  ['separators', 'a\u2028b\u2029c\u0085d\u000be'],
  ['half a pair', 'a\ud800b\udc00c'],
  ['fillers', 'a\u3164b\u115fc\uffa0'],
]

/** What nobody may be shown raw. */
export const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]/u
