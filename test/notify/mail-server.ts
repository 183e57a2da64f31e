/** A mail server on the loopback, and what it was given. */
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { pem } from '../../src/identity/certificates.test-support.ts'

export interface Got {
  readonly from: string
  readonly to: readonly string[]
  readonly secure: boolean
  readonly user: string | undefined
  /** Before the first empty line. */
  readonly head: string
  /** Decoded. */
  readonly text: string
}

export interface MailServer {
  readonly port: number
  readonly got: readonly Got[]
  close(): Promise<void>
}

export async function mailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const got: Got[] = []
  const server = new SMTPServer({
    ...pem('server'),
    authOptional: true,
    onAuth: ({ username, password }, _session, done) =>
      password === 'hunter2' ? done(null, { user: username }) : done(new Error('Invalid username or password')),
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        got.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(r => r.address),
          secure: session.secure,
          user: typeof session.user === 'string' ? session.user : undefined,
          ...read(Buffer.concat(chunks).toString('latin1')),
        })
        done()
      })
    },
    ...options,
  })
  // A client that hangs up on a certificate is an error here, and the test's business.
  server.on('error', () => undefined)
  const listening = server.listen(0, '127.0.0.1')
  await new Promise(resolve => listening.once('listening', resolve))
  return {
    port: (listening.address() as AddressInfo).port,
    got,
    close: () => new Promise(resolve => server.close(() => resolve())),
  }
}

/** RFC 2045 6: the three codings that a text of ours can have. */
function read(raw: string): { readonly head: string; readonly text: string } {
  const cut = raw.indexOf('\r\n\r\n')
  const head = raw.slice(0, cut)
  const body = raw.slice(cut + 4)
  const coding = /^Content-Transfer-Encoding: (\S+)/im.exec(head)?.[1] ?? '7bit'
  const bytes =
    coding === 'base64'
      ? Buffer.from(body, 'base64')
      : coding === 'quoted-printable'
        ? Buffer.from(
            body
              .replace(/=\r\n/g, '')
              .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
            'latin1',
          )
        : Buffer.from(body, 'latin1')
  return { head, text: bytes.toString('utf8').replaceAll('\r\n', '\n') }
}
