/**
 * One escalation as whoever decides it sees it. Guarantees: a yes can be given only to facts and arguments whose digest was
 * computed here from what is on the page, and it names that digest; it takes a second step, which ends when anything changes.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api, type Escalation, type Me, type Proposal, Refused } from '../api.ts'
import { signDecision } from '../passkey.ts'
import { type Checked, checkProposal, type ShownCall } from '../proposal.ts'
import { addressOf } from '../route.ts'
import { Arguments } from './arguments.tsx'
import { Id, left, Time, useNow, Verdict } from './common.tsx'
import { Untrusted } from './untrusted.tsx'

type Decision = 'approve' | 'deny'

export interface ProposedProps {
  readonly e: Escalation
  readonly proposal: Proposal
  readonly me: Me
  readonly act: { current: Readonly<Record<Decision, () => void>> | undefined }
  readonly onDecided: () => void
}

export function Proposed({ e, proposal, me, act, onDecided }: ProposedProps) {
  const [checked, setChecked] = useState<Checked | undefined>(undefined)
  const [asking, setAsking] = useState<Decision | undefined>(undefined)
  const now = useNow()
  useEffect(() => {
    let over = false
    checkProposal(proposal, e.id, e.digest).then(
      found => !over && setChecked(found),
      () => !over && setChecked({ kind: 'differs', what: 'its digest could not be computed in this browser' }),
    )
    return () => {
      over = true
    }
  }, [proposal, e.id, e.digest])
  // What was about to be confirmed was asked of another state.
  useEffect(() => setAsking(undefined), [e.id, e.state, e.digest, e.decisions.length])
  const open = e.state === 'pending' && Date.parse(e.expires_at) > now
  const mayDecide = open && e.may_decide && me.role !== 'viewer'
  const mayApprove = mayDecide && checked?.kind === 'intact'
  act.current = {
    approve: () => mayApprove && setAsking('approve'),
    deny: () => mayDecide && setAsking('deny'),
  }
  return (
    <article>
      <header>
        <h2>{heading(e.calls.length, open)}</h2>
        <Verdict of={e.state} />
        {open && (
          <span class={`num clock ${Date.parse(e.expires_at) - now < 120_000 ? 'soon' : ''}`}>
            {left(Date.parse(e.expires_at), now)}
          </span>
        )}
      </header>
      {checked === undefined && <p class="quiet">Computing the digest of what is shown…</p>}
      {checked?.kind === 'differs' && (
        <div class="proof bad" role="alert">
          <b>✕ What came is not what an approval would allow.</b> {checked.what}. It is not shown, and cannot be
          approved from here.
        </div>
      )}
      {checked?.kind === 'intact' && <Shown e={e} checked={checked} />}
      <Decisions e={e} />
      <footer>
        {mayDecide ? (
          <>
            <button type="button" class="approve" disabled={!mayApprove} onClick={() => setAsking('approve')}>
              ✓ Approve… <kbd>a</kbd>
            </button>
            <button type="button" class="deny" onClick={() => setAsking('deny')}>
              ✕ Deny… <kbd>d</kbd>
            </button>
          </>
        ) : (
          <p class="quiet">{whyNot(e, me, open)}</p>
        )}
        {checked?.kind === 'intact' && (
          <span class="digest quiet">
            ✓ digest computed here: <Id of={checked.digest} keep={16} />
          </span>
        )}
      </footer>
      {asking !== undefined && (
        <Confirm
          e={e}
          decision={asking}
          digest={checked?.kind === 'intact' ? checked.digest : e.digest}
          calls={checked?.kind === 'intact' ? checked.calls : []}
          onClose={() => setAsking(undefined)}
          onDecided={onDecided}
        />
      )}
    </article>
  )
}

/** `open`: nobody has decided it. */
function heading(calls: number, open: boolean): string {
  if (calls === 0) return open ? 'Held before the model is called' : 'A request before the model is called'
  if (calls === 1) return open ? 'A tool call is held' : 'A tool call'
  return `${calls} tool calls${open ? ' are held' : ''} together`
}

