/** The transparency log of a running gate, from outside: its control plane, its proofs, its start. */

import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LogInvalid, openCheckpoint, parseKey, parseProof, proveEntry, verifyProof } from '../../src/audit/log/index.ts'
import { leafBytes } from '../../src/receipt/claims.ts'
import { fetchJwks, unverifiedClaims, verifyReceipt } from '../../src/receipt/index.ts'
import { ask, type Served, signet, startServed } from '../support/served.ts'

const OWNER = 'human:alice@example.com'
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'signet-log-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
const newFolder = () => mkdtempSync(join(root, 'project-'))

/** As a browser would: nothing but fetch. */
const overFetch = (url: string) => ({
  read: async (path: string) => {
    const answer = await fetch(`${url}/${path}`)
    return answer.status === 404 ? undefined : new Uint8Array(await answer.arrayBuffer())
  },
})

async function receiptOf(served: Served): Promise<{ receipt: string; body: Uint8Array }> {
  const answer = await ask(served.url, OWNER)
  expect(answer.status).toBe(200)
  return { receipt: answer.headers.get('x-signet-receipt') ?? '', body: new Uint8Array(await answer.arrayBuffer()) }
}

/** A request with headers that fetch would not send. */
function raw(url: string, method: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, answer => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** Until the log has what was asked of it; asking again is what a holder does. */
async function untilLogged<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof LogInvalid) || error.code !== 'not_yet_logged') throw error
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}

