#!/usr/bin/env node
// A signer process for signet's receipts: the private key is in this process and nowhere else. docs/keys.md has the protocol.
//
//   receiptSigner: { command: './examples/signer.mjs', args: ['receipt-key.pem'], env: ['PATH'] }
//
// A real one would ask a security module instead of reading a file; the lines it reads and writes are the same.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('usage: signer.mjs <Ed25519 private key, PEM>\n')
  process.exit(2)
}
const key = createPrivateKey(readFileSync(file))
const say = message => process.stdout.write(`${JSON.stringify(message)}\n`)

say({ v: 1, keys: [{ x: createPublicKey(key).export({ format: 'jwk' }).x }] })

for await (const line of createInterface({ input: process.stdin })) {
  const { id, data } = JSON.parse(line)
  const bytes = Buffer.from(data, 'base64')
  // It signs what begins as a receipt does, and nothing else: whoever takes over the gate gets no other signature from it.
  const [header] = bytes.toString('latin1').split('.')
  const isReceipt = JSON.parse(Buffer.from(header ?? '', 'base64url').toString()).typ === 'signet-receipt+jwt'
  if (isReceipt) say({ id, signature: sign(null, bytes, key).toString('base64') })
  else say({ id, error: 'not a receipt' })
}
// The gate has closed our input: it is over.
