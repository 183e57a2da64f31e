/** What the fault suites share: rows as they are appended, checks that fail in every way, an upstream under the test's control. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Check, Ctx } from '../../src/core/check.ts'
import type { Outcome } from '../../src/core/exchange.ts'
import { AuditUnavailable, type AuditWriter, type Row, type Ticket } from '../../src/core/row.ts'
import type { Verdict } from '../../src/core/verdict.ts'

export const ALLOWED: Verdict = { kind: 'allow' }

/** Sees every row as it is appended, so that a test can wait for one. */
export class RowWatch {
  readonly rows: Row[] = []
  #waiting: { readonly want: (row: Row) => boolean; readonly found: (row: Row) => void }[] = []

  readonly wrap = (inner: AuditWriter): AuditWriter => ({
    append: row => {
      const ticket = inner.append(row)
      this.rows.push(row)
      const met = this.#waiting.filter(w => w.want(row))
      this.#waiting = this.#waiting.filter(w => !met.includes(w))
      for (const w of met) w.found(row)
      return ticket
    },
    get ok() {
      return inner.ok
    },
    get head() {
      return inner.head
    },
    drain: () => inner.drain(),
    close: () => inner.close(),
  })

  /** The first row that fits, past or future. */
  row(want: (row: Row) => boolean): Promise<Row> {
    const found = this.rows.find(want)
    if (found !== undefined) return Promise.resolve(found)
    return new Promise(resolve => this.#waiting.push({ want, found: resolve }))
  }

  of(exchange: string | null): Row[] {
    return this.rows.filter(r => r.metadata['_exchange_id'] === exchange)
  }
}

/** Counts how often an exchange was settled, and with what. */
export class SettleProbe implements Check {
  readonly name = 'settle_probe'
  /** First to register, and so the last to be settled: when it is, everything is. */
  readonly priority = Number.MIN_SAFE_INTEGER
  readonly timeLimitMs = 1000
  readonly settled = new Map<string, Outcome[]>()
  #waiting: (() => void)[] = []

  describe() {
    return { name: this.name }
  }

  admit(x: { readonly id: string }, ctx: Ctx): Verdict {
    this.settled.set(x.id, [])
    ctx.onSettle(outcome => {
      this.settled.get(x.id)?.push(outcome)
      for (const f of this.#waiting.splice(0)) f()
    })
    return ALLOWED
  }

  /** Outcomes of all exchanges seen, once all of them are settled. */
  async all(): Promise<Outcome[]> {
    while ([...this.settled.values()].some(o => o.length === 0)) {
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    return [...this.settled.values()].flat()
  }
}

/** An upstream whose every answer the test writes itself. */
export interface HandUpstream {
  readonly url: string
  readonly calls: HandCall[]
  /** The nth call, once it is there. */
  call(n?: number): Promise<HandCall>
  close(): Promise<void>
}

export interface HandCall {
  readonly res: ServerResponse
  readonly req: IncomingMessage
  readonly body: Buffer
  /** Resolves when the gate has gone. */
  readonly gone: Promise<void>
  head(stream: boolean): void
  event(content: string): void
  done(): void
  unary(content: string): void
}

export async function handUpstream(onCall: (call: HandCall) => void = () => undefined): Promise<HandUpstream> {
  const calls: HandCall[] = []
  let waiting: (() => void)[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    const gone = new Promise<void>(resolve => res.once('close', resolve))
    req.on('data', (c: Buffer) => chunks.push(c))
    req.on('end', () => {
      const call: HandCall = {
        res,
        req,
        body: Buffer.concat(chunks),
        gone,
        head: stream => {
          res.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' })
          res.flushHeaders()
        },
        event: content => void res.write(eventOf(content)),
        done: () => void res.end(`${finish}data: [DONE]\n\n`),
        unary: content => {
          call.head(false)
          res.end(unaryOf(content))
        },
      }
      calls.push(call)
      onCall(call)
      for (const f of waiting) f()
      waiting = []
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    calls,
    call: async (n = 0) => {
      while (calls[n] === undefined) await new Promise<void>(resolve => waiting.push(resolve))
      return calls[n]!
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const chunkOf = (delta: unknown, finishReason: string | null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`
export const eventOf = (content: string) => chunkOf({ content }, null)
export const finish = chunkOf({}, 'stop')
export const unaryOf = (content: string) =>
  JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 },
  })

/** A writer that fails on command: `when` says for which row, `how` where. */
export function failingAudit(
  inner: AuditWriter,
  when: (row: Row) => boolean,
  how: 'append' | 'sync',
): AuditWriter & { heal(): void } {
  let healed = false
  let broken = false
  const lost = () => new AuditUnavailable('the audit log cannot be written (ENOSPC)')
  const refusing = (entryId: string): Ticket => {
    const no = (): Promise<never> => {
      const p = Promise.reject(lost())
      p.catch(() => undefined)
      return p
    }
    return {
      entryId,
      get placed() {
        return no()
      },
      durable: no,
    }
  }
  return {
    append: row => {
      if (healed) return inner.append(row)
      if (broken) return refusing(row.entryId)
      if (!when(row)) return inner.append(row)
      broken = true
      if (how === 'append') return refusing(row.entryId)
      const ticket = inner.append(row)
      return { entryId: ticket.entryId, placed: ticket.placed, durable: refusing(row.entryId).durable }
    },
    get ok() {
      return inner.ok && (healed || !broken)
    },
    get head() {
      return inner.head
    },
    drain: () => inner.drain(),
    close: () => inner.close(),
    heal: () => {
      healed = true
    },
  }
}
