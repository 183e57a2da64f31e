/**
 * Reading a request body: bounded by the bytes that really arrive (`Content-Length` is not trusted), in time (the
 * server's own request time-out), and never decoded: what is inspected is what is forwarded.
 */
import type { IncomingMessage } from 'node:http'
import type { Fault } from '../core/wire.ts'

export function readBody(req: IncomingMessage, limit: number): Promise<Uint8Array | Fault> {
  const encoding = req.headers['content-encoding']
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity' && encoding.trim() !== '') {
    return Promise.resolve({
      kind: 'fault',
      code: 'encoded_body',
      message: 'the body is content-encoded; expected an unencoded JSON body (leave out Content-Encoding)',
    })
  }
  return new Promise(resolve => {
    let first: Uint8Array | undefined
    let more: Uint8Array[] | undefined
    let size = 0
    const done = (result: Uint8Array | Fault) => {
      req.off('data', onData)
      req.off('end', onEnd)
      req.off('error', onGone)
      req.off('close', onGone)
      req.off('timeout', onTimeout)
      resolve(result)
    }
    const onData = (chunk: Uint8Array) => {
      size += chunk.length
      if (size > limit) {
        req.pause()
        done({
          kind: 'fault',
          code: 'body_too_large',
          message: `the body is larger than ${limit} bytes`,
          details: { limit_bytes: limit, bytes_seen: size },
        })
      } else if (first === undefined) first = chunk
      else if (more === undefined) more = [first, chunk]
      else more.push(chunk)
    }
    const onEnd = () => done(more === undefined ? (first ?? new Uint8Array(0)) : Buffer.concat(more, size))
    const onGone = () =>
      done({ kind: 'fault', code: 'client_disconnect', message: 'the caller left before the body was complete' })
    const onTimeout = () => {
      req.pause()
      done({ kind: 'fault', code: 'request_timeout', message: 'the body did not arrive in time' })
    }
    req.on('timeout', onTimeout)
    req.on('data', onData)
    req.on('end', onEnd)
    req.on('error', onGone)
    req.on('close', onGone)
  })
}
