/** Webhooks by the Standard Webhooks specification: thin, signed, and the same bytes at every try. */
import type { Notice } from '../../core/state.ts'
import type { Escalation } from '../../escalation/escalation.ts'
import { type Egress, EgressFailed } from '../../plugins/egress.ts'
import { escapeJson, escapeText } from '../../text/visible.ts'
import { type Destination, MAX_ANSWER_BYTES, SEND_LIMIT_MS, type Sending, type Sent } from '../destination.ts'
import { namesOf } from '../names.ts'
import { readRetryAfter } from '../schedule.ts'
import type { WebhookSetting } from '../settings.ts'
import { consoleLink } from '../shown.ts'
import { createWebhookSigner } from './signature.ts'

export interface WebhookPorts {
  readonly egress: Egress
  readonly consoleUrl: string | undefined
  /** Names of people are left out. */
  readonly sealed: boolean
  /** Each signs. */
  readonly secrets: readonly string[]
  /** An id for a test. */
  readonly newId: () => string
}

export function webhookDestination(o: WebhookSetting, ports: WebhookPorts): Destination {
  const signer = createWebhookSigner(ports.secrets)
  const post = async (id: string, body: string, { nowMs, signal }: Omit<Sending, 'receipt'>): Promise<Sent> => {
    const timestamp = Math.floor(nowMs / 1000)
    try {
      const { status, retryAfter } = await ports.egress.send({
        url: o.url,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'signet',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signer.sign(id, timestamp, body),
        },
        body,
        timeoutMs: SEND_LIMIT_MS,
        maxBytes: MAX_ANSWER_BYTES,
        signal,
      })
      return outcomeOf(status, readRetryAfter(retryAfter, nowMs))
    } catch (error) {
      // An answer nobody can hold is an answer all the same, and says nothing about what became of the notice.
      const because = error instanceof EgressFailed ? `${error.code}: ${error.message}` : 'it cannot be asked'
      return { kind: 'failed', because }
    }
  }
  return {
    name: `webhook:${o.name}`,
    label: `webhook:${o.name}`,
    address: o.url,
    events: o.events,
    send: (notice, e, sending) => post(notice.id, body(notice, e, o, ports), sending),
    test: sending => {
      const timestamp = new Date(sending.nowMs).toISOString()
      return post(
        `evt_${ports.newId()}_test`,
        JSON.stringify({ type: 'signet.test', timestamp, data: { destination: o.name } }),
        sending,
      )
    },
  }
}

/** "A webhook delivery is considered successful if it was responded to with a 2xx status code". */
function outcomeOf(status: number, afterMs: number | undefined): Sent {
  if (status >= 200 && status < 300) return { kind: 'delivered', detail: `status ${status}` }
  if (status === 410) return { kind: 'gone', because: 'it answered 410 Gone' }
  const redirect = status >= 300 && status < 400 ? ', and redirects are not followed; give the address it leads to' : ''
  return {
    kind: 'failed',
    because: `it answered ${status}${redirect}`,
    ...(afterMs === undefined ? {} : { afterMs }),
    // It, or what is in front of it, is under load: other notices would meet the same.
    ...(status === 429 || status === 502 || status === 503 || status === 504 ? { all: true } : {}),
  }
}

/** Of what does not change any more, so that a later try says the same. */
function body(notice: Notice, e: Escalation, o: WebhookSetting, { consoleUrl, sealed }: WebhookPorts): string {
  const names = namesOf(e, sealed)
  return JSON.stringify({
    type: notice.event,
    timestamp: new Date(notice.atMs).toISOString(),
    data: {
      id: e.id,
      exchange: e.exchange,
      owner: escapeText(names.owner),
      stage: e.stage,
      check: escapeText(names.within(e.check)),
      digest: e.digest,
      expires_at: new Date(e.expiresAtMs).toISOString(),
      url: consoleLink(consoleUrl, e.id) ?? null,
      calls: e.calls.map(c => ({
        tool: escapeText(names.within(c.tool)),
        tier: c.tier === undefined ? null : escapeText(names.within(c.tier)),
        arguments_digest: c.argumentsDigest,
        ...(o.includeArguments ? { arguments: escapeJson(c.argumentsText) } : {}),
      })),
    },
  })
}
