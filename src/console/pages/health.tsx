/** Keys by name, and whether what vouches for the log does. For admins. */
import type { ComponentChildren } from 'preact'
import { api, type Health as Shown } from '../api.ts'
import { ago, bytes, Id, Problem, useLoaded, useNow } from '../parts/common.tsx'
import { Untrusted } from '../parts/untrusted.tsx'

export function Health() {
  const { value, error, again } = useLoaded(background => api.health(background), [], 5000)
  const now = useNow()
  return (
    <>
      <header class="page">
        <h1>Keys and log</h1>
        {value !== undefined && (
          <span class="quiet">
            signet {value.version}, started {ago(Date.parse(value.started_at), now)}
          </span>
        )}
      </header>
      {error !== undefined && <Problem error={error} again={again} />}
      {value !== undefined && (
        <div class="board">
          <Card title="Audit log" ok={value.audit.ok} good="can be written" bad="cannot be written: requests get 503">
            <dl class="facts">
              <dt>Rows</dt>
              <dd class="num">{value.audit.rows.toLocaleString('en')}</dd>
              <dt>Under way</dt>
              <dd class="num">
                {value.load.exchanges} exchanges, {bytes(value.load.held_bytes)} held back
              </dd>
            </dl>
          </Card>
          <Log log={value.log} />
          <Card title="Key of the chain">
            <p class="quiet">Rows are chained with it; it is secret, and only its name is here.</p>
            <ul class="keys">
              {value.chain_keys.ids.map(id => (
                <li key={id}>
                  <Untrusted text={id} />{' '}
                  {id === value.chain_keys.active ? (
                    <span class="tag on">writes now</span>
                  ) : (
                    <span class="tag">verifies</span>
                  )}
                </li>
              ))}
            </ul>
          </Card>
          <Signing
            title="Keys of receipts"
            keys={value.receipt_keys}
            none="No receipts are issued."
            bad="no key is valid now: answers are refused"
          />
          <Signing
            title="Keys of capabilities"
            keys={value.capability_keys}
            none={
              <>
                None are issued: no tool of the registry has an <code>audience</code>.
              </>
            }
            bad="no key is valid now: calls with an audience are refused"
          />
          {value.log !== null && <Witnesses log={value.log} />}
          {value.log !== null && <Anchors log={value.log} now={now} />}
        </div>
      )}
    </>
  )
}

function Card(props: {
  readonly title: string
  readonly ok?: boolean
  readonly good?: string
  readonly bad?: string
  readonly children: ComponentChildren
}) {
  const { title, ok, good, bad, children } = props
  return (
    <section class="card">
      <h2>
        {title}
        {ok !== undefined && <span class={`state ${ok ? 'good' : 'bad'}`}>{ok ? `✓ ${good}` : `✕ ${bad}`}</span>}
      </h2>
      {children}
    </section>
  )
}

function Log({ log }: { readonly log: Shown['log'] }) {
  if (log === null) {
    return (
      <Card title="Transparency log">
        <p>
          None is kept. Without it, whoever has the chain's key can rewrite the log unseen. Set{' '}
          <code>transparencyLog: true</code>; rows can then be proved to others, and here.
        </p>
      </Card>
    )
  }
  return (
    <Card
      title="Transparency log"
      ok={log.ok && !log.halted}
      good="is written"
      bad={log.halted ? 'halted by an alarm' : 'is not written'}
    >
      {log.alarm !== null && (
        <p class="proof bad" role="alert">
          <b>
            Alarm: {log.alarm.kind}, reported by <Untrusted text={log.alarm.witness} />.
          </b>{' '}
          <Untrusted text={log.alarm.detail} />
        </p>
      )}
      {log.reason !== null && (
        <p class="note warn">
          <Untrusted text={log.reason} />
        </p>
      )}
      <dl class="facts">
        <dt>Name</dt>
        <dd>
          <Untrusted text={log.origin} />
        </dd>
        <dt>Signed</dt>
        <dd class="num">{log.size.toLocaleString('en')} entries</dd>
        <dt>Behind</dt>
        <dd class="num">
          {log.behind_rows === 0
            ? 'nothing'
            : `${log.behind_rows.toLocaleString('en')} rows, for ${(log.behind_ms / 1000).toFixed(1)} s`}
        </dd>
        <dt>Witnessed</dt>
        <dd class="num">{log.witnessed === null ? 'no witnesses' : `${log.witnessed.toLocaleString('en')} entries`}</dd>
        <dt>Key</dt>
        <dd>
          <Id of={log.key} keep={40} />
        </dd>
      </dl>
    </Card>
  )
}

/** What executors and readers of receipts verify with. */
function Signing({
  title,
  keys,
  none,
  bad,
}: {
  readonly title: string
  readonly keys: Shown['receipt_keys']
  readonly none: ComponentChildren
  readonly bad: string
}) {
  return (
    <Card title={title} {...(keys === null ? {} : { ok: keys.signing !== null, good: 'signs', bad })}>
      {keys === null ? (
        <p>{none}</p>
      ) : (
        <ul class="keys">
          {keys.published.map(k => (
            <li key={k.kid}>
              <Id of={k.kid} keep={22} />{' '}
              {k.kid === keys.signing ? <span class="tag on">signs now</span> : <span class="tag">published</span>}
              {k.exp !== null && <span class="quiet"> until {new Date(k.exp * 1000).toLocaleDateString('en-GB')}</span>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function Witnesses({ log }: { readonly log: NonNullable<Shown['log']> }) {
  return (
    <Card title="Witnesses">
      {log.witnesses.length === 0 ? (
        <p>
          Nobody outside cosigns this log. Without witnesses it can show different people different histories. Set{' '}
          <code>witnessPolicyFile</code>.
        </p>
      ) : (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">State</th>
              <th scope="col" class="right">
                Cosigned
              </th>
              <th scope="col" class="right">
                Failures
              </th>
            </tr>
          </thead>
          <tbody>
            {log.witnesses.map(w => (
              <tr key={w.name}>
                <th scope="row">
                  <Untrusted text={w.name} />
                </th>
                <td>
                  {w.problem === null ? <span class="state good">✓ cosigns</span> : <Untrusted text={w.problem} />}
                </td>
                <td class="num right">{w.size.toLocaleString('en')}</td>
                <td class="num right">{w.failures}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  )
}

function Anchors({ log, now }: { readonly log: NonNullable<Shown['log']>; readonly now: number }) {
  return (
    <Card title="Time stamps">
      {log.anchors.length === 0 ? (
        <p>
          No authority stamps this log. A stamp shows that the log was as it is at a time. Set <code>anchorUrls</code>.
        </p>
      ) : (
        <ul class="keys">
          {log.anchors.map(a => (
            <li key={a.authority}>
              <Untrusted text={a.authority} />{' '}
              <span class="quiet num">{a.at === null ? 'not yet' : ago(Date.parse(a.at), now)}</span>{' '}
              {a.problem !== null && (
                <span class="state bad">
                  ✕ <Untrusted text={a.problem} />
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
