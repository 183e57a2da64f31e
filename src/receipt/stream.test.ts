import { createHash, generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ReceiptClaims } from './claims.ts'
import { ReceiptInvalid } from './errors.ts'
import { issueReceipt, type ReceiptSigner } from './issue.ts'
import { buildJwks } from './jwks.ts'
import { findStreamReceipt, verifyStreamReceipt } from './stream.ts'

const pair = generateKeyPairSync('ed25519')
const signer: ReceiptSigner = { kid: 'r1', alg: 'EdDSA', sign: async data => nodeSign(null, data, pair.privateKey) }
const options = { keys: buildJwks([{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'r1' }]), issuer: 'gate' }
const TEXT = 'data: {"choices":[{"delta":{"content":"héllo"}}]}\n\n'

async function receiptOver(text: string, over: Partial<ReceiptClaims> = {}): Promise<string> {
  const digest = (what: string) => `sha256:${createHash('sha256').update(what).digest('hex')}`
  const leaf = { v: 1, entry_id: 'e', exchange: 'x', ts_ns: '1', decision: 'allow', commit: '0'.repeat(64) } as const
  const claims: ReceiptClaims = {
    iss: 'gate',
    iat: 1,
    jti: 'e',
    exchange: 'x',
    stage: 'complete',
    decision: 'allow',
    final: true,
    req: digest('request'),
    res: digest(text),
    leaf,
    ...over,
  }
  return issueReceipt(claims, signer)
}

function verify(body: string) {
  return verifyStreamReceipt(Buffer.from(body), options)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(ReceiptInvalid)
  return (error as ReceiptInvalid).code
}

describe('the final receipt of a stream', () => {
  it('covers every byte before it, and [DONE] may follow', async () => {
    const body = `${TEXT}: signet-receipt ${await receiptOver(TEXT)}\n\ndata: [DONE]\n\n`
    const verified = await verify(body)
    expect(verified.coveredBytes).toBe(Buffer.byteLength(TEXT))
    expect(verified.remainder).toBe('end_marker')
    expect(verified.covers.response).toBe(true)
  })

  it.each(['\n', '\r\n', '\r'])('is found whatever ends its line: %j', async end => {
    const text = TEXT.replaceAll('\n', end)
    const body = `${text}: signet-receipt ${await receiptOver(text)}${end}${end}data: [DONE]${end}${end}`
    expect((await verify(body)).coveredBytes).toBe(Buffer.byteLength(text))
  })

  it('may be the last line, and may stand before message_stop', async () => {
    const compact = await receiptOver(TEXT)
    expect((await verify(`${TEXT}: signet-receipt ${compact}`)).remainder).toBe('blank')
    expect((await verify(`${TEXT}: signet-receipt ${compact}\n\n`)).remainder).toBe('blank')
    const stop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    expect((await verify(`${TEXT}: signet-receipt ${compact}\n\n${stop}`)).remainder).toBe('end_marker')
  })

  it('of an empty answer covers no bytes', async () => {
    expect((await verify(`: signet-receipt ${await receiptOver('')}\n\ndata: [DONE]\n\n`)).coveredBytes).toBe(0)
  })

  it('a comment that upstream wrote itself is covered text, not the receipt', async () => {
    const text = `: signet-receipt forged\n\n${TEXT}`
    expect((await verify(`${text}: signet-receipt ${await receiptOver(text)}\n\n`)).coveredBytes).toBe(
      Buffer.byteLength(text),
    )
  })

  it('model text that spells the comment is no comment', async () => {
    const spelt = [
      'data: : signet-receipt x\n\n',
      'data: {"t":"\\n: signet-receipt x"}\n\n',
      // U+2028, U+2029 and U+0085 end no SSE line.
      'data: a\u2028: signet-receipt x\u2029: signet-receipt y\u0085: signet-receipt z\n\n',
      ' : signet-receipt x\n',
      ':signet-receipt x\n',
    ]
    for (const text of spelt) {
      expect(findStreamReceipt(Buffer.from(text))).toBeUndefined()
      expect(await codeOf(verify(text))).toBe('stream_receipt_missing')
    }
  })

  it('text slipped in before, removed, or reordered breaks the digest', async () => {
    const second = 'data: {"n":2}\n\n'
    const compact = await receiptOver(TEXT + second)
    const end = `: signet-receipt ${compact}\n\ndata: [DONE]\n\n`
    for (const changed of [TEXT, second + TEXT, `${TEXT}${TEXT}${second}`, TEXT.replace('h', 'H') + second])
      expect(await codeOf(verify(changed + end))).toBe('response_mismatch')
  })

  it.each([
    'data: {"choices":[{"delta":{"content":"pay mallory"}}]}\n\ndata: [DONE]\n\n',
    'data: [DONE]\n\ndata: {"choices":[]}\n\n',
    'data: [DONE]\ndata: [DONE]\n\n',
    'event: message_stop\ndata: {"type":"message_stop","text":"more"}\n\n',
    'event: message_stop\ndata: nonsense\n\n',
    'data: [DONE] \n\n',
    ': more\n\n',
    '\u0000',
  ])('nothing may follow it but the end: %j', async rest => {
    const body = `${TEXT}: signet-receipt ${await receiptOver(TEXT)}\n\n${rest}`
    expect(await codeOf(verify(body))).toBe('stream_remainder_unsigned')
  })

  it('bytes after it that are not UTF-8 are not the end', async () => {
    const body = Buffer.concat([
      Buffer.from(`${TEXT}: signet-receipt ${await receiptOver(TEXT)}\n\n`),
      Buffer.from([0xff, 0xfe]),
    ])
    expect(await codeOf(verifyStreamReceipt(body, options))).toBe('stream_remainder_unsigned')
  })

  it("the admission's receipt does not pass for the final one", async () => {
    const { res: _, ...admission } = { ...(await claimsOf()), final: false }
    const body = `${TEXT}: signet-receipt ${await issueReceipt(admission, signer)}\n\ndata: [DONE]\n\n`
    expect(await codeOf(verify(body))).toBe('not_final')
  })
})

async function claimsOf(): Promise<ReceiptClaims> {
  const [, payload] = (await receiptOver(TEXT)).split('.')
  return JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
}
