/** Why a gate did not start, as one line that says what to do about it. */
import { ConfigError, errorCode, oneLine } from '../config/problem.ts'
import type { Settings } from '../config/settings.ts'

export function startProblem(error: unknown, settings: Pick<Settings, 'host' | 'port'>): unknown {
  if (error instanceof ConfigError) return error
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new ConfigError([
        `port ${settings.port} on ${settings.host} is taken; stop what listens there or choose another with --port`,
      ])
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError([`${settings.host} is no address of this machine; choose another with --host`])
    case 'EACCES':
      return new ConfigError([
        `port ${settings.port} on ${settings.host} may not be used by this user; choose one above 1023 with --port`,
      ])
    default:
      return new ConfigError([oneLine(error)])
  }
}
