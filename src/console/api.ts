/**
 * The control plane as the console calls it. Guarantees: the session's token is sent to this origin alone, in a header of
 * requests made here; it is kept for this tab and its time alone; an answer that is not of the described form is an error.
 */
import { flag, list, nullable, number, oneOf, type Read, record, shape, text, Unexpected } from './read.ts'

const role = oneOf('viewer', 'approver', 'admin')
export type Role = ReturnType<typeof role>
const state = oneOf('pending', 'approved', 'denied', 'expired', 'released')
export type EscalationState = ReturnType<typeof state>

const readSession = shape({ token: text, principal: text, role, by: text, expires_at: text, idle_s: number })
export type Session = ReturnType<typeof readSession>
const readWays = shape({ issuer: nullable(text) })
const readBegun = shape({ location: text, binding: text, expires_at: text })
const readMe = shape({ principal: text, role, by: text, session_ends_at: nullable(text) })
export type Me = ReturnType<typeof readMe>

const readDecision = shape({
  approver: text,
  decision: oneOf('approve', 'deny'),
  by: text,
  at: text,
  reason: nullable(text),
})
const readEscalation = shape({
  id: text,
  state,
  stage: oneOf('admission', 'commitment'),
  exchange: text,
  owner: text,
  owner_authenticated_by: text,
  surface: text,
  upstream: text,
  check: text,
  reason: text,
  digest: text,
  created_at: text,
  expires_at: text,
  passkey_required: flag,
  rule: shape({ kind: oneOf('chain', 'quorum'), approvers: list(text), needed: nullable(number) }),
  current_approvers: list(text),
  may_decide: flag,
  calls: list(shape({ id: text, tool: text, audience: nullable(text) })),
  decisions: list(readDecision),
})
export type Escalation = ReturnType<typeof readEscalation>

const readProposal = shape({
  digest: text,
  shown: record,
  arguments: list(text),
  similar: list(nullable(shape({ escalation: text, state, same_owner: flag, created_at: text, arguments: text }))),
})
export type Proposal = ReturnType<typeof readProposal>
export type Similar = Proposal['similar'][number]

const counts = { allow: number, redact: number, escalate: number, block: number }
const readOverview = shape({
  fromMs: number,
  bucketMs: number,
  decisions: list(shape(counts)),
  requests: list(number),
  completed: list(number),
  checks: list(shape({ check: text, ...counts })),
  sample: shape({
    sinceMs: number,
    whole: flag,
    latency: list(shape({ n: number, p50: nullable(number), p95: nullable(number) })),
    tokens: list(shape({ input: number, output: number })),
    owners: list(shape({ owner: text, tokens: number, exchanges: number, outThisHour: number, outToday: number })),
  }),
})
export type Overview = ReturnType<typeof readOverview>
export type Counts = Overview['decisions'][number]

const readRows = shape({ rows: list(shape({ index: number, line: text })), size: number, next: nullable(number) })
export type RowsPage = ReturnType<typeof readRows>

const readPipeline = shape({
  policy_digest: text,
  shadow: flag,
  source: text,
  upstream: text,
  identity: shape({ name: text, verified: flag }),
  checks: list(
    shape({
      name: text,
      priority: number,
      time_limit_ms: number,
      shadow: flag,
      stages: list(text),
      options: record,
      times: list(shape({ stage: text, n: number, p50_ms: number, p95_ms: number, max_ms: number })),
    }),
  ),
})
export type Pipeline = ReturnType<typeof readPipeline>

const readTrust = shape({
  receipts: nullable(shape({ issuer: text, header: text, form: text, jwks: shape({ keys: list(record) }) })),
  log: nullable(shape({ origin: text, key: text })),
})
export type Trust = ReturnType<typeof readTrust>

const publicKey = shape({ kid: text, nbf: nullable(number), exp: nullable(number) })
const signingKeys = nullable(shape({ signing: nullable(text), published: list(publicKey) }))
const readHealth = shape({
  version: text,
  started_at: text,
  audit: shape({ ok: flag, rows: number }),
  load: shape({ exchanges: number, held_bytes: number }),
  chain_keys: shape({ ids: list(text), active: text }),
  receipt_keys: signingKeys,
  capability_keys: signingKeys,
  log: nullable(
    shape({
      origin: text,
      key: text,
      ok: flag,
      reason: nullable(text),
      halted: flag,
      size: number,
      behind_rows: number,
      behind_ms: number,
      witnessed: nullable(number),
      alarm: nullable(shape({ kind: text, witness: text, detail: text })),
      witnesses: list(
        shape({ name: text, size: number, cosignatures: number, failures: number, problem: nullable(text) }),
      ),
      anchors: list(
        shape({ authority: text, size: number, at: nullable(text), failures: number, problem: nullable(text) }),
      ),
    }),
  ),
})
export type Health = ReturnType<typeof readHealth>

/** What the control plane refused, and why. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number
  readonly code: string
  /** Of the identity provider, in its own word. */
  readonly issuerError: string | undefined
  constructor(status: number, code: string, message: string, issuerError?: string) {
    super(message)
    this.status = status
    this.code = code
    this.issuerError = issuerError
  }
}

const STORED = 'signet.session'
let session: Session | undefined = stored()
let onEnded: () => void = () => undefined

