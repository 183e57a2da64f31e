/**
 * One crash: a gate under load, and a process that rotates its keys, are killed with SIGKILL at a random moment. Whatever a caller was told before that must be
 * in the log afterwards, and the log must open, verify and go on; its transparency log must continue what was shown. Used by the test (few runs) and by the soak (many).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openAuditLog } from '../../src/audit/open.ts'
import { readRows } from '../../src/audit/read.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { KeyRing } from '../../src/keys/ring.ts'
import { KeyFolder, macKeys } from '../../src/keys/store.ts'
import { scenario } from '../support/gate.ts'
import { checkCrashLog, shownCheckpoint } from './log.ts'

/** What a caller was told, by the time the connection broke. */
export interface Told {
  readonly exchange: string
  /** A head with a receipt: these rows must be there. */
  readonly needs: readonly string[]
  readonly status: number
}

export interface CrashResult {
  readonly told: number
  readonly answers: number
  readonly rows: number
  readonly tornTail: boolean
  /** Entries under the checkpoint that the killed gate had shown. */
  readonly shown: number
  /** Chain keys that rows are signed with. */
  readonly keys: number
  /** Empty when the run was sound. */
  readonly problems: readonly string[]
}

/** Starts a program beside this file; resolves with the first line that it prints. */
async function startChild(program: string, args: readonly string[]): Promise<{ child: ChildProcess; said: string }> {
  const file = fileURLToPath(new URL(program, import.meta.url))
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr?.on('data', chunk => (errors += String(chunk)))
  const lines = createInterface({ input: child.stdout! })
  const first = once(lines, 'line') as Promise<[string]>
  const died = once(child, 'exit').then(() => Promise.reject(new Error(`${program} did not start: ${errors}`)))
  died.catch(() => undefined)
  const [said] = await Promise.race([first, died])
  return { child, said }
}

/** `random` gives numbers in [0, 1). */
export async function crashOnce(path: string, upstreamUrl: string, random: () => number): Promise<CrashResult> {
  const keys = `${path}.keys`
  const { child, said: url } = await startChild('./gate-child.ts', [path, upstreamUrl, keys])
  const { child: rotator } = await startChild('./rotate-child.ts', [keys])
  const told: Told[] = []
  let answers = 0
  let over = false
  const killAt = 1 + Math.floor(random() * 60)
  // Some kills come right upon an answer, some a little later, in the middle of whatever is going on.
  const delayMs = random() < 0.3 ? 0 : Math.floor(random() * 12)
  const kill = () => {
    if (over) return
    over = true
    const deed = (): void => {
      child.kill('SIGKILL')
      rotator.kill('SIGKILL')
    }
    if (delayMs === 0) deed()
    else setTimeout(deed, delayMs)
  }
  const clients = Array.from({ length: 8 }, async (_, c) => {
    for (let i = 0; !over; i += 1) {
      const t = await ask(url, KINDS[(c + i) % KINDS.length] ?? 'unary')
      if (t === undefined) continue
      told.push(t)
      answers += 1
      if (answers >= killAt) kill()
    }
  })
  const exits = [once(child, 'exit'), once(rotator, 'exit')]
  await Promise.all(clients)
  await Promise.all(exits)

  let shown: Awaited<ReturnType<typeof shownCheckpoint>>
  const chain = macKeys(new KeyFolder(keys).keys('chain'))
  const checked = await checkLog(path, told, KeyRing.dated(chain), {
    before: async () => {
      shown = await shownCheckpoint(path)
    },
    after: durable => checkCrashLog(path, shown, durable),
  })
  return { told: told.length, answers, ...checked, shown: shown?.size ?? 0 }
}

