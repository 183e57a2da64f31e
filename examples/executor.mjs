/**
 * An executor: the process that alone holds a tool's credential, and spends it only on a call that the gate has permitted.
 *
 *   GATE=http://127.0.0.1:8443 AUDIENCE=https://pay.example REDEEM_SECRET=… PAYMENT_KEY=… node executor.mjs
 *
 * GATE: the gate. AUDIENCE: the tool's `audience` in the registry. REDEEM_SECRET: its hash is in the gate's SIGNET_REDEEMERS.
 * PAYMENT_KEY: stands for the credential of the effect; anything will do here. PORT: where to listen, any free one without it.
 *
 * The agent sends the call's arguments as the body and its capability as a header. What the agent's own process does before
 * that does not matter: it has neither the gate's key nor PAYMENT_KEY.
 */
import { createServer } from 'node:http'
import { expressCapability, GateRedeemer, remoteJwks } from 'signet-gate/capability'

const need = name => {
  const value = process.env[name]
  if (value === undefined || value === '') {
    console.error(`${name} is not set; it needs GATE, AUDIENCE, REDEEM_SECRET and PAYMENT_KEY`)
    process.exit(2)
  }
  return value
}
const gateUrl = need('GATE')
const paymentKey = need('PAYMENT_KEY')
// For programs that run this one, not for the tool.
delete process.env['PAYMENT_KEY']

const guard = expressCapability('issue_refund', {
  keys: remoteJwks(`${gateUrl}/.well-known/jwks.json`),
  issuer: process.env['ISSUER'] ?? 'signet',
  audience: need('AUDIENCE'),
  replay: new GateRedeemer({ gateUrl, secret: need('REDEEM_SECRET') }),
})

let paid = 0

const server = createServer((req, res) => {
  const answer = (status, body) => {
    res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    res.end(JSON.stringify(body))
  }
  if (req.method === 'GET' && req.url === '/paid') return answer(200, { paid })
  if (req.method !== 'POST' || req.url !== '/issue_refund') return answer(404, { error: 'not found' })
  guard(req, res, error => {
    if (error !== undefined) return answer(500, { error: 'failed' })
    const { account, amount } = req.body
    pay(paymentKey, account, amount)
    req.signet.report({ ok: true })
    answer(200, { refunded: amount, account })
  })
})

/** Stands for the call of the payment provider, with its key. */
function pay(_key, _account, _amount) {
  paid += 1
}

server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`executor on http://127.0.0.1:${server.address().port}`)
})