/** What the button says. */
function approval(calls: number, passkey: boolean): string {
  if (passkey) return 'Approve with a passkey'
  if (calls === 0) return 'Approve this request'
  return calls === 1 ? 'Approve this call' : `Approve these ${calls} calls`
}

function whyNot(e: Escalation, me: Me, open: boolean): string {
  if (!open) return e.state === 'pending' ? 'Its time is over.' : 'Nothing is left to decide.'
  if (me.role === 'viewer') return 'You may look. Approvers decide.'
  if (e.owner === me.principal) return 'It is your own request: somebody else decides.'
  if (e.decisions.some(d => d.approver === me.principal)) return 'You have decided; others are asked.'
  return `Others are asked: ${e.current_approvers.join(', ')}.`
}

function Shown({ e, checked }: { readonly e: Escalation; readonly checked: Extract<Checked, { kind: 'intact' }> }) {
  const { facts, calls } = checked
  return (
    <>
      {calls.map((call, i) => (
        <Call key={call.id} call={call} number={calls.length > 1 ? i + 1 : undefined} />
      ))}
      {calls.length === 0 && (
        <p class="note">
          The request itself waits, and was sent to no model. Its content is not kept; its digest is{' '}
          <Id of={facts.request} keep={16} />.
        </p>
      )}
      <dl class="facts">
        <dt>Asked by</dt>
        <dd>
          <Untrusted text={facts.owner} />{' '}
          <span class="quiet">
            {e.owner_authenticated_by === 'asserted'
              ? 'as the caller says; not verified'
              : `known by ${e.owner_authenticated_by}`}
          </span>
        </dd>
        <dt>Held by</dt>
        <dd>
          <Untrusted text={e.check} />: <Untrusted text={e.reason} />
        </dd>
        <dt>Through</dt>
        <dd>
          {facts.surface} → <Untrusted text={facts.upstream} />
        </dd>
        <dt>Exchange</dt>
        <dd>
          <Id of={facts.exchange} keep={36} />{' '}
          <a href={addressOf('audit', '', { q: `exchange:${facts.exchange}` })}>its rows</a>
        </dd>
        <dt>Ends</dt>
        <dd>
          <Time ms={facts.expires_at_ms} date />
        </dd>
      </dl>
    </>
  )
}

function Call({ call, number }: { readonly call: ShownCall; readonly number: number | undefined }) {
  const [compared, setCompared] = useState(true)
  const { similar } = call
  return (
    <section class="call" aria-label={`Call of ${call.tool}`}>
      <h3>
        {number !== undefined && <span class="quiet">{number} </span>}
        <code class="tool">
          <Untrusted text={call.tool} />
        </code>
        {call.audience !== null && (
          <span class="quiet">
            for <Untrusted text={call.audience} />
          </span>
        )}
      </h3>
      {!call.isExact && (
        <p class="note warn">
          <b>Readers may disagree about these arguments:</b> they are no I-JSON object (doubled keys, numbers no double
          holds, or no JSON at all). What is approved is this text.
        </p>
      )}
      <Arguments text={call.argumentsText} before={compared ? similar?.arguments : undefined} />
      {similar === null ? (
        <p class="quiet">No earlier call of this tool is known.</p>
      ) : (
        <p class="quiet similar">
          <label class="check">
            <input type="checkbox" checked={compared} onChange={event => setCompared(event.currentTarget.checked)} />{' '}
            Compared with <a href={addressOf('approvals', similar.escalation)}>the call before it</a>
          </label>
          , {similar.same_owner ? 'of the same owner' : 'of somebody else'},{' '}
          <Time ms={Date.parse(similar.created_at)} date />, {similar.state}
          {similar.arguments === call.argumentsText && <b> — exactly the same arguments</b>}
        </p>
      )}
    </section>
  )
}