/** Opens and verifies the log, and looks for every row that a caller was told of. */
export async function checkLog(
  path: string,
  told: readonly Told[],
  ring: KeyRing,
  more: {
    readonly before?: () => Promise<void>
    readonly after?: (durable: number) => Promise<readonly string[]>
  } = {},
): Promise<Pick<CrashResult, 'rows' | 'tornTail' | 'keys' | 'problems'>> {
  const problems: string[] = []
  const before = await verifyLog(path, ring)
  const broken = before.breaks.filter(b => b.kind !== 'torn_tail')
  if (broken.length > 0) problems.push(`the log is broken before reopening: ${JSON.stringify(broken)}`)
  await more.before?.()
  const log = await openAuditLog({ path, ring })
  const durable = Number(log.head.size)
  await log.close()
  problems.push(...((await more.after?.(durable)) ?? []))
  const after = await verifyLog(path, ring)
  if (!after.ok) problems.push(`the log does not verify after reopening: ${JSON.stringify(after.breaks)}`)
  const found = new Map<string, Set<string>>()
  const ids = new Set<string>()
  const keys = new Set<string>()
  let rows = 0
  for await (const read of readRows(path)) {
    if (read.kind !== 'row') continue
    rows += 1
    if (ids.has(read.row.entryId)) problems.push(`the row ${read.row.entryId} is there twice`)
    ids.add(read.row.entryId)
    keys.add(String(read.row.metadata.get('_signing_key_id')))
    const id = String(read.row.metadata.get('_exchange_id'))
    const set = found.get(id) ?? new Set<string>()
    found.set(id, set.add(read.row.checkName).add(read.row.entryId))
  }
  for (const t of told)
    for (const need of t.needs)
      if (!found.get(t.exchange)?.has(need))
        problems.push(`exchange ${t.exchange} was told of ${need}, which is not in the log`)
  return { rows, tornTail: before.breaks.length > broken.length, keys: keys.size, problems }
}

export const KINDS = ['unary', 'stream', 'refused', 'malformed', 'call', 'marker'] as const

/** What the caller learnt from one request; `undefined` when the connection broke before a head came. */
export function ask(
  url: string,
  kind: (typeof KINDS)[number],
  owner = 'human:alice@example.com',
): Promise<Told | undefined> {
  const stream = kind === 'stream' || kind === 'marker'
  const body =
    kind === 'malformed'
      ? '[]'
      : JSON.stringify(
          kind === 'call'
            ? scenario(
                { kind: 'call', calls: [{ name: 'get_weather', arguments: '{"city":"Oslo"}' }] },
                { stream, tools: [{ type: 'function', function: { name: 'get_weather' } }] },
              )
            : kind === 'marker'
              ? scenario({ kind: 'place', place: 'content', text: 'it is SECRET//NOFORN here', chunk: 4 }, { stream })
              : scenario({ kind: 'plain' }, { stream }),
        )
  return new Promise(resolve => {
    const req = request(`${url}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: kind === 'refused' ? {} : { 'x-commit-owner': owner },
    })
    req.on('error', () => resolve(undefined))
    req.on('response', res => {
      const chunks: Buffer[] = []
      res.on('data', (c: Buffer) => chunks.push(c))
      res.on('error', () => undefined)
      res.on('close', () => {
        const text = Buffer.concat(chunks).toString()
        const exchange = String(res.headers['x-signet-correlation-id'])
        // A receipt names its row; a body that is complete stands on the row of its end.
        const needs = [res.headers['x-signet-receipt'], /: signet-receipt (\S+)/.exec(text)?.[1]].flatMap(r =>
          typeof r === 'string' ? [rowOf(r)] : [],
        )
        if (res.statusCode === 200) {
          if (stream) needs.push('pipeline.admission')
          else needs.push('pipeline.admission', 'pipeline.complete')
          if (kind === 'call') needs.push('pipeline.commitment')
          if (text.includes('signet_abort')) needs.push('pipeline.inspection')
          else if (text.includes('data: [DONE]')) needs.push('pipeline.complete')
        } else needs.push(res.statusCode === 400 ? 'pipeline.preflight' : 'pipeline.admission')
        resolve({ exchange, needs, status: res.statusCode ?? 0 })
      })
    })
    req.end(body)
  })
}

function rowOf(receipt: string): string {
  const claims = JSON.parse(Buffer.from(receipt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  return String(claims['jti'])
}

/** mulberry32: small, seeded, good enough to pick moments. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
