/**
 * The worker processes: started, watched, started again, asked to leave.
 *
 * `node:cluster` hands out connections in turn from one listening socket that the primary holds. So a dead worker takes
 * no waiting connection with it, work is spread evenly, and when the primary dies nobody listens any more: what workers
 * are left cannot take a request, whatever they have noticed.
 *
 * Guarantees: a worker that ends is started again with back-off, up to 5 s; when `GIVE_UP` in a row have ended and
 * none there is has stayed, `failed` rejects. Its reservations are charged and a row says that it ended.
 * `close` asks all to leave and ends those that stay. Does not: move an exchange to another worker; its caller sees the
 * connection break.
 */
import cluster, { type Worker } from 'node:cluster'
import { Duplex } from 'node:stream'
import { noteRow } from '../audit/own-rows.ts'
import { Backoff } from '../core/backoff.ts'
import type { Clock, Random } from '../core/clock.ts'
import { LINK_FD } from './fd.ts'
import { Handed } from './handed.ts'
import { Link, type LinkPorts } from './link.ts'

export interface CrewOptions {
  readonly count: number
  /** The program that a worker runs. */
  readonly program: string
  /** What each is told before it listens. */
  readonly begin: Readonly<Record<string, unknown>>
  /** Variables that workers do not get. */
  readonly hidden: readonly string[]
  /** How long a worker may take to leave, in milliseconds, before it is killed. */
  readonly leaveMs: number
  readonly ports: LinkPorts
  readonly clock: Clock
  readonly random: Random
  readonly onWorker: (ok: boolean, message: string) => void
}

/** Endings in a row before the primary gives up, when no worker there is has stayed. */
const GIVE_UP = 10
/** How long what a dead worker has written may take to be read. */
const LAST_WORDS_MS = 2000
/** Between two looks at whether the log can be written. */
const LOOK_MS = 1000
/** A worker that listened for so long has stayed. */
const STAYED_MS = 30_000

interface Post {
  readonly number: number
  readonly backoff: Backoff
  worker: Worker | undefined
  link: Link | undefined
  listening: boolean
  /** It has listened for long enough to count as sound. */
  stayed: boolean
  cancel: () => void
}

export class Crew {
  readonly #o: CrewOptions
  readonly #posts: readonly Post[]
  readonly failed: Promise<never>
  #giveUp: (error: Error) => void = () => undefined
  #endings = 0
  #leaving = false
  #cancelLook: () => void = () => undefined
  /** Until every worker has listened once. */
  #starting: { resolve(facts: Readonly<Record<string, unknown>>): void; reject(error: Error): void } | undefined
  readonly #gone: Promise<void>[] = []

