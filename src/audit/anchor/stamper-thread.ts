/**
 * The stamper in a thread of its own: to read and verify a time stamp takes tens of milliseconds, in which a gate would answer
 * nobody. Also where pkijs is loaded.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { stepBack } from '../background-thread.ts'
import { type Fault, serveCalls, ThreadCalls } from '../thread-calls.ts'
import { type AnchorErrorCode, AnchorInvalid } from './errors.ts'
import type { Stamper } from './load.ts'
import type { StampRequest } from './request.ts'
import type { Stamp, StampTrust } from './response.ts'

interface Task {
  readonly task: 'signet-anchor-stamper'
  /** PEM. */
  readonly roots: string
}
/** Nobody waits for an anchor. */
const NICE = 10

type Call =
  | { readonly op: 'open' }
  | {
      readonly op: 'request'
      readonly data: Uint8Array
      readonly policy: string | undefined
      readonly nonce: Uint8Array
    }
  | {
      readonly op: 'verify'
      readonly response: Uint8Array
      readonly data: Uint8Array
      readonly trust: Omit<StampTrust, 'roots'>
    }

/** `roots`: PEM. Rejects with `AnchorInvalid`. */
export async function openStamper(roots: string): Promise<Stamper> {
  const task: Task = { task: 'signet-anchor-stamper', roots }
  const calls = new ThreadCalls<Call>(() => new Worker(new URL(import.meta.url), { workerData: task }), errorOf)
  await calls.ask({ op: 'open' }).catch(async error => {
    await calls.close()
    throw error
  })
  return {
    // What comes back is what the same methods made in the other thread.
    request: async (data, policy, nonce) => (await calls.ask({ op: 'request', data, policy, nonce })) as StampRequest,
    verify: async (response, data, trust) => (await calls.ask({ op: 'verify', response, data, trust })) as Stamp,
    close: () => calls.close(),
  }
}

function errorOf({ name, code, message }: Fault): Error {
  if (name === 'AnchorInvalid') return new AnchorInvalid(code as AnchorErrorCode, message)
  return new AnchorInvalid('unavailable', `stamps cannot be verified (${message})`)
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-anchor-stamper'
}

if (!isMainThread && parentPort !== null && isTask(workerData)) {
  const { roots } = workerData
  stepBack(NICE)
  let loaded: Promise<Stamper> | undefined
  serveCalls<Call>(parentPort, async call => {
    loaded ??= import('./load.ts').then(({ loadStamper }) => loadStamper(roots))
    const stamper = await loaded.catch(error => {
      // The disk may be back for the next one.
      loaded = undefined
      throw error
    })
    switch (call.op) {
      case 'open':
        return undefined
      case 'request':
        return stamper.request(call.data, call.policy, call.nonce)
      case 'verify':
        return stamper.verify(call.response, call.data, call.trust)
    }
  })
}