function Decisions({ e }: { readonly e: Escalation }) {
  const { rule } = e
  return (
    <section class="decisions">
      <h3>
        {rule.kind === 'quorum'
          ? `Any ${rule.needed ?? 1} of ${rule.approvers.length} must say yes`
          : rule.approvers.length === 1
            ? 'One must say yes'
            : 'Each must say yes, in turn'}
        {e.passkey_required && <span class="tag">with a passkey</span>}
      </h3>
      <ul>
        {rule.approvers.map(approver => {
          const said = e.decisions.find(d => d.approver === approver)
          const waits = e.state === 'pending' && e.current_approvers.includes(approver)
          return (
            <li key={approver}>
              <span class="mark" aria-hidden="true">
                {said === undefined ? (waits ? '○' : '·') : said.decision === 'approve' ? '✓' : '✕'}
              </span>
              <Untrusted text={approver} />
              <span class="quiet">
                {said === undefined ? (
                  waits ? (
                    ' is asked'
                  ) : (
                    ''
                  )
                ) : (
                  <>
                    {said.decision === 'approve' ? ' approved ' : ' denied '}
                    <Time ms={Date.parse(said.at)} date /> by {said.by}
                    {said.reason !== null && (
                      <>
                        : “<Untrusted text={said.reason} />”
                      </>
                    )}
                  </>
                )}
              </span>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

interface ConfirmProps {
  readonly e: Escalation
  readonly decision: Decision
  readonly digest: string
  readonly calls: readonly ShownCall[]
  readonly onClose: () => void
  readonly onDecided: () => void
}

/** The second step. */
function Confirm({ e, decision, digest, calls, onClose, onDecided }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const field = useRef<HTMLTextAreaElement>(null)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')
  const approve = decision === 'approve'
  useEffect(() => {
    dialog.current?.showModal()
    field.current?.focus()
  }, [])
  const submit = async (): Promise<void> => {
    const reason = field.current?.value.trim() === '' ? undefined : field.current?.value.trim()
    if (!approve && reason === undefined) return setProblem('Say why, in a sentence: the row of the denial holds it.')
    setBusy(true)
    setProblem('')
    try {
      const passkey = approve && e.passkey_required ? await signDecision(e.id, decision, digest, reason) : undefined
      await api.decide(e.id, decision, {
        digest,
        seen_decisions: e.decisions.length,
        ...(reason === undefined ? {} : { reason }),
        ...(passkey === undefined ? {} : { passkey }),
      })
      onClose()
      onDecided()
    } catch (error) {
      setBusy(false)
      setProblem(
        error instanceof Refused
          ? error.message
          : error instanceof DOMException
            ? 'No passkey signed; nothing was decided.'
            : 'The control plane does not answer; nothing was decided.',
      )
      if (error instanceof Refused && error.status === 409) onDecided()
    }
  }
  return (
    <dialog ref={dialog} aria-labelledby="confirm" onClose={onClose} onCancel={onClose}>
      <form
        onSubmit={event => {
          event.preventDefault()
          void submit()
        }}
      >
        <h2 id="confirm">{approve ? 'Let this happen?' : 'Deny it?'}</h2>
        {e.calls.length === 0 && <p>The request goes to the model.</p>}
        {calls.map(call => (
          <p key={call.id}>
            <code class="tool">
              <Untrusted text={call.tool} fold={80} />
            </code>{' '}
            <span class="quiet">
              with {call.argumentsText.length.toLocaleString('en')} characters of arguments
              {call.audience !== null && (
                <>
                  {' '}
                  for <Untrusted text={call.audience} fold={60} />
                </>
              )}
            </span>
          </p>
        ))}
        <p class="quiet">
          {approve
            ? 'Once, for whoever asked, exactly as shown. It cannot be taken back when the caller has fetched it.'
            : 'The caller is told that a human said no. A no is final.'}
        </p>
        <label for="reason">{approve ? 'Reason (optional)' : 'Reason'}</label>
        <textarea id="reason" ref={field} rows={2} maxLength={1000} aria-invalid={problem !== ''} />
        {problem !== '' && (
          <p class="wrong" role="alert">
            {problem}
          </p>
        )}
        <p class="digest quiet">
          Digest <code>{digest.replace(/^sha256:/, '').slice(0, 24)}…</code>
        </p>
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={approve ? 'approve' : 'deny'} disabled={busy}>
            {busy ? 'Sending…' : approve ? approval(calls.length, e.passkey_required) : 'Deny'}
          </button>
        </div>
      </form>
    </dialog>
  )
}
