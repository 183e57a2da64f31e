/** Needs `python3` with standardwebhooks: what a receiver in another language says of our signatures. */
import { spawnSync } from 'node:child_process'
import { beforeAll, expect, it } from 'vitest'
import { createWebhookSigner } from '../../src/notify/webhook/signature.ts'

beforeAll(() => {
  const found = spawnSync('python3', ['-c', 'import standardwebhooks'])
  if (found.status !== 0) throw new Error('standardwebhooks for Python is needed: pip install standardwebhooks')
})

const SCRIPT = `import sys, json
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
out = []
for secret in given['secrets']:
    try:
        out.append(Webhook(secret).verify(given['body'], given['headers']))
    except WebhookVerificationError:
        out.append(None)
print(json.dumps(out))`

it('the Python library takes each secret of a rotation, and no other', () => {
  const [mine, older, other] = [1, 2, 3].map(byte => `whsec_${Buffer.alloc(32, byte).toString('base64')}`)
  const event = { type: 'escalation.created', data: { owner: 'human:Zoë', text: '\u2603 \\u202e' } }
  const body = JSON.stringify(event)
  const now = Math.floor(Date.now() / 1000)
  const signature = createWebhookSigner([mine ?? '', older ?? '']).sign('evt_1', now, body)
  const headers = { 'webhook-id': 'evt_1', 'webhook-timestamp': String(now), 'webhook-signature': signature }
  const run = spawnSync('python3', ['-c', SCRIPT], {
    input: JSON.stringify({ secrets: [mine, older, other], body, headers }),
    encoding: 'utf8',
  })
  expect(run.stderr).toBe('')
  expect(JSON.parse(run.stdout)).toEqual([event, event, null])
})
