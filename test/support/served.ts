/** A gate started as users start it, `signet serve`, in this process: files, keys, both listeners. */
import { join } from 'node:path'
import { run } from '../../src/cli/main.ts'

export interface Served {
  readonly url: string
  /** The control plane. */
  readonly control: string
  /** The transparency log's verifier key. */
  readonly logKey: string
  readonly written: { out: string; error: string }
  /** Asks it to end; its exit code. */
  stop(): Promise<number>
}

/** Rejects with what the command said when it does not start. */
export async function startServed(
  folder: string,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<Served> {
  const written = { out: '', error: '' }
  const listening = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<string>()
  const io = {
    out: {
      write: (text: string) => {
        written.out += text
        if (written.out.includes('pipeline:')) listening.resolve()
      },
    },
    error: { write: (text: string) => (written.error += text) },
    environment,
    folder,
    now: Date.now,
    input: async () => new Uint8Array(),
    asked: () => asked.promise,
  }
  const ended = run(
    ['serve', '--upstream', 'demo', '--dev', '--port', '0', '--audit-log', join(folder, 'audit.jsonl'), ...args],
    io,
  )
  const code = await Promise.race([listening.promise, ended])
  if (typeof code === 'number') throw new Error(written.error)
  return {
    url: /listening on (\S+?)\)/.exec(written.out)?.[1] ?? '',
    control: / at (\S+), key/.exec(written.out)?.[1] ?? '',
    logKey: /, key (\S+)/.exec(written.out)?.[1] ?? '',
    written,
    stop: () => {
      asked.resolve('SIGTERM')
      return ended
    },
  }
}

/** One command, to its end. */
export async function signet(folder: string, args: readonly string[]) {
  const written = { out: '', error: '' }
  const code = await run(args, {
    out: { write: (text: string) => (written.out += text) },
    error: { write: (text: string) => (written.error += text) },
    environment: {},
    folder,
    now: Date.now,
    input: async () => new Uint8Array(),
    asked: () => Promise.withResolvers<string>().promise,
  })
  return { code, ...written }
}

/** A chat request of an owner; without one, it is refused with exactly one row. */
export function ask(url: string, owner: string | undefined, body: object = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(owner === undefined ? {} : { 'x-commit-owner': owner }) },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'hello' }], ...body }),
  })
}
