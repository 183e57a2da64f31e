/**
 * The one connection to Redis, and when it may be used.
 *
 * Guarantees: a command is answered or rejected within the time limit; nothing is queued for a server that is not
 * there: without a connection, and from the first late answer until the server has answered again, commands are
 * rejected at once. A connection that stays silent is dropped, and a new one is tried without end, with back-off.
 * Does not guarantee that a rejected command was not carried out: it may have been, or will be. `late` is told when its
 * answer comes after all; when the connection breaks nobody will ever know.
 */
import type { Clock } from '../../core/clock.ts'

/** What this needs of a client. One is made for each connection and never used again after it broke. */
export interface Connection {
  /** Rejects when no connection comes about. Called once. */
  open(): Promise<unknown>
  /** Rejects with `RedisRefused` when the server answers with an error, with anything else when the connection broke. */
  send(command: readonly string[]): Promise<unknown>
  /** Rejects what is under way. */
  destroy(): void
}

export interface LinkOptions {
  /** `onBroken` may be called any number of times. */
  readonly connect: (onBroken: (error: unknown) => void) => Connection
  readonly timeoutMs: number
  readonly clock: Pick<Clock, 'timer'>
  /** Told of every change, and of the first failure; the reason is a code or a few words, never an address or a secret. */
  readonly onState?: (ok: boolean, reason: string) => void
}

/** The server cannot be asked, or has not answered. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

/** The server has answered with an error. `code` is its first word: `WRONGTYPE`, `OOM`, `NOSCRIPT`. */
export class RedisRefused extends Error {
  override readonly name = 'RedisRefused'
  readonly code: string

  constructor(code: string) {
    super(`Redis answered ${code}`)
    this.code = code
  }
}

/** For the whole of it: name resolution, TCP, TLS, authentication. */
const CONNECT_MS = 5_000
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 2_000
/** A connection with an answer overdue for so many time limits is given up. */
const PATIENCE = 5

type Phase = 'down' | 'ready' | 'silent' | 'closed'

export class RedisLink {
  readonly #o: LinkOptions
  #phase: Phase = 'down'
  #connection: Connection | undefined
  #waitMs = FIRST_WAIT_MS
  /** The next attempt, or the end of patience with this one. */
  #cancel: () => void = () => undefined
  #told: boolean | undefined
  #underWay = 0
  #ended: (() => void)[] = []
  #readyListeners: (() => void)[] = []

  constructor(options: LinkOptions) {
    this.#o = options
    this.#connect()
  }

  /** Whether commands are sent just now. */
  get ok(): boolean {
    return this.#phase === 'ready'
  }

  /** `f` is called whenever commands can be sent again. */
  onReady(f: () => void): void {
    this.#readyListeners.push(f)
  }

  send(command: readonly string[], late?: (reply: unknown) => void): Promise<unknown> {
    const connection = this.#connection
    if (this.#phase !== 'ready' || connection === undefined) {
      return Promise.reject(new RedisUnavailable('there is no connection to Redis'))
    }
    const { clock, timeoutMs } = this.#o
    this.#underWay += 1
    return new Promise((resolve, reject) => {
      let waiting = true
      const cancel = clock.timer(timeoutMs, () => {
        waiting = false
        this.#overdue(connection)
        reject(new RedisUnavailable(`Redis did not answer within ${timeoutMs} ms`))
        this.#over()
      })
      const over = (): boolean => {
        cancel()
        return waiting
      }
      connection.send(command).then(
        reply => {
          const inTime = over()
          this.#answered(connection)
          if (inTime) resolve(reply)
          else late?.(reply)
          if (inTime) this.#over()
        },
        (error: unknown) => {
          const inTime = over()
          if (error instanceof RedisRefused) this.#answered(connection, error)
          else this.#broken(connection, error)
          if (inTime) reject(error instanceof RedisRefused ? error : new RedisUnavailable('the connection broke'))
          if (inTime) this.#over()
        },
      )
    })
  }

  /** Waits for what is under way, at most its time limit. */
  async close(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>(resolve => this.#ended.push(resolve))
    this.#phase = 'closed'
    this.#cancel()
    this.#connection?.destroy()
    this.#connection = undefined
  }

  #connect(): void {
    const connection: Connection = this.#o.connect(error => this.#broken(connection, error))
    this.#connection = connection
    this.#cancel = this.#o.clock.timer(CONNECT_MS, () => this.#broken(connection, undefined, 'no connection in time'))
    connection.open().then(
      () => this.#opened(connection),
      (error: unknown) => this.#broken(connection, error),
    )
  }

  #opened(connection: Connection): void {
    if (connection !== this.#connection || this.#phase !== 'down') return
    this.#cancel()
    this.#waitMs = FIRST_WAIT_MS
    this.#ready('connected')
  }

  #ready(reason: string): void {
    this.#phase = 'ready'
    this.#tell(true, reason)
    for (const f of this.#readyListeners) f()
  }

  /** A late answer is the first sign that the next one will be late as well: nobody else should have to wait for it. */
  #overdue(connection: Connection): void {
    if (connection !== this.#connection || this.#phase !== 'ready') return
    this.#phase = 'silent'
    this.#tell(false, `no answer within ${this.#o.timeoutMs} ms`)
    const patience = this.#o.timeoutMs * PATIENCE
    this.#cancel = this.#o.clock.timer(patience, () => this.#broken(connection, undefined, 'no answer'))
  }

  #answered(connection: Connection, refused?: RedisRefused): void {
    if (connection !== this.#connection) return
    // A primary that has become a replica stays one: the name may lead to the new primary by now.
    if (refused?.code === 'READONLY') {
      this.#broken(connection, refused)
    } else if (this.#phase === 'silent') {
      this.#cancel()
      this.#ready('answers again')
    }
  }

  #broken(connection: Connection, error: unknown, reason = reasonOf(error)): void {
    if (connection !== this.#connection || this.#phase === 'closed') return
    this.#cancel()
    this.#phase = 'down'
    this.#connection = undefined
    connection.destroy()
    this.#tell(false, reason)
    const waitMs = this.#waitMs
    this.#waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)
    this.#cancel = this.#o.clock.timer(waitMs, () => this.#connect())
  }

  #tell(ok: boolean, reason: string): void {
    if (ok === this.#told) return
    this.#told = ok
    this.#o.onState?.(ok, reason)
  }

  #over(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) for (const f of this.#ended.splice(0)) f()
  }
}

/** `ECONNREFUSED`, `WRONGPASS`; else the class. A message may hold an address, or what was sent. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'connection lost'
  if ('code' in error && typeof error.code === 'string') return error.code.slice(0, 64)
  return error.name === 'Error' ? 'connection lost' : error.name.slice(0, 64)
}
