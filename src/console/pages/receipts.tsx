/** A receipt, verified here: its signature and claims against this gate's keys, and its leaf against the log. */
import { useState } from 'preact/hooks'
import { LogInvalid, parseKey, parseProof, proveEntry, verifyProof } from '../../audit/log/index.ts'
import { ReceiptInvalid, type VerifiedReceipt, verifyReceipt } from '../../receipt/index.ts'
import type { Trust } from '../api.ts'
import { Id, Time, Verdict } from '../parts/common.tsx'
import { Untrusted } from '../parts/untrusted.tsx'
import { TILES } from '../proof.ts'
import { addressOf } from '../route.ts'

type Checked =
  | { readonly kind: 'good'; readonly receipt: VerifiedReceipt; readonly log: Logged }
  | { readonly kind: 'bad'; readonly code: string; readonly why: string }
type Logged =
  | { readonly kind: 'in'; readonly index: number; readonly size: number }
  | { readonly kind: 'off' | 'not_yet' }
  | { readonly kind: 'refuted'; readonly why: string }

export function Receipts({ trust }: { readonly trust: Trust | undefined }) {
  const [checked, setChecked] = useState<Checked | undefined>(undefined)
  const look = (text: string): void => {
    const receipt = text
      .trim()
      .replace(/^[A-Za-z-]*receipt[A-Za-z-]*:\s*/i, '')
      .replace(/^:?\s*signet-receipt\s+/, '')
      .replace(/\s+/g, '')
    if (receipt === '' || trust === undefined) {
      setChecked(undefined)
      return
    }
    check(receipt, trust).then(setChecked, (error: unknown) =>
      setChecked({ kind: 'bad', code: 'failed', why: error instanceof Error ? error.message : 'it failed' }),
    )
  }
  return (
    <>
      <header class="page">
        <h1>Receipts</h1>
      </header>
      <div class="narrow">
        <p class="quiet">
          Every answer carries a signed receipt in <code>{trust?.receipts?.header ?? 'X-Signet-Receipt'}</code>; a
          stream says it in its last comment. It is verified in this browser and sent nowhere.
        </p>
        {trust?.receipts === null ? (
          <p class="note warn">
            This gate issues no receipts (<code>emitReceipts</code>).
          </p>
        ) : (
          <>
            <label for="receipt">Paste the header</label>
            <textarea
              id="receipt"
              rows={5}
              spellcheck={false}
              placeholder="X-Signet-Receipt: eyJ…"
              onInput={event => look(event.currentTarget.value)}
            />
          </>
        )}
        <div role="status">
          {checked !== undefined && <Result checked={checked} issuer={trust?.receipts?.issuer ?? ''} />}
        </div>
      </div>
    </>
  )
}

async function check(compact: string, trust: Trust): Promise<Checked> {
  if (trust.receipts === null) return { kind: 'bad', code: 'no_keys', why: 'this gate issues no receipts' }
  try {
    const { jwks, issuer } = trust.receipts
    const receipt = await verifyReceipt(compact, { keys: jwks, issuer, allowShadow: true })
    return { kind: 'good', receipt, log: await logged(receipt.leaf, trust) }
  } catch (error) {
    if (!(error instanceof ReceiptInvalid)) throw error
    return { kind: 'bad', code: error.code, why: error.message }
  }
}

async function logged(leaf: Uint8Array, trust: Trust): Promise<Logged> {
  if (trust.log === null) return { kind: 'off' }
  try {
    const logKeys = [await parseKey(trust.log.key)]
    const proven = await proveEntry({ source: TILES, entry: leaf, logKeys })
    const { checkpoint } = await verifyProof(parseProof(proven.proof), leaf, { logKeys })
    return { kind: 'in', index: proven.index, size: checkpoint.size }
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    return error.code === 'not_yet_logged' ? { kind: 'not_yet' } : { kind: 'refuted', why: error.message }
  }
}

function Result({ checked, issuer }: { readonly checked: Checked; readonly issuer: string }) {
  if (checked.kind === 'bad') {
    return (
      <div class="proof bad">
        <b>✕ Do not rely on it.</b> <Untrusted text={checked.why} fold={500} /> <code>{checked.code}</code>
      </div>
    )
  }
  const { claims, kid } = checked.receipt
  return (
    <>
      <div class="proof good">
        <b>✓ The signature holds.</b> <Untrusted text={issuer} /> stated this with the key <Id of={kid} keep={16} />.
      </div>
      {claims.shadow === true && (
        <p class="note warn">
          <b>Shadow.</b> The decision was recorded and not enforced.
        </p>
      )}
      <dl class="facts">
        <dt>Decision</dt>
        <dd>
          <Verdict of={claims.decision} /> <span class="quiet">at {claims.stage}</span>
        </dd>
        <dt>Made</dt>
        <dd>
          <Time ms={claims.iat * 1000} date />
        </dd>
        <dt>Exchange</dt>
        <dd>
          <Id of={claims.exchange} keep={36} />{' '}
          <a href={addressOf('audit', '', { q: `exchange:${claims.exchange}` })}>its rows</a>
        </dd>
        {claims.owner !== undefined && (
          <>
            <dt>Owner</dt>
            <dd>
              <Untrusted text={claims.owner} />
            </dd>
          </>
        )}
        {claims.check !== undefined && (
          <>
            <dt>Check</dt>
            <dd>
              <Untrusted text={claims.check} />
            </dd>
          </>
        )}
        <dt>Covers</dt>
        <dd>
          the request <Id of={claims.req} keep={16} />
          {claims.res === undefined ? ' and no answer: it was issued before the end' : ' and the answer '}
          {claims.res !== undefined && <Id of={claims.res} keep={16} />}
        </dd>
        <dt>Log</dt>
        <dd>
          <InLog log={checked.log} />
        </dd>
      </dl>
      <p class="quiet">
        To see that it is about your own bytes, compare their SHA-256 with those above:{' '}
        <code>signet receipt verify</code> does it from files.
      </p>
    </>
  )
}

function InLog({ log }: { readonly log: Logged }) {
  switch (log.kind) {
    case 'in':
      return (
        <>
          ✓ leaf <a href={addressOf('audit', String(log.index))}>{log.index.toLocaleString('en')}</a> of{' '}
          {log.size.toLocaleString('en')}, proved in this browser
        </>
      )
    case 'off':
      return <>no transparency log is kept, so nothing but the signature is proved</>
    case 'not_yet':
      return <>not in it yet; the next checkpoint should have it</>
    case 'refuted':
      return (
        <>
          ✕ <Untrusted text={log.why} />
        </>
      )
  }
}
