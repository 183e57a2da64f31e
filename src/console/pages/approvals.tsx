/** What waits for a human: the inbox, and beside it what exactly would happen. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api, type Escalation, type Me } from '../api.ts'
import { Empty, left, Problem, Time, useLoaded, useNow, Verdict } from '../parts/common.tsx'
import { useKeys } from '../parts/keyboard.ts'
import { Proposed } from '../parts/proposed.tsx'
import { Untrusted } from '../parts/untrusted.tsx'
import { addressOf, go, type Place } from '../route.ts'

export function Approvals({
  place,
  me,
  changes,
}: {
  readonly place: Place
  readonly me: Me
  readonly changes: number
}) {
  const [over, setOver] = useState(false)
  const { value, error, again } = useLoaded(
    background => api.escalations(over ? ['approved', 'denied', 'expired', 'released'] : ['pending'], background),
    [over, changes],
    15_000,
  )
  const found = value?.escalations ?? []
  // What waits longest comes first.
  const list = over ? found : [...found].sort((a, b) => (a.expires_at < b.expires_at ? -1 : 1))
  const now = useNow()
  const chosen = place.item === '' ? (list[0]?.id ?? '') : place.item
  const act = useRef<Readonly<Record<'approve' | 'deny', () => void>> | undefined>(undefined)
  const move = (by: number): void => {
    const at = list.findIndex(e => e.id === chosen)
    const to = list[at < 0 ? 0 : Math.min(list.length - 1, Math.max(0, at + by))]
    if (to !== undefined) go('approvals', to.id)
  }
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    a: () => act.current?.approve(),
    d: () => act.current?.deny(),
  })
  return (
    <>
      <header class="page">
        <h1>Approvals</h1>
        <div class="tabs" role="group" aria-label="Which">
          <button type="button" aria-pressed={!over} onClick={() => setOver(false)}>
            Waiting
          </button>
          <button type="button" aria-pressed={over} onClick={() => setOver(true)}>
            Decided
          </button>
        </div>
      </header>
      {error !== undefined && <Problem error={error} again={again} />}
      <div class="inbox">
        <nav class="items" aria-label={over ? 'Decided' : 'Waiting'}>
          {value !== undefined && list.length === 0 && (
            <p class="quiet pad">{over ? 'None in the last seven days.' : 'None just now.'}</p>
          )}
          <ul>
            {list.map(e => (
              <Item key={e.id} e={e} now={now} chosen={e.id === chosen} />
            ))}
          </ul>
        </nav>
        <div class="proposal">
          {chosen === '' ? (
            value === undefined ? null : (
              <Empty title={over ? 'Nothing was decided' : 'Nothing waits'}>
                <p>
                  When a check holds a tool call, it appears here with what exactly would happen. The caller waits;
                  nothing fires until somebody whose word counts says yes, and time-out says no.
                </p>
                <p>
                  Tools are held from the tier <code>escalateAtTier</code> of <code>tool_call_inspector</code> on.
                </p>
              </Empty>
            )
          ) : (
            <One key={chosen} id={chosen} me={me} changes={changes} onChange={again} act={act} />
          )}
        </div>
      </div>
    </>
  )
}

function Item({ e, now, chosen }: { readonly e: Escalation; readonly now: number; readonly chosen: boolean }) {
  const tools = e.calls.map(c => c.tool)
  const expires = Date.parse(e.expires_at)
  return (
    <li>
      <a href={addressOf('approvals', e.id)} aria-current={chosen ? 'true' : undefined} class={chosen ? 'chosen' : ''}>
        <span class="what">
          <b>{tools.length === 0 ? 'a whole request' : <Untrusted text={tools.join(', ')} fold={60} />}</b>
          {e.state === 'pending' ? (
            <span class={`num clock ${expires - now < 120_000 ? 'soon' : ''}`}>{left(expires, now)}</span>
          ) : (
            <Verdict of={e.state} />
          )}
        </span>
        <span class="who quiet">
          <Untrusted text={e.owner} fold={60} />
        </span>
        <span class="why quiet">
          <Untrusted text={e.reason} fold={120} />
        </span>
        {e.state === 'pending' && e.may_decide && <span class="tag on">yours to decide</span>}
        {e.state !== 'pending' && (
          <span class="quiet">
            <Time ms={Date.parse(e.decisions.at(-1)?.at ?? e.created_at)} date />
          </span>
        )}
      </a>
    </li>
  )
}

interface OneProps {
  readonly id: string
  readonly me: Me
  readonly changes: number
  readonly onChange: () => void
  readonly act: { current: Readonly<Record<'approve' | 'deny', () => void>> | undefined }
}

function One({ id, me, changes, onChange, act }: OneProps) {
  const found = useLoaded(() => Promise.all([api.escalation(id), api.proposal(id)]), [id, changes])
  useEffect(() => () => void (act.current = undefined), [act])
  if (found.value === undefined) {
    return found.error === undefined ? (
      <p class="quiet pad">Reading…</p>
    ) : (
      <Problem error={found.error} again={found.again} />
    )
  }
  const [e, proposal] = found.value
  return (
    <Proposed
      e={e}
      proposal={proposal}
      me={me}
      act={act}
      onDecided={() => {
        found.again()
        onChange()
      }}
    />
  )
}
