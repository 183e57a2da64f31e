/** A closed loop of requests: as many at once as asked for, each over a kept connection. */
import http from 'node:http'
import https from 'node:https'
import { ask } from './http.ts'

export interface Measured {
  /** Milliseconds of each request answered with 200, ascending. */
  readonly latencies: readonly number[]
  readonly failed: number
  /** Why one of them failed. */
  readonly failure: string | undefined
  readonly seconds: number
}

export interface Load {
  readonly requests: number
  readonly concurrency: number
  readonly onProgress: (done: number) => void
}

/** 300 characters of ordinary text. */
const PROMPT = 'Summarise the quarterly report for the board in three sentences and name the largest risk. '
  .repeat(4)
  .slice(0, 300)
const BODY = JSON.stringify({ model: 'signet-bench', messages: [{ role: 'user', content: PROMPT }], max_tokens: 64 })

/** The pipeline's rate limit is per owner; the measurement is of the gate and not of the limit. */
const REQUESTS_PER_OWNER = 40

let measurements = 0

export async function measure(url: string, { requests, concurrency, onProgress }: Load): Promise<Measured> {
  const agent = new (url.startsWith('https:') ? https : http).Agent({ keepAlive: true, maxSockets: concurrency })
  const series = measurements++
  const latencies: number[] = []
  let failed = 0
  let failure: string | undefined
  let next = 0
  const began = performance.now()
  const worker = async (): Promise<void> => {
    for (let index = next++; index < requests; index = next++) {
      const owner = `human:bench-${process.pid}-${series}-${Math.floor(index / REQUESTS_PER_OWNER)}`
      const from = performance.now()
      const answer = await ask(url, {
        method: 'POST',
        body: BODY,
        headers: { 'x-commit-owner': owner },
        agent,
        timeoutMs: 60_000,
      })
      if (answer.ok && answer.status === 200) latencies.push(performance.now() - from)
      else {
        failed++
        failure ??= answer.ok ? `status ${answer.status}` : answer.reason
      }
      onProgress(index + 1)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, requests) }, worker))
  const seconds = (performance.now() - began) / 1000
  agent.destroy()
  return { latencies: latencies.sort((a, b) => a - b), failed, failure, seconds }
}
