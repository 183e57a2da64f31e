/** Who the caller is, by the gate's identity strategy. A strategy that fails or takes too long is a fault, never nobody. */
import type { IncomingMessage } from 'node:http'
import type { Fault } from '../core/wire.ts'
import { tlsPeer } from '../identity/certificate.ts'
import type { Identified } from '../identity/strategy.ts'
import { isThenable, within } from '../pipeline/guard.ts'
import type { Gate } from './gate.ts'

const IDENTITY_LIMIT_MS = 15_000

export async function identify(gate: Gate, req: IncomingMessage): Promise<Identified | Fault> {
  try {
    const asked = gate.identity.identify({
      rawHeaders: req.rawHeaders,
      socketAddress: req.socket.remoteAddress,
      tls: tlsPeer(req.socket),
    })
    return isThenable(asked) ? await within(gate.clock, IDENTITY_LIMIT_MS, asked) : asked
  } catch {
    return { kind: 'fault', code: 'state_unavailable', message: 'the caller could not be identified just now' }
  }
}
