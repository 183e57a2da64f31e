/**
 * TLS on the data plane's own port.
 *
 * Guarantees: TLS 1.2 or later, no renegotiation; client certificates are asked for only when the identity strategy
 * needs them, and then trusted only if they come from the authorities configured here, never from the system's; every
 * such connection proves its certificate afresh (no session is resumed). A connection without a certificate, or with a
 * bad one, is let in to be refused by the strategy: with an answer, and with a row.
 */
import { constants } from 'node:crypto'
import type { ServerOptions as HttpOptions, Server } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { IdentityStrategy } from '../identity/strategy.ts'

export interface ListenerTls {
  /** PEM: the listener's certificate, then those that lead to its authority. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** PEM: the authorities whose client certificates count. Required by strategies that need them, and for nothing else. */
  readonly clientCa?: string
  /** PEM: revocation lists of those authorities. Given, there must be a current one for each. */
  readonly clientCrl?: string
}

type Wants = Pick<IdentityStrategy, 'name' | 'clientCertificates'>

/** Throws when the listener could not do what the strategy needs. */
export function checkTls(tls: ListenerTls | undefined, identity: Wants): void {
  if (identity.clientCertificates !== true) return
  if (tls === undefined) {
    throw new TypeError(`tls: not set, and the identity strategy ${identity.name} needs client certificates; set it`)
  }
  // Without it, Node would take any authority that the world's web servers use.
  if (tls.clientCa === undefined) {
    throw new TypeError('tls.clientCa: not set; expected the PEM of the authorities that issue client certificates')
  }
}

export function createTlsServer(options: HttpOptions, tls: ListenerTls, identity: Wants): Server {
  const server = createServer({ ...options, ...tlsOptions(tls, identity) })
  // Node hands failed handshakes to `clientError`, whose answer would be plain HTTP on a connection that never was one.
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

/** A handshake that takes longer is a connection held open for nothing. */
const HANDSHAKE_TIMEOUT_MS = 15_000

function tlsOptions({ cert, key, clientCa, clientCrl }: ListenerTls, identity: Wants): ServerOptions {
  const base: ServerOptions = {
    cert,
    key,
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
  if (identity.clientCertificates !== true || clientCa === undefined) return base
  return {
    ...base,
    ca: clientCa,
    ...(clientCrl === undefined ? {} : { crl: clientCrl }),
    requestCert: true,
    rejectUnauthorized: false,
    // A resumed session repeats the verdict of an earlier handshake, whatever has expired or been revoked since.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  }
}
