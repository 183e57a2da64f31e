/** Answers of the gate that belong to no exchange. */
import type { ServerResponse } from 'node:http'

export function json(res: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`)
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
  })
  res.end(bytes)
}
