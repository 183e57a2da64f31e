/** What is read from request headers: owners, sessions, hosts, addresses, duplicates, what crosses. */
import { isIP } from 'node:net'
import { cleanPrincipalId, ownerString, parsePrincipal } from '../../../src/core/owner.ts'
import { assertedIdentity } from '../../../src/identity/asserted.ts'
import { createDuplicateRule } from '../../../src/identity/headers.ts'
import { createListenerRule } from '../../../src/identity/host.ts'
import { createPeerResolver } from '../../../src/identity/peer.ts'
import { readSession } from '../../../src/identity/session.ts'
import { createRequestHeaders, relayHeaders } from '../../../src/upstream/headers.ts'
import type { Random } from '../random.ts'
import { bytesOf, equal, must, type Target, textOf } from '../target.ts'

const NAMES = [
  'X-Commit-Owner',
  'X-Agent-Id',
  'X-Policy-Name',
  'X-Policy-Version',
  'X-Classification',
  'X-Caller-Clearance',
  'X-Signet-Session',
  'Host',
  'Origin',
  'X-Forwarded-For',
  'Forwarded',
  'Authorization',
  'Connection',
  'OpenAI-Beta',
  'x-api-key',
]
const VALUES = [
  'human:alice@example.com',
  'agent:crawler-7',
  'human:',
  'policy',
  '1.0',
  'SECRET',
  's-1',
  '127.0.0.1:8443',
  '[::1]',
  'gate.example.com',
  'http://127.0.0.1:8443',
  '10.0.0.1, 192.0.2.7',
  '[2001:db8::1]:1234',
  '::ffff:127.0.0.1',
  'unknown',
  'close, openai-beta',
  'Bearer sk-1',
  'human:al\u00c3\u00adce',
]

/** Lines of `name: value`, as node:http hands them over: Latin-1. */
function rawHeaders(bytes: Uint8Array): string[] {
  return Buffer.from(bytes)
    .toString('latin1')
    .split('\n')
    .slice(0, 200)
    .flatMap(line => {
      const colon = line.indexOf(':')
      return colon <= 0 ? [] : [line.slice(0, colon), line.slice(colon + 1)]
    })
}

const identity = assertedIdentity()
const duplicates = createDuplicateRule()
const listener = createListenerRule({ hosts: ['gate.example.com'], origins: ['https://app.example.com'] })
const peers = createPeerResolver({ trustedProxies: ['10.0.0.0/8', '2001:db8::/32'] })
const outgoing = createRequestHeaders({ credential: { kind: 'passthrough' }, userAgent: 'fuzz/1' })
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u

export const headers: Target = {
  name: 'headers',
  words: [...NAMES.map(n => `${n}: `), ...VALUES, '\n'],
  build: (random: Random) => bytesOf(random.list(8, () => `${random.pick(NAMES)}: ${random.pick(VALUES)}`).join('\n')),
  check: bytes => {
    const raw = rawHeaders(bytes)
    const who = identity.identify({ rawHeaders: raw, socketAddress: '192.0.2.1', tls: undefined })
    must('kind' in who, 'asserted owners are read at once')
    if (who.kind === 'identified' && who.owner.type !== 'unresolved') {
      must(!INVISIBLE.test(who.owner.id) && who.owner.id.length <= 256, 'an owner has a name that can be seen')
      const again = parsePrincipal(ownerString(who.owner))
      must(again.ok && again.id === who.owner.id, 'an owner, read from what rows say of it, is the same')
    }
    const session = readSession(raw)
    must(typeof session !== 'string' || /^[A-Za-z0-9_.:-]{1,256}$/.test(session), 'a session id is plain')
    const refused = listener(raw)
    if (refused === undefined && duplicates(raw) === undefined) {
      const hosts = raw.filter((_, i) => i % 2 === 0 && raw[i]?.toLowerCase() === 'host')
      must(hosts.length <= 1, 'a listener answers to one host')
    }
    const twice = new Set<string>()
    const repeated = raw.some(
      (name, i) => i % 2 === 0 && (twice.has(name.toLowerCase()) || !twice.add(name.toLowerCase())),
    )
    if (!repeated) equal(duplicates(raw), undefined, 'no header twice')
    for (const socket of ['10.1.2.3', '192.0.2.1', '::ffff:10.1.2.3', undefined]) {
      const peer = peers(socket, raw)
      must(peer === undefined || isIP(peer) !== 0, 'a peer is an address')
      must(socket !== '192.0.2.1' || peer === '192.0.2.1', 'who is no listed proxy speaks for itself')
    }
    const sent = outgoing.outgoing(raw, { contentType: 'application/json', accept: '*/*' })
    if (!('kind' in sent)) {
      must(
        sent.every(text => /^[\t\x20-\x7e]*$/.test(text)),
        'what crosses is printable',
      )
      must(!sent.some(text => /^x-signet|^x-commit|^host$|^connection$/.test(text)), 'what is ours does not cross')
    }
    const relayed = relayHeaders(
      Object.fromEntries(raw.flatMap((n, i) => (i % 2 ? [] : [[n.toLowerCase(), raw[i + 1] ?? '']]))),
    )
    must(
      relayed.every(text => !/[\r\n\0]/.test(text)),
      'a relayed header is one line',
    )
    must(!relayed.some((n, i) => i % 2 === 0 && n.toLowerCase().startsWith('x-signet')), 'ours are not relayed')
  },
}

export const principal: Target = {
  name: 'principal',
  words: ['human:', 'agent:', 'policy:', '\u0430', 'é', '\u202e', '@'],
  build: random => bytesOf(random.pick(['human:', 'agent:', 'x:', '']) + random.pick(VALUES)),
  check: bytes => {
    const text = textOf(bytes)
    const parsed = parsePrincipal(text)
    if (!parsed.ok) {
      must(
        /^(?:the principal|expected a principal) [ -~]{1,100}$/.test(parsed.problem),
        'a problem is a text of this code',
      )
      return
    }
    must(!INVISIBLE.test(parsed.id), 'a name can be seen')
    equal(parsePrincipal(`${parsed.type}:${parsed.id}`), parsed, 'a clean name is its own spelling')
    equal(cleanPrincipalId(parsed.id), { ok: true, id: parsed.id }, 'and so is its id')
  },
}
