/** What a running gate tells its operator: a line for a person, or one JSON object per line for a collector. Never prompt content. */
import type { Terminal } from './terminal.ts'

export interface OperatorLog {
  info(event: string, message: string, facts?: Facts): void
  warn(event: string, message: string, facts?: Facts): void
}

type Facts = Readonly<Record<string, string | number | boolean | readonly string[]>>

export function openOperatorLog(terminal: Terminal, format: 'text' | 'json', now: () => number): OperatorLog {
  if (format === 'json') {
    const write = (level: string, event: string, message: string, facts: Facts = {}): void =>
      terminal.json({ time: new Date(now()).toISOString(), level, event, message, ...facts }, 0)
    return {
      info: (event, message, facts) => write('info', event, message, facts),
      warn: (event, message, facts) => write('warn', event, message, facts),
    }
  }
  return {
    info: (_event, message) => terminal.line(message),
    warn: (_event, message) => terminal.note({ text: 'warning: ', colour: 'yellow' }, message),
  }
}