  private constructor(options: CrewOptions) {
    this.#o = options
    this.failed = new Promise((_, reject) => (this.#giveUp = reject))
    this.failed.catch(() => undefined)
    this.#posts = Array.from({ length: options.count }, (_, i) => ({
      number: i + 1,
      backoff: new Backoff(options.clock),
      worker: undefined,
      link: undefined,
      listening: false,
      stayed: false,
      cancel: () => undefined,
    }))
  }

  /** Resolves when all listen, with what the last one said of itself; rejects when one cannot start. */
  static async start(
    options: CrewOptions,
  ): Promise<{ readonly crew: Crew; readonly facts: Readonly<Record<string, unknown>> }> {
    const crew = new Crew(options)
    cluster.schedulingPolicy = cluster.SCHED_RR
    cluster.setupPrimary({
      exec: options.program,
      args: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    })
    try {
      const facts = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
        crew.#starting = { resolve, reject }
        for (const post of crew.#posts) crew.#fork(post)
      })
      crew.#starting = undefined
      crew.#look()
      return { crew, facts }
    } catch (error) {
      await crew.close()
      throw error
    }
  }

  health(reason: string): void {
    for (const { link } of this.#posts) link?.health(reason)
  }

  keys(): void {
    for (const { link } of this.#posts) link?.keys()
    this.#look()
  }

  /** A key may end by itself: no worker goes on taking requests for longer than a second after it. */
  #look(): void {
    this.#cancelLook()
    for (const { link } of this.#posts) link?.look()
    if (!this.#leaving) this.#cancelLook = this.#o.clock.timer(LOOK_MS, () => this.#look())
  }

  /** An escalation was changed: whoever waits for it in a worker looks again. */
  noticed(id: string): void {
    for (const { link } of this.#posts) link?.noticed(id)
  }

  /** Of all workers together, as they last said. */
  get load(): { readonly active: number; readonly heldBytes: number } {
    let [active, heldBytes] = [0, 0]
    for (const { link } of this.#posts) {
      active += link?.load.active ?? 0
      heldBytes += link?.load.heldBytes ?? 0
    }
    return { active, heldBytes }
  }

  async close(): Promise<void> {
    this.#leaving = true
    this.#cancelLook()
    for (const post of this.#posts) {
      post.cancel()
      post.link?.leave()
    }
    const kill = this.#o.clock.timer(this.#o.leaveMs, () => {
      for (const { worker } of this.#posts) worker?.process.kill('SIGKILL')
    })
    await Promise.all(this.#gone)
    kill()
  }

  #fork(post: Post): void {
    const worker = cluster.fork(Object.fromEntries(this.#o.hidden.map(name => [name, undefined])))
    post.worker = worker
    const handed = new Handed(worker.process)
    post.listening = false
    const socket = worker.process.stdio[LINK_FD]
    if (!(socket instanceof Duplex)) throw new Error('a worker was started without its connection')
    const link = new Link(socket, this.#o.ports, {
      onListening: facts => this.#listens(post, facts),
      onFailed: reason => this.#starting?.reject(new Error(reason)),
    })
    post.link = link
    link.begin(this.#o.begin)
    this.#gone.push(
      new Promise(resolve => {
        const over = (why: string): void => {
          if (post.link !== link) return
          handed.close()
          post.link = undefined
          post.worker = undefined
          // What it had written before it ended is still read: its end of the pair closes behind that.
          const cut = this.#o.clock.timer(LAST_WORDS_MS, () => link.end())
          void link.over.then(open => {
            cut()
            this.#ended(post, why, open)
            resolve()
          })
        }
        worker.process.once('error', () => over('could not be started'))
        worker.process.once('exit', (code, signal) => over(signal ?? `exit code ${code}`))
        // Its end of the connection is gone and it is not: nothing it does can be recorded any more.
        void link.over.then(() => worker.process.kill('SIGKILL'))
      }),
    )
  }

  #listens(post: Post, facts: Readonly<Record<string, unknown>>): void {
    post.listening = true
    const first = this.#starting
    this.#o.onWorker(true, `worker ${post.number} listens (process ${post.worker?.process.pid})`)
    if (this.#posts.every(p => p.listening)) first?.resolve(facts)
    post.cancel = this.#o.clock.timer(STAYED_MS, () => {
      this.#endings = 0
      post.stayed = true
      post.backoff.reset()
    })
  }

  #ended(post: Post, why: string, open: number): void {
    post.cancel()
    const { number } = post
    post.listening = false
    post.stayed = false
    if (this.#leaving) return
    if (this.#starting !== undefined) {
      this.#starting.reject(new Error(`worker ${number} ended while it started (${why})`))
      return
    }
    const { audit } = this.#o.ports
    const details = { worker: number, cause: why, open_reservations: open }
    audit.append(
      noteRow(this.#o.random.uuid(), 'workers.ended', 'a worker process ended; its exchanges broke off', details),
    )
    this.#endings += 1
    if (this.#endings >= GIVE_UP && !this.#posts.some(p => p.stayed)) {
      this.#giveUp(new Error(`no worker stays up (the last ended: ${why}); see what it wrote above`))
      return
    }
    this.#o.onWorker(false, `worker ${number} ended (${why}); it is started again`)
    post.cancel = post.backoff.again(() => {
      if (!this.#leaving) this.#fork(post)
    })
  }
}
