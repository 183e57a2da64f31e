/** One row whole, with its proof, which this browser makes and verifies. */
import { useEffect, useState } from 'preact/hooks'
import type { Json } from '../../audit/canonical.ts'
import type { Trust } from '../api.ts'
import { type Proved, proveRow } from '../proof.ts'
import { addressOf } from '../route.ts'
import { checkOf, jsonText, metaOf, msOf, ownerOf, type ShownRow } from '../row.ts'
import { Id, Time, Verdict } from './common.tsx'
import { Untrusted } from './untrusted.tsx'

export function RowDetail({
  shown,
  trust,
  onClose,
}: {
  readonly shown: ShownRow
  readonly trust: Trust | undefined
  readonly onClose: () => void
}) {
  const { row, index, line } = shown
  const [raw, setRaw] = useState(false)
  if (row === undefined) {
    return (
      <>
        <Head index={index} onClose={onClose} />
        <p class="note warn">This line is no row.</p>
        <pre class="raw">
          <Untrusted text={line} />
        </pre>
      </>
    )
  }
  const exchange = metaOf(row, '_exchange_id')
  const escalation = metaOf(row, '_escalation_id')
  const meta = [...row.metadata].filter(([key]) => !HIDDEN.has(key)).sort(([a], [b]) => (a < b ? -1 : 1))
  return (
    <>
      <Head index={index} onClose={onClose} />
      <p class="lead">
        <Verdict of={row.decision} /> <Untrusted text={row.reason} fold={2000} />
      </p>
      <Proof line={line} index={index} trust={trust} />
      <dl class="facts">
        <dt>Time</dt>
        <dd>
          <Time ms={msOf(row)} date /> <span class="quiet num one-line">{row.tsNs.toString()} ns</span>
        </dd>
        <dt>Check</dt>
        <dd>
          <a href={addressOf('audit', '', { q: `check:${checkOf(row)}` })}>
            <Untrusted text={checkOf(row)} />
          </a>{' '}
          <span class="quiet">
            in <Untrusted text={metaOf(row, '_stage') || row.checkName} />
          </span>
        </dd>
        <dt>Owner</dt>
        <dd>
          <a href={addressOf('audit', '', { q: `owner:${ownerOf(row)}` })}>
            <Untrusted text={ownerOf(row)} />
          </a>
        </dd>
        {exchange !== '' && (
          <>
            <dt>Exchange</dt>
            <dd>
              <Id of={exchange} keep={36} />{' '}
              <a href={addressOf('audit', '', { q: `exchange:${exchange}` })}>all its rows</a>
            </dd>
          </>
        )}
        {escalation !== '' && (
          <>
            <dt>Escalation</dt>
            <dd>
              <a href={addressOf('approvals', escalation)}>
                <Untrusted text={escalation} />
              </a>
            </dd>
          </>
        )}
        <dt>Entry</dt>
        <dd>
          <Id of={row.entryId} keep={36} />
        </dd>
        {row.fingerprint !== '' && (
          <>
            <dt>Request</dt>
            <dd>
              <Id of={row.fingerprint} keep={16} />
            </dd>
          </>
        )}
        <dt>Chain</dt>
        <dd>
          <Id of={row.prevHmac === '' ? 'first' : row.prevHmac} keep={10} /> → <Id of={row.hmac} keep={10} />
        </dd>
      </dl>
      <h3>Details</h3>
      <dl class="facts meta">
        {meta.map(([key, value]) => (
          <div key={key}>
            <dt>
              <Untrusted text={key} />
            </dt>
            <dd>
              <Value of={value} />
            </dd>
          </div>
        ))}
      </dl>
      <button type="button" class="link" aria-expanded={raw} onClick={() => setRaw(!raw)}>
        {raw ? 'Hide the line' : `The line as it is stored (${new Blob([line]).size.toLocaleString('en')} bytes)`}
      </button>
      {raw && (
        <pre class="raw">
          <Untrusted text={line} fold={20_000} />
        </pre>
      )}
    </>
  )
}

