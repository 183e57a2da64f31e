/** `signet receipt verify` on the older header form, through the command line, with receipts of a running gate and of the Python implementation. */
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, startTestGate } from '../../test/support/gate.ts'
import { SigningKey } from '../keys/signing.ts'
import { findStreamReceipt } from '../receipt/index.ts'
import { run } from './main.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-receipt-v1-'))
const signer = SigningKey.generate()
let header = ''
let streamed: Buffer
let exchange = ''

async function verify(...args: readonly string[]) {
  const written = { out: '', error: '' }
  const code = await run(['receipt', 'verify', ...args], {
    out: { write: (text: string) => (written.out += text) },
    error: { write: (text: string) => (written.error += text) },
    environment: {},
    folder,
    now: Date.now,
    input: async () => Buffer.from(header),
    asked: async () => '',
  })
  return { code, ...written }
}

const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content, { mode: 0o600 })
  return name
}
const QUESTION = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] })

beforeAll(async () => {
  const older = await startTestGate({ receipts: { signer, issuer: 'x', form: 'signet-v1' } })
  const answer = await chat(older, QUESTION)
  expect(answer.status).toBe(200)
  header = answer.headers.get('x-signet-receipt') ?? ''
  exchange = answer.headers.get('x-signet-correlation-id') ?? ''
  file('request', QUESTION)
  file('response', Buffer.from(await answer.arrayBuffer()))
  streamed = Buffer.from(await (await chat(older, QUESTION.replace('{', '{"stream":true,'))).arrayBuffer())
  file('stream', streamed)
  file('jwks.json', await (await fetch(`${older.url}/.well-known/jwks.json`)).text())
  await older.running.close()
  file('audit.jsonl', readFileSync(older.logPath))
  await older.close()
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const row = () => {
  const entry = /entry=([^;]+)/.exec(header)?.[1] ?? ''
  return readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    .split('\n')
    .find(line => line.includes(`"entry_id":"${entry}"`)) as string
}
const withoutHmac = (line: string) => line.replace(/"hmac":"[0-9a-f]{64}",/, '')
const LOG = ['--row', 'audit.jsonl', '--jwks', 'jwks.json']

describe('receipt verify, signet=v1', () => {
  it('finds the row in the log, and checks the request and the answer against it', async () => {
    expect(header).toMatch(/^signet=v1; alg=ed25519; /)
    const all = ['--request', 'request', '--response', 'response', '--exchange', exchange, '--final']
    expect(await verify(header, ...LOG, ...all)).toMatchObject({
      code: 0,
      out: expect.stringContaining('the request and the response'),
    })
    const json = await verify('-', ...LOG, ...all, '--json')
    expect(JSON.parse(json.out)).toMatchObject({
      ok: true,
      form: 'signet-v1',
      alg: 'ed25519',
      exchange,
      decision: 'allow',
      final: true,
      covers: { request: true, response: true },
    })
  })

  it('takes the row alone: as stored, as it was signed, or laid out for people', async () => {
    for (const text of [
      row(),
      withoutHmac(row()),
      JSON.stringify(JSON.parse(withoutHmac(row()).replace(/"ts_ns":(\d+)/, '"ts_ns":"$1"')), null, 2).replace(
        /"ts_ns": "(\d+)"/,
        '"ts_ns": $1',
      ),
    ])
      expect(await verify(header, '--row', file('row', text), '--jwks', 'jwks.json')).toMatchObject({ code: 0 })
  })

  it('takes the key from a PEM or as hex; under a name of its own with --key-id', async () => {
    file('key.pub', signer.publicPem())
    file('key.hex', `${Buffer.from(signer.publicBytes()).toString('hex')}\n`)
    for (const key of ['key.pub', 'key.hex']) {
      expect(await verify(header, '--row', 'audit.jsonl', '--jwks', key)).toMatchObject({ code: 0 })
      expect(await verify(header, '--row', 'audit.jsonl', '--jwks', key, '--key-id', 'other')).toMatchObject({
        code: 1,
        error: expect.stringContaining('key_unknown'),
      })
    }
    const foreign = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()
    file('foreign.pub', foreign)
    const kid = /key=([^;]+)/.exec(header)?.[1] ?? ''
    expect(await verify(header, '--row', 'audit.jsonl', '--jwks', 'foreign.pub', '--key-id', kid)).toMatchObject({
      code: 1,
      error: expect.stringContaining('receipt_signature_invalid'),
    })
  })

  it('refuses a changed row, another row, another request, answer and exchange', async () => {
    const refused = async (code: string, ...args: readonly string[]) =>
      expect(await verify(...args)).toMatchObject({ code: 1, error: expect.stringContaining(`(${code})`) })
    const jwks = ['--jwks', 'jwks.json']
    file('changed', row().replace('"decision":"allow"', '"decision":"block"'))
    await refused('receipt_signature_invalid', header, '--row', 'changed', ...jwks)
    file('other', readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('\n')[0] ?? '')
    await refused('row_missing', header, '--row', 'other', ...jwks)
    file('empty', '')
    await refused('row_missing', header, '--row', 'empty', ...jwks)
    await refused('request_mismatch', header, ...LOG, '--request', 'response')
    await refused('response_mismatch', header, ...LOG, '--response', 'request')
    await refused('exchange_wrong', header, ...LOG, '--exchange', 'another')
    await refused('receipt_signature_invalid', `${header.slice(0, -2)}${header.endsWith('00') ? '11' : '00'}`, ...LOG)
    await refused('receipt_malformed', 'signet=v1; alg=ed25519', ...LOG)
  })

  it('cannot be talked down to hmac-sha256 by the header, with the public key as the secret', async () => {
    const secret = signer.publicBytes()
    const kid = /key=([^;]+)/.exec(header)?.[1]
    const entry = /entry=([^;]+)/.exec(header)?.[1]
    const sig = createHmac('sha256', secret).update(withoutHmac(row())).digest('hex')
    for (const alg of ['alg=hmac-sha256; ', ''])
      expect(await verify(`signet=v1; ${alg}entry=${entry}; key=${kid}; sig=${sig}`, ...LOG)).toMatchObject({
        code: 1,
        error: expect.stringContaining('receipt_alg_not_allowed'),
      })
  })

  it("checks the Python implementation's own hmac-sha256 receipt with the chain key, and no other", async () => {
    const entry = '00000000-0000-4000-8000-000000000002'
    const golden =
      `{"approval_chain":[],"check_name":"pipeline.complete","decision":"allow","entry_id":"${entry}",` +
      '"metadata":{"_anchor":{"backend":"noop","success":true},"_signing_key_id":"k1"},"owner_id":"",' +
      '"owner_type":"unresolved","prev_hmac":"4cc7b63c062c385177b01552151ac242f71eb9511506986edc83113d1c3b3300",' +
      '"reason":"request completed","request_fingerprint":"","ts_ns":1747000000123456790}'
    file('golden', golden)
    file('secret', Buffer.from(Uint8Array.from({ length: 32 }, (_, n) => n)).toString('hex'))
    file('wrong', 'ab'.repeat(32))
    const mac = '070690970a37af931fa37617d5cdb6c82248a85a61b405f7506d937e49e4a3a4'
    const receipt = `signet=v1; alg=hmac-sha256; entry=${entry}; key=k1; sig=${mac}`
    const row = ['--row', 'golden']
    const secret = ['--hmac-secret-file', 'secret']
    expect(await verify(receipt, ...row, ...secret, '--key-id', 'k1')).toMatchObject({ code: 0 })
    expect(await verify(receipt, ...row, ...secret, '--key-id', 'k2')).toMatchObject({ code: 1 })
    expect(await verify(receipt, ...row, '--hmac-secret-file', 'wrong', '--key-id', 'k1')).toMatchObject({ code: 1 })
    expect(await verify(receipt, ...row, '--jwks', 'jwks.json')).toMatchObject({ code: 1 })
    expect(await verify(receipt, ...row, ...secret)).toMatchObject({
      code: 2,
      error: expect.stringContaining('--key-id'),
    })
    // An ed25519 receipt is not checked with a secret.
    expect(await verify(header, '--row', 'audit.jsonl', ...secret, '--key-id', 'k1')).toMatchObject({ code: 1 })
  })

  it('reads the final receipt out of a stream, and refuses text slipped in behind it', async () => {
    expect(findStreamReceipt(streamed)?.compact).toMatch(/^signet=v1; /)
    expect(await verify(...LOG, '--response', 'stream', '--final')).toMatchObject({
      code: 0,
      out: expect.stringContaining('the response'),
    })
    file('longer', Buffer.concat([streamed, Buffer.from('data: {"choices":[]}\n\n')]))
    expect(await verify(...LOG, '--response', 'longer')).toMatchObject({
      code: 1,
      error: expect.stringContaining('stream_remainder_unsigned'),
    })
    file('before', Buffer.concat([Buffer.from('data: {}\n\n'), streamed]))
    expect(await verify(...LOG, '--response', 'before')).toMatchObject({
      code: 1,
      error: expect.stringContaining('response_mismatch'),
    })
  })

  it('says in one line what is missing', async () => {
    for (const [args, what] of [
      [[header, '--jwks', 'jwks.json'], '--row: missing'],
      [[header, '--row', 'audit.jsonl'], '--jwks: missing'],
      [[header, '--row', 'nowhere', '--jwks', 'jwks.json'], 'nowhere: no such file'],
      [[header, ...LOG, '--issuer', 'signet'], '--issuer'],
      [[header, ...LOG, '--key-id', 'a'], '--key-id'],
      [[header, ...LOG, '--hmac-secret-file', 'secret', '--key-id', 'a'], 'keep the one'],
      [['a.b.c', '--row', 'audit.jsonl', '--jwks', 'jwks.json'], 'this one is a JWS'],
    ] as const)
      expect(await verify(...args)).toMatchObject({
        code: 2,
        error: expect.stringMatching(
          new RegExp(`^Error: [^\\n]*${what.replace(/[-/\\^$*+?.()|[\]{}]/g, '\\$&')}[^\\n]*\\n$`),
        ),
      })
  })
})