describe('a receipt becomes a proof', () => {
  it('over HTTP, checked with nothing but the key of the log; and stays one when the log has grown', async () => {
    const folder = newFolder()
    const served = await startServed(folder, [], { SIGNET_CHECKPOINT_INTERVAL_S: '0.05' })
    const key = await parseKey(served.logKey)
    const { receipt, body } = await receiptOf(served)
    const { leaf } = unverifiedClaims(receipt)
    const source = overFetch(served.control)
    const proven = await untilLogged(() => proveEntry({ source, entry: leafBytes(leaf), logKeys: [key] }))
    const later = await receiptOf(served)
    const { leaf: laterLeaf } = unverifiedClaims(later.receipt)
    const second = await untilLogged(() => proveEntry({ source, entry: leafBytes(laterLeaf) }))
    expect(second.index).toBeGreaterThan(proven.index)

    const verified = await verifyProof(parseProof(proven.proof), leafBytes(leaf), { logKeys: [key] })
    expect(verified).toMatchObject({ index: proven.index, checkpoint: { origin: key.name, size: proven.size } })
    await expect(verifyProof(parseProof(proven.proof), leafBytes(laterLeaf), { logKeys: [key] })).rejects.toMatchObject(
      {
        code: 'proof_invalid',
      },
    )
    // The same row, from the receipt that somebody checked with the gate's other key.
    const keys = await fetchJwks(`${served.url}/.well-known/jwks.json`)
    const checked = await verifyReceipt(receipt, { keys, issuer: 'signet', responseBytes: body })
    await verifyProof(parseProof(proven.proof), checked.leaf, { logKeys: [key] })
    expect(await served.stop()).toBe(0)
  })

  it('not where no gate is there: commands name the address that they tried, and the way out', async () => {
    const folder = newFolder()
    const served = await startServed(folder)
    const { receipt } = await receiptOf(served)
    await served.stop()
    const jwks = `${served.url}/.well-known/jwks.json`
    for (const args of [
      ['log', 'checkpoint', '--log', served.control],
      ['receipt', 'upgrade', receipt, '--log', served.control],
    ]) {
      expect(await signet(folder, args)).toMatchObject({
        code: 2,
        error: expect.stringMatching(
          `the log at ${served.control} cannot be reached \\(ECONNREFUSED\\); start the gate .*--log.*--tiles`,
        ),
      })
    }
    const elsewhere = newFolder()
    for (const args of [
      ['log', 'checkpoint'],
      ['receipt', 'upgrade', receipt],
    ]) {
      expect(await signet(elsewhere, args)).toMatchObject({
        code: 2,
        error: expect.stringMatching(`${join(elsewhere, 'audit.jsonl.tlog')}: no such folder; .*--tiles.*--log`),
      })
    }
    expect(await signet(folder, ['receipt', 'verify', receipt, '--jwks', jwks])).toMatchObject({
      code: 2,
      error: expect.stringContaining(`${jwks}: the key set could not be fetched`),
    })
    const control = ['escalations', 'list', '--control', served.control]
    expect(await signet(folder, control)).toMatchObject({
      code: 2,
      error: expect.stringMatching(`${served.control} cannot be reached .*ECONNREFUSED.*; start the gate .*--control`),
    })
  })

  it('from a checkpoint that nobody has signed only where no key is given, and says so', async () => {
    const folder = newFolder()
    const served = await startServed(folder)
    const { receipt } = await receiptOf(served)
    await served.stop()
    const file = join(folder, 'audit.jsonl.tlog', 'checkpoint')
    const [text = ''] = readFileSync(file, 'utf8').split('\n\n')
    writeFileSync(file, `${text}\n\n— ${served.logKey.split('+')[0]} ${'A'.repeat(92)}\n`)
    const upgrade = ['receipt', 'upgrade', receipt, '--tiles', 'audit.jsonl.tlog', '-o', 'x.tlog-proof']
    expect(await signet(folder, upgrade)).toMatchObject({
      code: 0,
      error: expect.stringContaining('The signature of its checkpoint was not checked'),
    })
    expect(await signet(folder, [...upgrade, '--force', '--log-key', served.logKey])).toMatchObject({
      code: 1,
      out: '',
    })
    expect(
      await signet(folder, ['receipt', 'verify', '--proof', 'x.tlog-proof', '--log-key', served.logKey]),
    ).toMatchObject({ code: 1, out: '' })
  })

  it('by commands, from a folder too, offline', async () => {
    const folder = newFolder()
    const served = await startServed(folder)
    const { receipt, body } = await receiptOf(served)
    const jwks = await (await fetch(`${served.url}/.well-known/jwks.json`)).text()
    expect(await served.stop()).toBe(0)
    writeFileSync(join(folder, 'receipt.txt'), `${receipt}\n`)
    writeFileSync(join(folder, 'jwks.json'), jwks)
    writeFileSync(join(folder, 'body'), body)
    writeFileSync(join(folder, 'key'), `${served.logKey}\n`)
    const upgrade = ['receipt', 'upgrade', '--file', 'receipt.txt', '--log-key', 'key', '-o', 'x.tlog-proof']
    expect(await signet(folder, upgrade)).toMatchObject({
      code: 0,
      out: expect.stringContaining('OK: row 1 is one of 2'),
    })
    expect(await signet(folder, upgrade)).toMatchObject({ code: 2, error: expect.stringContaining('exists') })
    expect(await signet(folder, [...upgrade, '--force', '--tiles', 'audit.jsonl.tlog'])).toMatchObject({ code: 0 })

    const verify = ['receipt', 'verify', '--proof', 'x.tlog-proof', '--log-key', served.logKey]
    const alone = await signet(folder, verify)
    expect(alone).toMatchObject({ code: 0, out: expect.stringContaining('was not checked') })
    const whole = await signet(folder, [...verify, '--jwks', 'jwks.json', '--response', 'body', '--json'])
    expect([whole.code, JSON.parse(whole.out)]).toMatchObject([
      0,
      { ok: true, receipt_checked: true, log: { index: 1, size: 2 } },
    ])
    writeFileSync(join(folder, 'body'), 'another body')
    expect(await signet(folder, [...verify, '--jwks', 'jwks.json', '--response', 'body'])).toMatchObject({
      code: 1,
      error: expect.stringContaining('response_mismatch'),
    })
    expect(await signet(folder, [...verify, '--response', 'body'])).toMatchObject({
      code: 2,
      error: expect.stringContaining('--jwks'),
    })
    for (const demand of [
      ['--exchange', randomUUID()],
      ['--issuer', 'another'],
      ['--final'],
      ['--key-id', 'another'],
    ]) {
      const demanded = await signet(folder, [...verify, ...demand])
      expect(demanded, demand[0]).toMatchObject({
        code: 2,
        out: '',
        error: expect.stringContaining(`what ${demand[0]} demands only the receipt itself vouches for`),
      })
    }
    expect(await signet(folder, [...verify, '--jwks', 'jwks.json', '--exchange', randomUUID()])).toMatchObject({
      code: 1,
      error: expect.stringContaining('exchange_wrong'),
    })
    for (const unseen of [
      ['--log-key', served.logKey],
      ['--policy', 'policy'],
    ]) {
      expect(await signet(folder, ['receipt', 'verify', receipt, '--jwks', 'jwks.json', ...unseen])).toMatchObject({
        code: 2,
        out: '',
        error: expect.stringContaining(`${unseen[0]}: given without --proof`),
      })
    }
    const other = 'gate.test/log+267572b1+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c'
    expect(await signet(folder, ['receipt', 'verify', '--proof', 'x.tlog-proof', '--log-key', other])).toMatchObject({
      code: 1,
      error: expect.stringContaining('origin_wrong'),
    })
    writeFileSync(join(folder, 'policy'), `log ${served.logKey}\nwitness w ${other}\nquorum w\n`)
    expect(await signet(folder, ['receipt', 'verify', '--proof', 'x.tlog-proof', '--policy', 'policy'])).toMatchObject({
      code: 1,
      error: expect.stringContaining('quorum_unmet'),
    })
    const proof = readFileSync(join(folder, 'x.tlog-proof'), 'utf8')
    writeFileSync(join(folder, 'x.tlog-proof'), proof.replace('index 1', 'index 0'))
    expect(await signet(folder, verify)).toMatchObject({ code: 1, error: expect.stringContaining('proof_invalid') })
    expect(await signet(folder, ['receipt', 'verify', receipt])).toMatchObject({
      code: 2,
      error: expect.stringContaining('--jwks: missing'),
    })
  })

  it('not for a row that the log does not have', async () => {
    const [here, there] = [newFolder(), newFolder()]
    const a = await startServed(here)
    const b = await startServed(there)
    const { receipt } = await receiptOf(a)
    await receiptOf(b)
    await a.stop()
    await b.stop()
    expect(
      await signet(here, ['receipt', 'upgrade', receipt, '--tiles', join(there, 'audit.jsonl.tlog')]),
    ).toMatchObject({
      code: 1,
      error: expect.stringContaining('not_yet_logged'),
    })
  })
})