/** Shown above, or the chain's own. */
const HIDDEN: ReadonlySet<string> = new Set([
  '_exchange_id',
  '_escalation_id',
  '_check_name',
  '_stage',
  '_anchor',
  '_salt',
])

function Head({ index, onClose }: { readonly index: number; readonly onClose: () => void }) {
  return (
    <header>
      <h2 class="num">Row {index}</h2>
      <button type="button" class="icon" aria-label="Close" title="Close (Esc)" onClick={onClose}>
        ✕
      </button>
    </header>
  )
}

function Value({ of }: { readonly of: Json }) {
  if (typeof of === 'string') return /^[0-9a-f]{64}$/.test(of) ? <Id of={of} keep={16} /> : <Untrusted text={of} />
  if (Array.isArray(of) && of.every(item => typeof item === 'string'))
    return of.length === 0 ? (
      <span class="quiet">none</span>
    ) : (
      <ul>
        {of.map((item, i) => (
          <li key={i}>
            <Untrusted text={typeof item === 'string' ? item : ''} />
          </li>
        ))}
      </ul>
    )
  return (
    <span class="num">
      <Untrusted text={jsonText(of)} />
    </span>
  )
}

function Proof({
  line,
  index,
  trust,
}: {
  readonly line: string
  readonly index: number
  readonly trust: Trust | undefined
}) {
  const [proved, setProved] = useState<Proved | undefined>(undefined)
  const [again, setAgain] = useState(0)
  const key = trust?.log?.key
  useEffect(() => {
    if (key === undefined) return
    let over = false
    proveRow(line, index, key).then(
      found => !over && setProved(found),
      (error: unknown) =>
        !over && setProved({ kind: 'refuted', why: error instanceof Error ? error.message : 'it failed' }),
    )
    return () => {
      over = true
    }
  }, [line, index, key, again])
  if (trust === undefined) return null
  if (trust.log === null) {
    return (
      <p class="proof none">
        <b>No proof.</b> This gate keeps no transparency log (<code>transparencyLog</code>), so only{' '}
        <code>signet audit verify</code>, with the chain's key, says whether this row is what was written.
      </p>
    )
  }
  if (proved === undefined) return <p class="proof">Verifying in this browser…</p>
  switch (proved.kind) {
    case 'not_yet':
      return (
        <p class="proof">
          <b>Not in the log yet.</b> The next checkpoint has it.{' '}
          <button type="button" class="link" onClick={() => setAgain(n => n + 1)}>
            Look again
          </button>
        </p>
      )
    case 'refuted':
      return (
        <p class="proof bad" role="alert">
          <b>✕ This row is not proved.</b> <Untrusted text={proved.why} />
        </p>
      )
    case 'proved': {
      const { size, root, hashes, leafHash, proof } = proved.proof
      return (
        <div class="proof good">
          <b>✓ In the log, verified in this browser.</b> Leaf {index.toLocaleString('en')} of{' '}
          {size.toLocaleString('en')}, under a checkpoint signed by <Untrusted text={trust.log.origin} />.
          <details>
            <summary>What was verified</summary>
            <dl class="facts">
              <dt>Leaf</dt>
              <dd>
                <Id of={leafHash} keep={16} /> made from the bytes of this row
              </dd>
              <dt>Path</dt>
              <dd>{hashes} hashes to the root</dd>
              <dt>Root</dt>
              <dd>
                <Id of={root} keep={16} />
              </dd>
              <dt>Key</dt>
              <dd>
                <Id of={trust.log.key} keep={48} />
              </dd>
            </dl>
            <p class="quiet">
              The key is the one this gate names. Whoever must not believe the gate compares it with the one they were
              given, and keeps the proof: <code>signet log verify</code> takes it.
            </p>
            <button type="button" onClick={() => save(`row-${index}.tlog-proof`, proof)}>
              Save the proof
            </button>
          </details>
        </div>
      )
    }
  }
}

function save(name: string, text: string): void {
  const link = document.createElement('a')
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
