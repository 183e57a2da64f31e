/**
 * E-mail to the people who are asked: one destination for each, so that an address that fails holds up no other.
 *
 * Guarantees: TLS before anything is said, or no mail, unless the server is on the loopback; no file and no address is ever
 * read for a message; bounded time. A message keeps its id over all tries.
 */
import { createTransport } from 'nodemailer'
import { type Destination, SEND_LIMIT_MS, type Sent } from '../destination.ts'
import type { EmailSetting } from '../settings.ts'
import { escalationMail, isFor, type Mail, testMail } from './message.ts'

export interface EmailPorts {
  readonly consoleUrl: string | undefined
  /** Names of people are left out. */
  readonly sealed: boolean
  readonly password: string | undefined
  /** PEM of the authorities to believe, in place of the system's. */
  readonly ca: string | undefined
  readonly newId: () => string
  /** Of one sending. Default `SEND_LIMIT_MS`. */
  readonly limitMs?: number
}

export function emailDestinations(o: EmailSetting, ports: EmailPorts): readonly Destination[] {
  const { consoleUrl, sealed } = ports
  return [...o.to].map(([person, address]) => ({
    name: `email:${person}`,
    label: 'email',
    address: `${o.host}:${o.port} ${address}`,
    events: o.events,
    async send(notice, e, { signal }) {
      if (!isFor(notice.event, person, e)) return { kind: 'skipped' }
      return sendMail(o, ports, address, notice.id, escalationMail(notice, e, { ...o, consoleUrl, sealed }), signal)
    },
    test: ({ signal }) => sendMail(o, ports, address, `evt_${ports.newId()}_test`, testMail(), signal),
  }))
}

async function sendMail(
  o: EmailSetting,
  ports: EmailPorts,
  to: string,
  id: string,
  { subject, text }: Mail,
  signal: AbortSignal,
): Promise<Sent> {
  const transport = transportTo(o, ports)
  const { limitMs = SEND_LIMIT_MS } = ports
  // A server that says a word now and then would outlast limits on silence.
  const limit = AbortSignal.any([AbortSignal.timeout(limitMs), signal])
  const over = new Promise<never>((_, reject) => {
    const end = () => reject(signal.aborted ? new Error('the gate is closing') : new SlowServer())
    if (limit.aborted) end()
    else limit.addEventListener('abort', end)
  })
  try {
    const sending = transport.sendMail({
      from: { name: 'signet', address: o.from },
      to: { name: '', address: to },
      subject,
      text,
      messageId: `<${id}@${o.from.slice(o.from.indexOf('@') + 1)}>`,
      // RFC 3834 5: no answer from a machine.
      headers: { 'Auto-Submitted': 'auto-generated' },
      disableFileAccess: true,
      disableUrlAccess: true,
    })
    const { response } = await Promise.race([sending, over])
    return { kind: 'delivered', detail: printable(String(response)) }
  } catch (error) {
    return failed(error)
  } finally {
    transport.close()
  }
}

/** Connects and signs in, and says nothing more. What is wrong, or nothing. */
export async function tryServer(o: EmailSetting, ports: EmailPorts): Promise<string | undefined> {
  const transport = transportTo(o, ports)
  try {
    await transport.verify()
    return undefined
  } catch (error) {
    return reasonOf(error)
  } finally {
    transport.close()
  }
}

function transportTo(o: EmailSetting, { password, ca, limitMs = SEND_LIMIT_MS }: EmailPorts) {
  return createTransport({
    host: o.host,
    port: o.port,
    secure: o.security === 'tls',
    requireTLS: o.security === 'starttls',
    ignoreTLS: o.security === 'none',
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) },
    ...(o.username === undefined ? {} : { auth: { user: o.username, pass: password ?? '' } }),
    connectionTimeout: limitMs,
    greetingTimeout: limitMs,
    socketTimeout: limitMs,
    logger: false,
  })
}

class SlowServer extends Error {
  readonly code = 'ETIMEDOUT'
}

/** Never the server's own words: they may hold what was sent. */
function reasonOf(error: unknown): string {
  const code = field(error, 'code')
  const status = field(error, 'responseCode')
  const said = typeof status === 'number' ? `the server answered ${status}` : 'the server took nothing'
  return `${said}${typeof code === 'string' ? ` (${code})` : ''}`
}

function failed(error: unknown): Sent {
  const code = field(error, 'code')
  const status = field(error, 'responseCode')
  const because = reasonOf(error)
  // RFC 5321 4.2.1: 5yz, "the SMTP client SHOULD NOT repeat the exact request". What is refused before a message is there (TLS,
  // the sign-in) is for the operator to mend.
  const final = typeof status === 'number' && status >= 500 && (code === 'EENVELOPE' || code === 'EMESSAGE')
  return final ? { kind: 'refused', because } : { kind: 'failed', because }
}

function field(error: unknown, name: 'code' | 'responseCode'): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined
}

function printable(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/g, '?')
}
