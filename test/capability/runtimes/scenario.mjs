/** An executor's whole day, by Web APIs only: the same file runs in every runtime. Answers with what came of each call. */
import { Hono } from 'hono'
import {
  fetchJwks,
  GateRedeemer,
  honoCapability,
  MemoryReplayStore,
  remoteJwks,
  requireCapability,
  verifyCapability,
} from 'signet-gate/capability'

export async function run(given) {
  const { issuer, audience, tool, argumentsText, keys, tokens, gate, sets } = given
  let nowMs = given.nowMs
  const pinned = () => ({
    keys,
    issuer,
    audience,
    tool,
    argumentsText,
    replay: new MemoryReplayStore(),
    now: () => nowMs,
  })
  const said = (token, more = {}) =>
    verifyCapability(token, { ...pinned(), ...more }).then(
      v => `ok ${v.claims.tool} ${JSON.stringify(v.arguments)}`,
      error => error.code ?? String(error),
    )

  const pinnedKeys = {
    good: await said(tokens.good),
    'the same value, written otherwise': await said(tokens.good, { argumentsText: ' {"amount":5e1,"account":"X"}' }),
    'a changed argument': await said(tokens.good, { argumentsText: '{"account":"X","amount":51}' }),
    'a duplicate key': await said(tokens.good, { argumentsText: '{"account":"X","amount":50,"amount":50}' }),
    'another tool': await said(tokens.good, { tool: 'wire_money' }),
    'another audience': await said(tokens.good, { audience: 'https://other.example' }),
    'another issuer': await said(tokens.good, { issuer: 'somebody' }),
    expired: await said(tokens.expired),
    'not yet valid': await said(tokens.early),
    shadow: await said(tokens.shadow),
    'shadow, accepted': await said(tokens.shadow, { allowShadow: true }),
    'a key of another’s under the same id': await said(tokens.forged),
    'a changed signature': await said(tokens.good.replace(/.{8}$/, 'AAAAAAAA')),
    'a receipt': await said(tokens.receipt),
    nothing: await said(undefined),
  }

  const replay = new MemoryReplayStore()
  const all = await Promise.all(Array.from({ length: 20 }, () => said(tokens.good, { replay })))
  let handled = 0
  const handler = requireCapability(
    tool,
    async args => {
      handled += 1
      return args.amount
    },
    { keys, issuer, audience, replay: new MemoryReplayStore(), now: () => nowMs },
  )
  const used = {
    'of twenty at once': [all.filter(a => a.startsWith('ok')).length, all.filter(a => a === 'already_used').length],
    'a handler': await handler({ capability: tokens.good, argumentsText }),
    'a handler again': await handler({ capability: tokens.good, argumentsText }).catch(error => error.code),
    'it ran': handled,
  }

  // A key set that changes: the old one is kept for its cooldown, and then asked for once more.
  const source = remoteJwks(sets.changing, { cooldownMs: 30_000, now: () => nowMs })
  const rotation = { before: await said(tokens.good, { keys: source }) }
  await (await fetch(sets.rotate, { method: 'POST' })).text()
  rotation['at once'] = await said(tokens.rotated, { keys: source })
  nowMs += 31_000
  rotation['after the cooldown'] = await said(tokens.rotated, { keys: source })
  rotation['the old key'] = await said(tokens.good, { keys: source })
  nowMs = given.nowMs

  const unreachable = {
    'moved elsewhere': await said(tokens.good, { keys: remoteJwks(sets.moved) }),
    'nothing there': await said(tokens.good, { keys: remoteJwks(sets.missing) }),
    'plain http, not the loopback': await said(tokens.good, {
      keys: undefined,
      jwksUrl: 'http://gate.example/.well-known/jwks.json',
    }),
    'a gate that sends the secret elsewhere': await said(tokens.good, {
      replay: new GateRedeemer({ gateUrl: sets.movedGate, secret: gate.secret }),
    }),
  }

  // A running gate: its key set, its redeem endpoint, its rows.
  const jwksUrl = `${gate.url}/.well-known/jwks.json`
  const atGate = secret => ({
    jwksUrl,
    issuer,
    audience,
    tool,
    argumentsText,
    replay: new GateRedeemer({ gateUrl: gate.url, secret }),
  })
  const [first, second] = gate.capabilities
  const redeemed = {
    'its key set': (await fetchJwks(jwksUrl)).keys.map(key => key.signet_purpose).sort(),
    'another’s secret': await verifyCapability(first, atGate('not-the-secret')).catch(error => error.code),
    first: await verifyCapability(first, atGate(gate.secret)).then(async v => {
      await v.report({ ok: true, detail: given.runtime })
      return v.arguments
    }),
    again: await verifyCapability(first, atGate(gate.secret)).catch(error => error.code),
  }
  const app = new Hono()
  const { tool: _tool, argumentsText: _text, ...options } = atGate(gate.secret)
  app.post('/refund', honoCapability(tool, options), c => c.json(c.get('signet').arguments))
  const post = async body => {
    const headers = { 'content-type': 'application/json', 'x-signet-capability': second }
    const res = await app.request('/refund', { method: 'POST', headers, body })
    const answer = await res.json()
    return [res.status, answer.code ?? answer]
  }
  const hono = {
    changed: await post('{"account":"X","amount":51}'),
    first: await post(argumentsText),
    again: await post(argumentsText),
  }
  return { pinnedKeys, used, rotation, unreachable, redeemed, hono }
}
