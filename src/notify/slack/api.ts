/** Calls to Slack's Web API: https://docs.slack.dev/apis/web-api/. */
import { isFault, readJson, toValue } from '../../dialects/json.ts'
import { isRecord } from '../../identity/issuer-documents.ts'
import { type Egress, EgressFailed } from '../../plugins/egress.ts'
import { MAX_ANSWER_BYTES, SEND_LIMIT_MS } from '../destination.ts'
import { readRetryAfter } from '../schedule.ts'

export interface SlackApi {
  /** Never rejects. */
  call(method: SlackMethod, body: object, o: { readonly nowMs: number; readonly signal?: AbortSignal }): Promise<Called>
}

export type SlackMethod = 'auth.test' | 'chat.postMessage' | 'chat.update' | 'chat.postEphemeral' | 'views.open'

export type Called =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string; readonly afterMs?: number; readonly all?: boolean }

export function createSlackApi(apiUrl: string, token: string, egress: Egress): SlackApi {
  return {
    async call(method, body, { nowMs, signal }) {
      try {
        const {
          status,
          retryAfter,
          body: bytes,
        } = await egress.send({
          url: `${apiUrl}/${method}`,
          method: 'POST',
          headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${token}` },
          body: JSON.stringify(body),
          timeoutMs: SEND_LIMIT_MS,
          maxBytes: MAX_ANSWER_BYTES,
          ...(signal === undefined ? {} : { signal }),
        })
        if (status !== 200) {
          const afterMs = readRetryAfter(retryAfter, nowMs)
          return {
            ok: false,
            error: `Slack answered ${status}`,
            ...(afterMs === undefined ? {} : { afterMs }),
            all: status === 429 || status >= 500,
          }
        }
        const doc = readJson(bytes)
        const answer = isFault(doc) ? undefined : toValue(doc.root)
        if (!isRecord(answer)) return { ok: false, error: 'Slack answered something that is no JSON object' }
        const { ok, error } = answer
        if (ok === true) return { ok: true, answer }
        return { ok: false, error: typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : 'unknown_error' }
      } catch (error) {
        return {
          ok: false,
          error: error instanceof EgressFailed ? `${error.code}: ${error.message}` : 'it cannot be asked',
        }
      }
    },
  }
}
