/** One ordinary request for every surface, with the same text in it. */
import { requestBytes } from './client.ts'

export function surfaceRequests(text: string): ReadonlyMap<string, Uint8Array> {
  const model = 'bench'
  const messages = [{ role: 'user', content: text }]
  const requests: readonly (readonly [name: string, path: string, body: unknown])[] = [
    ['chat', '/v1/chat/completions', { model, messages }],
    ['responses', '/v1/responses', { model, input: text }],
    ['messages', '/v1/messages', { model, max_tokens: 1024, messages }],
    ['completions', '/v1/completions', { model, prompt: text }],
    ['embeddings', '/v1/embeddings', { model, input: text, encoding_format: 'base64' }],
  ]
  return new Map(requests.map(([name, path, body]) => [name, requestBytes(path, JSON.stringify(body))]))
}