describe('the control plane', () => {
  let served: Served
  beforeAll(async () => {
    served = await startServed(newFolder(), [], { SIGNET_CHECKPOINT_INTERVAL_S: '0.05' })
    const { receipt } = await receiptOf(served)
    await untilLogged(() =>
      proveEntry({ source: overFetch(served.control), entry: leafBytes(unverifiedClaims(receipt).leaf) }),
    )
  })
  afterAll(() => served.stop())

  it('serves checkpoint, tiles and entries, with the right caching', async () => {
    const checkpoint = await fetch(`${served.control}/checkpoint`)
    expect(Object.fromEntries(checkpoint.headers)).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'public, max-age=1',
      'x-content-type-options': 'nosniff',
    })
    const { size } = await openCheckpoint(await checkpoint.text(), [await parseKey(served.logKey)])
    for (const path of [`tile/0/000.p/${size}`, `tile/entries/000.p/${size}`]) {
      const tile = await fetch(`${served.control}/${path}`)
      expect([tile.status, Object.fromEntries(tile.headers)]).toMatchObject([
        200,
        { 'content-type': 'application/octet-stream', 'cache-control': 'public, max-age=31536000, immutable' },
      ])
      const head = await fetch(`${served.control}/${path}`, { method: 'HEAD' })
      expect(head.headers.get('content-length')).toBe(String((await tile.arrayBuffer()).byteLength))
    }
  })

  it('shows of a row what its leaf says, and nothing of its owner', async () => {
    const { size } = await openCheckpoint(await (await fetch(`${served.control}/checkpoint`)).text(), [
      await parseKey(served.logKey),
    ])
    const bundle = await (await fetch(`${served.control}/tile/entries/000.p/${size}`)).text()
    expect(bundle).toContain('"decision":"allow"')
    for (const secret of ['alice', 'hello', 'demo', 'pipeline', 'hmac']) expect(bundle).not.toContain(secret)
  })

  it('leads from / to the console', async () => {
    const answer = await fetch(`${served.control}/`, { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/console/'])
  })

  it.each([
    '/signed',
    '/aside',
    '/tile',
    '/tile/',
    '/tile/0/999',
    '/tile/0/../../signed',
    '/tile/0/%2e%2e/signed',
    '/checkpoint/',
    '/v1/chat/completions',
    '/healthz',
    '/tile/00/000',
    '//checkpoint',
  ])('has nothing at %s, and says so uncached', async path => {
    const answer = await fetch(`${served.control}${path}`)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([404, 'no-store'])
  })

  it('takes only reads, only its own names, and no foreign page', async () => {
    const at = `${served.control}/checkpoint`
    const post = await fetch(at, { method: 'POST', body: 'x' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET'])
    expect(await raw(at, 'GET', { host: 'evil.example' })).toBe(421)
    expect(await raw(at, 'GET', { origin: 'https://evil.example' })).toBe(403)
    expect(await raw(at, 'GET', { host: 'localhost' })).toBe(200)
  })

  it('is nowhere on the data port', async () => {
    for (const path of ['/checkpoint', '/tile/0/000', '/tile/entries/000']) {
      expect((await fetch(`${served.url}${path}`)).status).toBe(404)
    }
  })
})

describe('a gate that starts', () => {
  it('goes on with its log; a monitor sees that it continues', async () => {
    const folder = newFolder()
    const first = await startServed(folder)
    await receiptOf(first)
    await first.stop()
    expect(await signet(folder, ['log', 'checkpoint', '--log-key', first.logKey])).toMatchObject({ code: 0 })
    writeFileSync(join(folder, 'old'), readFileSync(join(folder, 'audit.jsonl.tlog', 'checkpoint')))
    const second = await startServed(folder, [], { SIGNET_HMAC_SECRET: 'ab'.repeat(32) })
    expect(second.logKey).toBe(first.logKey)
    await receiptOf(second)
    await second.stop()
    const key = second.logKey
    expect((await signet(folder, ['log', 'key'])).out).toBe(`${key}\n`)
    expect(await signet(folder, ['log', 'consistency', 'old', '--log-key', key, '-o', 'new'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('with 4 entries continues what it was with 2'),
    })
    // The other way round it was rolled back.
    writeFileSync(join(folder, 'audit.jsonl.tlog', 'checkpoint'), readFileSync(join(folder, 'old')))
    expect(await signet(folder, ['log', 'consistency', 'new', '--log-key', key])).toMatchObject({ code: 1 })
  })

  it('refuses in one line when rows are missing that were signed, and signs nothing', async () => {
    const folder = newFolder()
    const served = await startServed(folder)
    await receiptOf(served)
    const [early, earlyHead] = ['audit.jsonl', 'audit.jsonl.head'].map(name => join(folder, name)) as [string, string]
    await served.stop()
    const copy = [readFileSync(early), readFileSync(earlyHead)] as const
    const again = await startServed(folder)
    await receiptOf(again)
    await again.stop()
    const signed = readFileSync(join(folder, 'audit.jsonl.tlog', 'signed'))
    // Log and head put back together to an older pair: the chain alone cannot tell.
    writeFileSync(early, copy[0])
    writeFileSync(earlyHead, copy[1])
    await expect(startServed(folder)).rejects.toThrow(
      /^Error: the audit log has 2 rows, but .*\.tlog has a checkpoint signed over 4; restore the missing rows[^\n]*\n$/,
    )
    expect(readFileSync(join(folder, 'audit.jsonl.tlog', 'signed'))).toEqual(signed)
  })

  it.each([
    ['another origin', { SIGNET_TRANSPARENCY_LOG_ORIGIN: 'log.example.com/signet' }],
    ['another key', { SIGNET_TRANSPARENCY_LOG_KEY_FILE: 'other.pem' }],
  ])('refuses %s than the log began with', async (_, environment) => {
    const folder = newFolder()
    await (await startServed(folder)).stop()
    await signet(folder, ['keys', 'generate', '--kind', 'ed25519', '--out', 'other.pem'])
    const at =
      'SIGNET_TRANSPARENCY_LOG_KEY_FILE' in environment
        ? { SIGNET_TRANSPARENCY_LOG_KEY_FILE: join(folder, 'other.pem') }
        : environment
    await expect(startServed(folder, [], at as Record<string, string>)).rejects.toThrow(
      /configure the origin and the key that the log began with/,
    )
  })

  it('is told that a port is taken, and which', async () => {
    const served = await startServed(newFolder())
    const port = new URL(served.control).port
    await expect(startServed(newFolder(), ['--control-port', port])).rejects.toThrow(
      /port \d+ on 127\.0\.0\.1 is taken.*--control-port/,
    )
    await served.stop()
  })

  it('without a log serves none, and has no folder and no key', async () => {
    const folder = newFolder()
    const served = await startServed(folder, [], { SIGNET_TRANSPARENCY_LOG: 'off' })
    await receiptOf(served)
    expect(served.control).toBe('')
    expect(await (await fetch(`${served.url}/readyz`)).json()).not.toHaveProperty('log')
    await served.stop()
    for (const name of ['audit.jsonl.tlog', 'audit.jsonl.notes.pem'])
      expect(() => statSync(join(folder, name))).toThrow('ENOENT')
    // Turned on later, the log takes up the rows from the first on.
    const later = await startServed(folder)
    await later.stop()
    expect(await signet(folder, ['log', 'verify', '--log-key', later.logKey])).toMatchObject({
      code: 0,
      out: expect.stringContaining('OK: 3 entries'),
    })
    // Nobody begins a log over older rows unseen: it may be that the first one was lost.
    const begun = () => readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('"log.begun"').length - 1
    expect(begun()).toBe(1)
    expect(later.written.out + later.written.error).toContain('is begun over 2 rows')
    await (await startServed(folder)).stop()
    expect(begun()).toBe(1)
    rmSync(join(folder, 'audit.jsonl.tlog'), { recursive: true })
    const lost = await startServed(folder)
    await lost.stop()
    expect(begun()).toBe(2)
    expect(lost.written.out + lost.written.error).toContain('its folder is lost')
  })
})

describe('a log folder that cannot be written', () => {
  it('costs no row and no answer; /readyz and the operator are told, and it catches up', async () => {
    const folder = newFolder()
    const served = await startServed(folder, [], { SIGNET_CHECKPOINT_INTERVAL_S: '0.02' })
    const { receipt: first } = await receiptOf(served)
    const source = overFetch(served.control)
    await untilLogged(() => proveEntry({ source, entry: leafBytes(unverifiedClaims(first).leaf) }))
    const tiles = join(folder, 'audit.jsonl.tlog', 'aside')
    renameSync(tiles, `${tiles}.gone`)
    const { receipt } = await receiptOf(served)
    type Ready = { log: { ok: boolean; size: number; behind_rows: number } }
    const ready = async () => {
      const answer = await fetch(`${served.url}/readyz`)
      return [answer.status, (await answer.json()) as Ready] as const
    }
    while ((await ready())[1].log.ok) await receiptOf(served)
    const [status, { log }] = await ready()
    expect([status, log]).toMatchObject([
      200,
      { ok: false, size: 2, behind_rows: expect.toSatisfy((n: number) => n >= 2) },
    ])
    expect(served.written.error + served.written.out).toContain('the transparency log cannot be written (ENOENT)')
    renameSync(`${tiles}.gone`, tiles)
    await untilLogged(() => proveEntry({ source, entry: leafBytes(unverifiedClaims(receipt).leaf) }))
    await served.stop()
    expect(await signet(folder, ['log', 'verify', '--log-key', served.logKey])).toMatchObject({ code: 0 })
  })
})

describe('signet log verify', () => {
  it('finds an entry, a tile or a row that was changed', async () => {
    const folder = newFolder()
    const served = await startServed(folder)
    await receiptOf(served)
    await served.stop()
    const verify = () => signet(folder, ['log', 'verify', '--log-key', served.logKey, '--json'])
    expect(JSON.parse((await verify()).out)).toMatchObject({ ok: true, size: 2, rows: 2, problems: [] })
    for (const path of ['tile/entries/000.p/2', 'tile/0/000.p/2']) {
      const file = join(folder, 'audit.jsonl.tlog', path)
      const bytes = readFileSync(file)
      const changed = Buffer.from(bytes)
      changed[9] = (changed[9] ?? 0) ^ 1
      writeFileSync(file, changed)
      expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining(`${path} holds other entries`) })
      rmSync(file)
      expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining(`${path} is missing`) })
      writeFileSync(file, bytes)
    }
    const newest = join(folder, 'audit.jsonl.tlog/signed')
    const signed = readFileSync(newest, 'utf8')
    for (const damaged of ['', signed.slice(0, 100), signed.replace('\n2\n', '\n1\n')]) {
      writeFileSync(newest, damaged)
      const whole = await signet(folder, ['audit', 'verify', '--log-key', served.logKey])
      expect(whole).toMatchObject({ code: 1, out: expect.stringMatching(/^BROKEN: what stands beside the rows of /) })
      expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining('signed: ') })
    }
    // Neither the verifier nor a start waits for somebody who writes.
    rmSync(newest)
    execFileSync('mkfifo', [newest])
    expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining('signed: ') })
    await expect(startServed(folder)).rejects.toThrow(/signed is not a checkpoint/)
    rmSync(newest)
    writeFileSync(newest, signed)
    const rows = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    writeFileSync(join(folder, 'audit.jsonl'), rows.replace('"decision":"allow"', '"decision":"block"'))
    expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining('another tree than was signed') })
    writeFileSync(join(folder, 'audit.jsonl'), rows.slice(0, rows.indexOf('\n') + 1))
    expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining('rows are missing') })
    writeFileSync(join(folder, 'audit.jsonl'), rows)
    appendFileSync(join(folder, 'audit.jsonl'), 'garbage\n')
    expect(await verify()).toMatchObject({ code: 0 })
  })
})

