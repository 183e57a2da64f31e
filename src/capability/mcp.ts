/**
 * An MCP server behind capabilities: its transport, wrapped. Every `tools/call` is verified before the server sees it, its
 * arguments are replaced by the verified ones, and one that is not permitted is answered here with an error result. The
 * capability travels as `params._meta.signet.capability` (`_meta` is MCP's place for what is not its own).
 *
 * Guarantees: no `tools/call` reaches the server unverified, under whatever id, alone or in a batch. Other methods pass:
 * resources and prompts are read, not run.
 */
import { isObject } from '../jws/bytes.ts'
import { CapabilityInvalid } from './errors.ts'
import { capabilityOf } from './guard.ts'
import { type ExecutorOptions, type VerifiedCapability, verifyCapability } from './verify.ts'

/** What this needs of a transport; those of `@modelcontextprotocol/sdk` have more, and it stays theirs. */
export interface McpTransport {
  start(): Promise<void>
  close(): Promise<void>
  send(message: never, options?: never): Promise<void>
}

type Deliver = (message: unknown, extra?: unknown) => void

/** The same transport, for `server.connect(…)`. */
export function capabilityTransport<T extends McpTransport>(transport: T, options: ExecutorOptions): T {
  const running = new Map<unknown, VerifiedCapability>()
  let deliver: Deliver | undefined
  const post = (...message: readonly unknown[]): Promise<void> => Reflect.apply(transport.send, transport, message)

  const receive = (message: unknown, extra?: unknown): void => {
    if (Array.isArray(message)) {
      for (const one of message) receive(one, extra)
      return
    }
    if (!isObject(message) || message['method'] !== 'tools/call') {
      // A call that is cancelled is not answered.
      if (isObject(message) && message['method'] === 'notifications/cancelled' && isObject(message['params']))
        running.delete(message['params']['requestId'])
      deliver?.(message, extra)
      return
    }
    const id = message['id']
    // A call nobody is told the outcome of is no call of MCP.
    if (typeof id !== 'string' && typeof id !== 'number') return
    verify(message['params']).then(
      ({ verified, params }) => {
        running.set(id, verified)
        deliver?.({ ...message, params }, extra)
      },
      (error: unknown) => {
        const code = error instanceof CapabilityInvalid ? error.code : 'replay_unavailable'
        const text = `refused by signet: ${code}`
        const result = { content: [{ type: 'text', text }], isError: true, _meta: { signet: { code } } }
        post({ jsonrpc: '2.0', id, result }).catch(() => undefined)
      },
    )
  }

  const verify = async (params: unknown) => {
    if (!isObject(params) || typeof params['name'] !== 'string')
      throw new CapabilityInvalid('tool_wrong', 'expected the name of a tool')
    const call = { tool: params['name'], arguments: params['arguments'] ?? {} }
    const verified = await verifyCapability(capabilityOf(params['_meta']), { ...options, ...call })
    return { verified, params: { ...params, arguments: verified.arguments } }
  }

  const send = (message: unknown, ...rest: readonly unknown[]): Promise<void> => {
    if (isObject(message)) {
      const { id, result, error } = message
      const verified = result === undefined && error === undefined ? undefined : running.get(id)
      if (verified !== undefined) {
        running.delete(id)
        const ok = isObject(result) && result['isError'] !== true
        // The answer does not wait for it.
        verified.report({ ok }).catch(() => undefined)
      }
    }
    return post(message, ...rest)
  }

  return new Proxy(transport, {
    get(target, name) {
      if (name === 'send') return send
      if (name === 'onmessage') return deliver
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set(target, name, value: Deliver | undefined) {
      if (name !== 'onmessage') return Reflect.set(target, name, value, target)
      deliver = value
      return Reflect.set(target, name, receive, target)
    },
  })
}
