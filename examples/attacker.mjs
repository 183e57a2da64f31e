/**
 * An agent that has been taken over: it controls its own process and the network between everybody, and has neither the
 * gate's keys nor the executor's credential. It holds one good capability, for a refund of 50 to X, and tries to make the
 * executor do anything else.
 *
 *   node attacker.mjs <executor url> <gate url> <capability> [<a receipt>]
 *
 * Prints one line per attempt, and ends with 1 if one of them ran the tool.
 */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'

const [executor, gate, good, receipt = ''] = process.argv.slice(2)
if (good === undefined || good.split('.').length !== 3) {
  console.error('expected: node attacker.mjs <executor url> <gate url> <capability> [<a receipt>]')
  process.exit(2)
}
const permitted = '{"account":"X","amount":50}'
const [goodHeader, goodPayload, goodSignature] = good.split('.')
const header = JSON.parse(Buffer.from(goodHeader, 'base64url').toString())
const claims = JSON.parse(Buffer.from(goodPayload, 'base64url').toString())
const b64 = value => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const mine = generateKeyPairSync('ed25519')
const myJwk = { ...mine.publicKey.export({ format: 'jwk' }), kid: header.kid, alg: 'EdDSA', use: 'sig' }
const signed = (head, payload) => {
  const input = `${b64(head)}.${b64(payload)}`
  return `${input}.${sign(null, Buffer.from(input), mine.privateKey).toString('base64url')}`
}
const published = (await (await fetch(`${gate}/.well-known/jwks.json`)).json()).keys.find(k => k.kid === header.kid)

/** A key set of the attacker's own, for whoever is fool enough to ask for it. */
let asked = 0
const lure = createServer((_req, res) => {
  asked += 1
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [myJwk] }))
})
await new Promise(resolve => lure.listen(0, '127.0.0.1', resolve))
const lureUrl = `http://127.0.0.1:${lure.address().port}/jwks.json`

const paid = async () => (await (await fetch(`${executor}/paid`)).json()).paid
const send = (token, body, headers = {}) =>
  fetch(`${executor}/issue_refund`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { 'x-signet-capability': token }),
      ...headers,
    },
    body,
  })

const bigger = '{"account":"mallory","amount":1000000}'
const later = { ...claims, jti: 'fresh', exp: claims.exp + 3000 }
const hmac = (secret, head) => {
  const input = `${b64({ ...header, ...head })}.${b64(later)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
const attempts = {
  'no capability': () => send(undefined, bigger),
  'other arguments': () => send(good, bigger),
  'one argument more': () => send(good, '{"account":"X","amount":50,"to":"mallory"}'),
  'a duplicate key': () => send(good, '{"account":"X","amount":50,"amount":1000000}'),
  'a duplicate key, escaped': () => send(good, '{"account":"X","amount":50,"\\u0061mount":1000000}'),
  'a number that rounds': () => send(good, '{"account":"X","amount":50.00000000000000001}'),
  'a prototype': () => send(good, '{"account":"X","amount":50,"__proto__":{"amount":1000000}}'),
  'two documents': () => send(good, `${permitted}${bigger}`),
  'bytes that are not UTF-8': () => send(good, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
  'changed claims, old signature': () =>
    send(`${goodHeader}.${b64({ ...claims, jti: 'fresh' })}.${goodSignature}`, permitted),
  'alg none': () => send(`${b64({ ...header, alg: 'none' })}.${b64(later)}.`, permitted),
  'alg none, with a signature': () =>
    send(`${b64({ ...header, alg: 'none' })}.${b64(later)}.${goodSignature}`, permitted),
  'HS256 with the public key': () => send(hmac(Buffer.from(published.x, 'base64url'), { alg: 'HS256' }), permitted),
  'HS256 with the public key as JSON': () => send(hmac(JSON.stringify(published), { alg: 'HS256' }), permitted),
  'a key of mine under the gate’s id': () => send(signed(header, later), permitted),
  'a key of mine under an id of mine': () => send(signed({ ...header, kid: 'mine' }, later), permitted),
  'my key in the token': () => send(signed({ ...header, jwk: myJwk }, later), permitted),
  'my key set behind jku': () => send(signed({ ...header, jku: lureUrl }, later), permitted),
  'my key set behind x5u': () => send(signed({ ...header, x5u: lureUrl }, later), permitted),
  'my key set behind iss': () => send(signed(header, { ...later, iss: lureUrl }), permitted),
  'a critical extension': () => send(signed({ ...header, crit: ['b64'], b64: false }, later), permitted),
  'a receipt': () => send(receipt, permitted),
  'two capabilities': () => send(`${good}, ${good}`, permitted),
  'another path': () => fetch(`${executor}/issue_refund/`, { method: 'POST', body: permitted }),
  'using it up at the gate, as nobody': () =>
    fetch(`${gate}/signet/v1/redeem`, { method: 'POST', body: JSON.stringify({ capability: good }) }),
  'an outcome, as nobody': () =>
    fetch(`${gate}/signet/v1/redeem/${claims.jti}/outcome`, { method: 'POST', body: '{"ok":true}' }),
}

let broken = 0
for (const [name, attempt] of Object.entries(attempts)) {
  const before = await paid()
  const status = await attempt().then(
    res => res.status,
    () => 'no answer',
  )
  const ran = (await paid()) !== before || status === 200
  if (ran) broken += 1
  console.log(`${ran ? 'RAN    ' : 'refused'} ${status} ${name}`)
}

// What was permitted runs, and once: however many ask, at once and afterwards.
const before = await paid()
const all = await Promise.all(Array.from({ length: 50 }, () => send(good, ' {"amount": 50, "account": "X"} ')))
const again = await send(good, permitted)
const runs = (await paid()) - before
console.log(`the permitted call ran ${runs} time(s) of ${all.length + 1}; the last was answered ${again.status}`)
console.log(`my key set was asked for ${asked} time(s)`)
lure.close()
process.exitCode = broken === 0 && runs === 1 && asked === 0 ? 0 : 1