it('a start whose store of escalations is gone says so, and writes it down', async () => {
  const folder = newFolder()
  const first = await startServed(folder)
  expect(await first.stop()).toBe(0)
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(join(folder, `audit.jsonl.escalations.db${suffix}`), { force: true })
  const second = await startServed(folder)
  expect(await second.stop()).toBe(0)
  expect(first.written.out + first.written.error).not.toContain('made anew')
  expect(second.written.out + second.written.error).toMatch(/audit\.jsonl\.escalations\.db was gone and was made anew/)
  expect(readFileSync(join(folder, 'audit.jsonl'), 'utf8')).toContain('escalation.store_lost')
})

it('a store that cannot be used refuses what needs it, says so once, and is used again', async () => {
  const folder = newFolder()
  const served = await startServed(folder)
  const store = join(folder, 'audit.jsonl.escalations.db')
  const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
  const refund = { tools, messages: [{ role: 'user', content: 'Refund $50,000 to account X' }] }
  const held = async () => (await ask(served.url, 'human:alice@example.com', refund)).status
  const approve = async (id: string) =>
    signet(folder, ['escalations', 'approve', id, '--control', served.control, '--json'])
  expect(await held()).toBe(202)
  const { out } = await signet(folder, ['escalations', 'list', '--control', served.control, '--json'])
  const id = /"id": "([^"]+)"/.exec(out)?.[1] ?? ''
  renameSync(store, `${store}.away`)
  expect([await held(), await held()]).toEqual([503, 503])
  expect((await approve(id)).error).toContain('(503): it cannot be kept just now')
  renameSync(`${store}.away`, store)
  expect(await held()).toBe(202)
  expect(await served.stop()).toBe(0)
  const said = served.written.out + served.written.error
  expect(said.match(/warning: the store of escalations .*escalations\.db cannot be used \(.*moved/g)).toHaveLength(1)
  expect(said.match(/the store of escalations .*escalations\.db is used again/g)).toHaveLength(1)
})
