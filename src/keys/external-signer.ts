/**
 * Signing through another process: the private key is there and never here.
 *
 * Guarantees: a signature is verified against the announced public key before anybody gets it. A process that hangs,
 * dies, talks nonsense or signs with another key is ended, everything that waited on it fails, and it is started anew
 * with back-off; while it is down `at` names nobody, so the gate refuses before any work. What it had started itself goes
 * with it. No shell; the environment holds the variables that were named and nothing else. Public keys stay published
 * while it is down.
 *
 * Does not: judge what it is asked to sign, or survive a signer that signs correctly for somebody else too.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { Backoff } from '../core/backoff.ts'
import type { Clock } from '../core/clock.ts'
import { KeyError } from './error.ts'
import { type AnnouncedKey, LONGEST_LINE, readSignerLine, signRequest } from './signer-protocol.ts'
import { type PublicJwk, publicJwkOf, type Signer } from './signing.ts'
import { type PublishedKey, ScheduledSigners, type SigningKeys } from './signing-keys.ts'

export interface SignerCommand {
  /** A path; it is run as it is, not looked up. */
  readonly command: string
  readonly args?: readonly string[]
  /** Names of variables that it may see. Default: none. */
  readonly env?: readonly string[]
  /** Longest wait for a signature, and for the first line, in milliseconds. Default 2000. */
  readonly timeLimitMs?: number
  /** Signatures asked for at once; more wait. Default 64. */
  readonly concurrency?: number
}

export interface ExternalSignerPorts {
  readonly clock: Clock
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where relative paths begin. */
  readonly folder: string
  readonly onState: (ok: boolean, reason: string) => void
}

/** Waiting beyond the concurrency; more are refused at once. */
const MOST_WAITING = 4096
const CLOSING_MS = 2000
/** Announcements of one process within a minute; each is a line in the operator's log. */
const MOST_ANNOUNCED = 60
const MINUTE_MS = 60_000

interface Asked {
  readonly kid: string
  readonly data: Uint8Array
  readonly key: KeyObject
  readonly resolve: (signature: Uint8Array) => void
  readonly reject: (error: KeyError) => void
  readonly cancel: () => void
}

type Child = ChildProcessByStdio<Writable, Readable, null>

export class ExternalSigner implements SigningKeys {
  readonly #options: Required<SignerCommand>
  readonly #ports: ExternalSignerPorts
  readonly #backoff: Backoff
  #keys = new ScheduledSigners([])
  #child: Child | undefined
  /** It has said which keys it has. */
  #ready = false
  #nextId = 1
  #announced = 0
  #cancelCount: () => void = () => undefined
  readonly #asked = new Map<number, Asked>()
  #waiting: Asked[] = []
  #closed = false
  #cancelRestart: () => void = () => undefined
  #onFirst: { readonly resolve: () => void; readonly reject: (error: KeyError) => void } | undefined

  private constructor(command: SignerCommand, ports: ExternalSignerPorts) {
    this.#options = { args: [], env: [], timeLimitMs: 2000, concurrency: 64, ...command }
    this.#ports = ports
    this.#backoff = new Backoff(ports.clock)
  }

  /** Resolves when the process has said which keys it has; rejects when it does not within its time limit. */
  static async open(command: SignerCommand, ports: ExternalSignerPorts): Promise<ExternalSigner> {
    const signer = new ExternalSigner(command, ports)
    try {
      await new Promise<void>((resolve, reject) => {
        signer.#onFirst = { resolve, reject }
        signer.#start()
      })
    } catch (error) {
      await signer.close()
      throw error
    } finally {
      signer.#onFirst = undefined
    }
    return signer
  }

  at(ms: number): Signer | undefined {
    return this.#ready ? this.#keys.at(ms) : undefined
  }

  named(kid: string, ms: number): Signer | undefined {
    return this.#ready ? this.#keys.named(kid, ms) : undefined
  }

  published(ms: number): readonly PublishedKey[] {
    return this.#keys.published(ms)
  }

