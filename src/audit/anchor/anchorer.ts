/**
 * Has the log's signed checkpoints stamped by time-stamping authorities, off the request path: when an interval is over or
 * so many rows have come, and there is something new.
 *
 * Guarantees: only a response that verifies is kept, once; an authority that fails is asked again with back-off and holds
 * up no other; one request to each at a time. Over restarts the interval goes on from the last anchor. Does not: hold up
 * a row or a checkpoint, or stamp a checkpoint that was overtaken while an authority was down.
 */
import { fromUtf8 } from '../log/bytes.ts'
import { parseCheckpoint } from '../log/checkpoint.ts'
import type { FolderFiles } from '../log/folder-files.ts'
import { parseNote } from '../log/note.ts'
import { type AuthorityPorts, askAuthority } from './authority.ts'
import { AnchorInvalid } from './errors.ts'
import { authorityOf, keepAnchor, listAnchors, readAnchor } from './store.ts'

/** How often it is looked at whether anything is due. */
const LOOK_MS = 1_000
const FIRST_BACKOFF_MS = 5_000
const LAST_BACKOFF_MS = 15 * 60_000

export interface AnchorerOptions extends AuthorityPorts {
  readonly urls: readonly string[]
  /** Object identifier of the policy to stamp under. */
  readonly policy: string | undefined
  readonly intervalMs: number
  /** Sooner, when so many rows have come. */
  readonly everyRows: number | undefined
  readonly files: FolderFiles
  /** Entries under the last signed checkpoint. */
  readonly size: () => number
  readonly later: (ms: number, f: () => void) => () => void
  /** For the operator's log: an authority failed and why, or stamps again. Once per change. */
  readonly onState: (ok: boolean, authority: string, reason: string) => void
}

export interface AuthorityStatus {
  readonly authority: string
  /** Entries under the checkpoint that it stamped last; 0 for none. */
  readonly size: number
  /** The time it gave. */
  readonly atMs: number
  /** Since the start. */
  readonly anchors: number
  readonly failures: number
  /** Why the last attempt failed. */
  readonly problem: string | undefined
}

interface Authority {
  readonly url: string
  readonly name: string
  size: number
  atMs: number
  anchors: number
  failures: number
  problem: string | undefined
  backoffMs: number
  notBeforeMs: number
  running: Promise<void> | undefined
}

export class Anchorer {
  readonly #o: AnchorerOptions
  readonly #authorities: readonly Authority[]
  readonly #closing = new AbortController()
  #cancel: (() => void) | undefined

  private constructor(o: AnchorerOptions, authorities: readonly Authority[]) {
    this.#o = o
    this.#authorities = authorities
    this.#look()
  }

  static async open(o: AnchorerOptions): Promise<Anchorer> {
    const stored = await listAnchors(o.files)
    const authorities: Authority[] = []
    for (const url of o.urls) {
      const name = authorityOf(url)
      const last = stored.filter(({ authority }) => authority === name).at(-1)
      const atMs = last === undefined ? 0 : await timeOf(o, last)
      authorities.push({
        url,
        name,
        size: last?.size ?? 0,
        atMs,
        anchors: 0,
        failures: 0,
        problem: undefined,
        backoffMs: 0,
        notBeforeMs: 0,
        running: undefined,
      })
    }
    return new Anchorer(o, authorities)
  }

  get status(): readonly AuthorityStatus[] {
    return this.#authorities.map(({ name, size, atMs, anchors, failures, problem }) => ({
      authority: name,
      size,
      atMs,
      anchors,
      failures,
      problem,
    }))
  }

  /** Something is being asked. */
  get busy(): boolean {
    return this.#authorities.some(({ running }) => running !== undefined)
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#cancel?.()
    this.#closing.abort(new Error('the gate is closing'))
    await Promise.all(this.#authorities.map(({ running }) => running))
    await this.#o.stamper.close()
  }

  #look(): void {
    if (this.#closing.signal.aborted) return
    for (const authority of this.#authorities) {
      if (authority.running !== undefined || !this.#isDue(authority)) continue
      authority.running = this.#anchor(authority).finally(() => {
        authority.running = undefined
      })
    }
    this.#cancel = this.#o.later(LOOK_MS, () => this.#look())
  }

  #isDue({ size, atMs, notBeforeMs }: Authority): boolean {
    const { nowMs, intervalMs, everyRows } = this.#o
    const now = nowMs()
    const fresh = this.#o.size() - size
    if (fresh <= 0 || now < notBeforeMs) return false
    return now - atMs >= intervalMs || (everyRows !== undefined && fresh >= everyRows)
  }

  /** Never rejects. */
  async #anchor(authority: Authority): Promise<void> {
    const { files, policy } = this.#o
    try {
      const checkpoint = await files.read('signed')
      if (checkpoint === undefined) return
      const { size } = parseCheckpoint(parseNote(fromUtf8(checkpoint)).text)
      if (size <= authority.size) return
      const { stamp, response } = await askAuthority(authority.url, checkpoint, policy, this.#o, this.#closing.signal)
      await keepAnchor(files, { size, authority: authority.name }, checkpoint, response)
      authority.size = size
      authority.atMs = stamp.time.getTime()
      authority.anchors++
      authority.backoffMs = 0
      if (authority.problem !== undefined) {
        authority.problem = undefined
        this.#o.onState(true, authority.name, 'it stamps again')
      }
    } catch (error) {
      this.#failed(authority, error)
    }
  }

  #failed(authority: Authority, error: unknown): void {
    if (this.#closing.signal.aborted) return
    const problem =
      error instanceof AnchorInvalid
        ? error.message
        : `its anchor cannot be kept (${error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 200) : 'unknown'})`
    authority.failures++
    authority.backoffMs = Math.min(
      authority.backoffMs === 0 ? FIRST_BACKOFF_MS : authority.backoffMs * 2,
      LAST_BACKOFF_MS,
    )
    authority.notBeforeMs = this.#o.nowMs() + authority.backoffMs
    if (authority.problem !== problem) this.#o.onState(false, authority.name, problem)
    authority.problem = problem
  }
}

/** When the last anchor was made; 0 when it does not verify, so that the next is made at once. */
async function timeOf(
  o: AnchorerOptions,
  name: { readonly size: number; readonly authority: string },
): Promise<number> {
  try {
    const { checkpoint, response } = await readAnchor(o.files, name)
    if (checkpoint === undefined) return 0
    return (await o.stamper.verify(response, checkpoint, { nowMs: o.nowMs() })).time.getTime()
  } catch (error) {
    if (error instanceof AnchorInvalid) return 0
    throw error
  }
}
