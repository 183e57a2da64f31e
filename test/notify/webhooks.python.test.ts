/** What a receiver in another language says of our signatures. Needs Python 3 with `venv`, and pip's registry. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createWebhookSigner } from '../../src/notify/webhook/signature.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-webhooks-python-'))
const python = join(folder, 'bin', 'python')

function run(program: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' })
  if (status !== 0)
    throw new Error(
      `${program} ${args[1]} failed: install Python 3 (Debian: apt-get install python3 python3-venv)\n${stderr}`,
    )
  return stdout
}

beforeAll(() => {
  run('python3', ['-m', 'venv', folder])
  run(python, ['-m', 'pip', 'install', '-q', 'standardwebhooks==1.1.0'])
}, 180_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

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
  const said = run(python, ['-c', SCRIPT], JSON.stringify({ secrets: [mine, older, other], body, headers }))
  expect(JSON.parse(said)).toEqual([event, event, null])
})
