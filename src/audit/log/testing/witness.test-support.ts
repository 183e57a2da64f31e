/**
 * A witness as https://c2sp.org/tlog-witness has it, on a real port: one log, its state in a variable that a test can read
 * and replace, and every way to misbehave that the client has to survive. Written from the specification and apart from
 * the client: it shares the Merkle verifier and the note parser with it, nothing else.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { same, toUtf8 } from '../bytes.ts'
import { openCheckpoint } from '../checkpoint.ts'
import { cosignedMessage } from '../cosignature.ts'
import { emptyRoot, verifyConsistency } from '../merkle.ts'
import { COSIGNATURE_ED25519, formatKey, type NoteKey, type NoteSigner, signatureLine } from '../note.ts'
import { signerOf } from './vectors.test-support.ts'

export interface Asked {
  readonly old: number
  readonly size: number
  readonly proof: number
}

/** Takes an answer's place; `undefined`: behaves. */
export type Misbehaviour = (res: ServerResponse, req: IncomingMessage) => void

export interface TestWitness {
  readonly url: string
  readonly name: string
  readonly vkey: string
  /** What it remembers of the log; `undefined`: nothing. */
  state: { readonly size: number; readonly root: Uint8Array } | undefined
  readonly asked: Asked[]
  /** Statuses it answered with. */
  readonly answered: number[]
  misbehave: Misbehaviour | undefined
  /** Signs with this instead of its own key. */
  signer: NoteSigner
  nowS: () => number
  /** As transparency-dev/witness answers another root of the same size. */
  quirky: boolean
  close(): Promise<void>
}

export async function startWitness(
  logKey: NoteKey,
  seed: number,
  name = `witness.test/w${seed}`,
): Promise<TestWitness> {
  const signer = await signerOf(name, seed, COSIGNATURE_ED25519)
  const server: Server = createServer((req, res) => {
    handle(req, res).catch((error: unknown) => {
      res.writeHead(500)
      res.end(String(error))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const witness: TestWitness = {
    url: `http://127.0.0.1:${port}`,
    name,
    vkey: formatKey(signer.key),
    state: undefined,
    asked: [],
    answered: [],
    misbehave: undefined,
    signer,
    nowS: () => Math.floor(Date.now() / 1000),
    quirky: false,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return witness

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of req) chunks.push(chunk as Uint8Array)
    res.on('finish', () => witness.answered.push(res.statusCode))
    if (witness.misbehave !== undefined) return witness.misbehave(res, req)
    if (req.method !== 'POST' || req.url !== '/add-checkpoint') return reply(404, 'not here')
    const text = Buffer.concat(chunks).toString('utf8')
    const end = text.indexOf('\n\n')
    const [first = '', ...hashes] = text.slice(0, end).split('\n')
    const old = /^old (0|[1-9][0-9]*)$/.exec(first)?.[1]
    if (end < 0 || old === undefined || hashes.length > 63) return reply(400, 'malformed')
    const proof = hashes.map(hash => new Uint8Array(Buffer.from(hash, 'base64')))
    const note = text.slice(end + 2)
    // 404 before 403: an origin that is not known has no keys.
    if (note.split('\n')[0] !== logKey.name) return reply(404, 'unknown log')
    let checkpoint: Awaited<ReturnType<typeof openCheckpoint>>
    try {
      checkpoint = await openCheckpoint(note, [logKey])
    } catch {
      return reply(403, 'not signed by the log')
    }
    const { size, root } = checkpoint
    witness.asked.push({ old: Number(old), size, proof: proof.length })
    if (Number(old) > size) return reply(400, 'old is larger')
    // From here to the new state nothing is awaited but the proof, and the state is compared again before it is replaced.
    const stored = witness.state
    if (Number(old) !== (stored?.size ?? 0)) return conflict(stored?.size ?? 0)
    const olderRoot = stored?.root ?? (await emptyRoot())
    if (Number(old) === size && !same(olderRoot, root)) return witness.quirky ? reply(409, 'fork') : reply(422, 'fork')
    try {
      await verifyConsistency({ older: Number(old), olderRoot, newer: size, newerRoot: root, proof })
    } catch {
      return reply(422, 'not consistent')
    }
    if (witness.state !== stored) return conflict(witness.state?.size ?? 0)
    witness.state = { size, root }
    const time = BigInt(witness.nowS())
    const signature = await witness.signer.sign(toUtf8(cosignedMessage(checkpoint.note.text, time)))
    const stamped = new Uint8Array(8 + signature.length)
    new DataView(stamped.buffer).setBigUint64(0, time)
    stamped.set(signature, 8)
    return reply(200, `${signatureLine(signer.key, stamped)}\n`)

    function reply(status: number, body: string): void {
      res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
      res.end(body)
    }
    function conflict(size: number): void {
      res.writeHead(409, { 'content-type': 'text/x.tlog.size' })
      res.end(`${size}\n`)
    }
  }
}

/** `k` of these. */
export function policyOf(witnesses: readonly TestWitness[], k: number, logKey?: NoteKey): string {
  const lines = witnesses.map(({ vkey, url }, i) => `witness w${i + 1} ${vkey} ${url}`)
  const names = witnesses.map((_, i) => `w${i + 1}`).join(' ')
  const log = logKey === undefined ? [] : [`log ${formatKey(logKey)}`]
  return [...log, ...lines, `group enough ${k} ${names}`, 'quorum enough', ''].join('\n')
}