/** `sessionStorage` is this tab's and this origin's, port included; a cookie would go to every port of the host. */
function stored(): Session | undefined {
  try {
    const found = readSession(JSON.parse(sessionStorage.getItem(STORED) ?? 'null'))
    return Date.parse(found.expires_at) > Date.now() ? found : undefined
  } catch {
    return undefined
  }
}

export function whenSessionEnds(f: () => void): void {
  onEnded = f
}

function keep(opened: Session): Session {
  session = opened
  sessionStorage.setItem(STORED, JSON.stringify(opened))
  return opened
}

function forget(): void {
  session = undefined
  sessionStorage.removeItem(STORED)
}

interface Asked {
  readonly method?: 'GET' | 'POST'
  readonly body?: unknown
  /** The page asks by itself: it keeps no session open. */
  readonly background?: boolean
  readonly token?: string
  readonly signal?: AbortSignal
}

async function send(path: string, { method = 'GET', body, background = false, token, signal }: Asked = {}) {
  const bearer = token ?? session?.token
  const res = await fetch(path, {
    method,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    headers: {
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(background ? { 'signet-background': '1' } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  })
  if (res.ok) return res
  let code = `${res.status}`
  let message = `the control plane answered ${res.status}`
  let issuerError: string | undefined
  try {
    const said = shape({ error: text, description: nullable(text), issuer_error: nullable(text) })(await res.json())
    code = said.error
    issuerError = said.issuer_error ?? undefined
    message = said.description ?? said.error
  } catch {
    // Not of the described form: the status says enough.
  }
  if (res.status === 401 && token === undefined) {
    forget()
    onEnded()
  }
  throw new Refused(res.status, code, message, issuerError)
}

async function call<T>(path: string, read: Read<T>, asked: Asked = {}): Promise<T> {
  const res = await send(path, asked)
  const value: unknown = await res.json()
  try {
    return read(value)
  } catch (error) {
    if (!(error instanceof Unexpected)) throw error
    throw new Refused(res.status, 'unreadable', `the answer was not understood (${error.message}); reload the page`)
  }
}

const ESCALATIONS = '/api/v1/escalations'
const MOST_LISTED = 200
const page = shape({ escalations: list(readEscalation), next: nullable(text) })

export const api = {
  get session(): Session | undefined {
    return session
  },
  async signIn(token: string): Promise<Session> {
    return keep(await call('/api/v1/session', readSession, { method: 'POST', body: {}, token }))
  },
  /** Whether people can sign in at an identity provider. */
  ways: () => call('/api/v1/sign-in', readWays),
  beginSignIn: () => call('/api/v1/sign-in/begin', readBegun, { method: 'POST', body: {} }),
  async completeSignIn(binding: string, response: string): Promise<Session> {
    return keep(await call('/api/v1/sign-in/complete', readSession, { method: 'POST', body: { binding, response } }))
  },
  async signOut(): Promise<void> {
    try {
      if (session !== undefined) await send('/api/v1/session/close', { method: 'POST', body: {} })
    } finally {
      forget()
    }
  },
  me: (background: boolean) => call('/api/v1/me', readMe, { background }),
  /** The newest 200, without their arguments. Where those are long the gate gives fewer at once. */
  async escalations(states: readonly EscalationState[], background: boolean) {
    const found: Escalation[] = []
    for (let next: string | null | undefined; next !== null && found.length < MOST_LISTED; ) {
      const query = new URLSearchParams(states.map(s => ['state', s]))
      query.set('limit', String(MOST_LISTED - found.length))
      query.set('arguments', 'false')
      if (next !== undefined) query.set('before', next)
      const read = await call(`${ESCALATIONS}?${query}`, page, { background })
      found.push(...read.escalations)
      next = read.next
    }
    return { escalations: found }
  },
  escalation: (id: string) => call(`${ESCALATIONS}/${encodeURIComponent(id)}`, readEscalation),
  proposal: (id: string) => call(`${ESCALATIONS}/${encodeURIComponent(id)}/proposal`, readProposal),
  decide: (id: string, decision: 'approve' | 'deny', body: DecisionBody) =>
    call(`${ESCALATIONS}/${encodeURIComponent(id)}/${decision}`, readEscalation, { method: 'POST', body }),
  passkeyOptions: (id: string, body: Readonly<Record<string, unknown>>) =>
    call(`${ESCALATIONS}/${encodeURIComponent(id)}/passkey`, record, { method: 'POST', body }),
  overview: (period: string, background: boolean) =>
    call(`/api/v1/overview?period=${encodeURIComponent(period)}`, readOverview, { background }),
  rows: (query: URLSearchParams, background = false) => call(`/api/v1/rows?${query}`, readRows, { background }),
  pipeline: (background: boolean) => call('/api/v1/pipeline', readPipeline, { background }),
  trust: () => call('/api/v1/trust', readTrust),
  health: (background: boolean) => call('/api/v1/health', readHealth, { background }),
  /** Tells of every change of an escalation until `signal` aborts or the connection ends. */
  async watch(onChange: () => void, signal: AbortSignal): Promise<void> {
    const res = await send(`${ESCALATIONS}/watch`, { background: true, signal })
    const reader = res.body?.pipeThrough(new TextDecoderStream()).getReader()
    if (reader === undefined) return
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const events = (rest + value).split('\n\n')
      rest = events.pop() ?? ''
      if (events.some(event => event.startsWith('event: escalation'))) onChange()
    }
  },
}

export interface DecisionBody {
  readonly digest: string
  readonly seen_decisions: number
  readonly reason?: string
  readonly passkey?: unknown
}