  /** The end of its input asks it to leave; one that stays is killed. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelRestart()
    this.#cancelCount()
    const child = this.#child
    this.#fail('the gate is ending')
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    await new Promise<void>(resolve => {
      const cancel = this.#ports.clock.timer(CLOSING_MS, () => kill(child))
      // Not 'close': that waits for everybody who has inherited its output.
      child.once('exit', () => {
        cancel()
        resolve()
      })
      child.stdin.end()
    })
    child.stdout.destroy()
  }

  #start(): void {
    const { command, args, env, timeLimitMs } = this.#options
    const { clock, environment, folder } = this.#ports
    let child: Child
    try {
      // A session of its own: a Ctrl-C meant for the gate must not take the receipts of what it still has to finish.
      child = spawn(command, args, {
        cwd: folder,
        env: Object.fromEntries(
          env.flatMap(name => (environment[name] === undefined ? [] : [[name, environment[name]]])),
        ),
        stdio: ['pipe', 'pipe', 'inherit'],
        shell: false,
        detached: true,
      })
    } catch (error) {
      // Some errors are thrown and not emitted: ETXTBSY while the program is being written over, for one.
      this.#down(`the signer process ${command} could not be run (${codeOf(error)})`)
      return
    }
    this.#child = child
    const cancel = clock.timer(timeLimitMs, () => {
      if (child === this.#child && !this.#ready) this.#end(child, `did not say its keys within ${timeLimitMs} ms`)
    })
    child.once('error', error => this.#end(child, `could not be run (${codeOf(error)})`))
    // Whoever waits is told by 'close'; a write into a pipe that is gone says nothing more.
    child.stdin.on('error', () => undefined)
    // What it leaves behind has its standard input, perhaps its key, and nobody who asks it. The last lines are read yet.
    child.once('exit', () => kill(child))
    child.once('close', (code, signal) => {
      cancel()
      this.#end(child, `ended (${signal ?? `exit code ${code}`})`)
    })
    let rest = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => {
      if (child !== this.#child) return
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (child === this.#child) this.#line(child, line)
      if (rest.length > LONGEST_LINE) this.#end(child, 'wrote a line that is too long')
    })
  }

  #line(child: Child, line: string): void {
    try {
      if (line.length > LONGEST_LINE) throw new KeyError('signer_unavailable', 'wrote a line that is too long')
      const said = readSignerLine(line)
      switch (said.kind) {
        case 'keys':
          this.#announce(said.keys)
          return
        case 'signature':
        case 'refused': {
          const asked = this.#asked.get(said.id)
          if (asked === undefined) throw new KeyError('signer_unavailable', 'answered what it was not asked')
          this.#asked.delete(said.id)
          asked.cancel()
          if (said.kind === 'refused') asked.reject(unavailable('the signer process refused to sign'))
          else this.#check(child, asked, said.signature)
          this.#send()
        }
      }
    } catch (error) {
      this.#end(child, error instanceof KeyError ? error.message : 'said what cannot be read')
    }
  }

  #announce(announced: readonly AnnouncedKey[]): void {
    if (this.#ready) this.#countAnnouncement()
    this.#keys = new ScheduledSigners(
      announced.map(({ x, notBefore, notAfter }) => ({
        signer: this.#signerFor(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })),
        notBefore,
        notAfter,
        withdrawn: false,
      })),
    )
    if (this.#ready) {
      this.#ports.onState(true, 'the signer process announced its keys anew')
      return
    }
    this.#ready = true
    const first = this.#onFirst
    if (first === undefined) this.#ports.onState(true, 'the signer process answers again')
    else first.resolve()
  }

  #countAnnouncement(): void {
    if (this.#announced === 0) {
      this.#cancelCount = this.#ports.clock.timer(MINUTE_MS, () => {
        this.#announced = 0
      })
    }
    this.#announced += 1
    if (this.#announced > MOST_ANNOUNCED)
      throw new KeyError('signer_unavailable', `announced its keys more than ${MOST_ANNOUNCED} times in a minute`)
  }

  #signerFor(key: KeyObject): Signer {
    const publicJwk: PublicJwk = publicJwkOf(key)
    return { kid: publicJwk.kid, alg: 'EdDSA', publicJwk, sign: data => this.#sign(publicJwk.kid, key, data) }
  }

  #sign(kid: string, key: KeyObject, data: Uint8Array): Promise<Uint8Array> {
    if (!this.#ready) return Promise.reject(unavailable('the signer process is not running'))
    if (this.#waiting.length >= MOST_WAITING)
      return Promise.reject(unavailable('too many signatures wait for the signer process'))
    return new Promise((resolve, reject) => {
      const child = this.#child
      const { timeLimitMs } = this.#options
      const cancel = this.#ports.clock.timer(timeLimitMs, () => {
        if (child !== undefined) this.#end(child, `did not sign within ${timeLimitMs} ms`)
      })
      this.#waiting.push({ kid, key, data, resolve, reject, cancel })
      this.#send()
    })
  }

  #send(): void {
    const child = this.#child
    if (child === undefined) return
    while (this.#asked.size < this.#options.concurrency) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      const id = this.#nextId++
      this.#asked.set(id, next)
      child.stdin.write(signRequest(id, next.kid, next.data))
    }
  }

  #check(child: Child, asked: Asked, signature: Uint8Array): void {
    verify(null, asked.data, asked.key, signature, (error, holds) => {
      if (error === null && holds) {
        this.#backoff.reset()
        asked.resolve(signature)
        return
      }
      asked.reject(unavailable('the signer process gave a signature that does not hold'))
      this.#end(child, 'gave a signature that does not hold under the key it announced')
    })
  }

  /** This process is over, whatever it does from now on. */
  #end(child: Child, why: string): void {
    if (child !== this.#child) return
    const reason = `the signer process ${this.#options.command} ${why}`
    this.#fail(reason)
    if (child.exitCode === null && child.signalCode === null) kill(child)
    child.stdout.destroy()
    this.#down(reason)
  }

  #down(reason: string): void {
    if (this.#closed) return
    if (this.#onFirst !== undefined) {
      this.#onFirst.reject(unavailable(`${reason}; correct receiptSigner, or see docs/keys.md`))
      return
    }
    this.#ports.onState(false, `${reason}; it is started again`)
    this.#cancelRestart = this.#backoff.again(() => this.#start())
  }

  #fail(reason: string): void {
    this.#child = undefined
    this.#ready = false
    const lost = [...this.#asked.values(), ...this.#waiting]
    this.#asked.clear()
    this.#waiting = []
    for (const asked of lost) {
      asked.cancel()
      asked.reject(unavailable(reason))
    }
  }
}

function unavailable(message: string): KeyError {
  return new KeyError('signer_unavailable', message)
}

/** It and what it has started, which is in its session unless it left it. */
function kill({ pid }: Child): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // None of them is left.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}
