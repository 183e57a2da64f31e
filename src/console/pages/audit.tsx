/** The audit log: search, one row whole, and the proof that it is in the transparency log. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api, type Trust } from '../api.ts'
import { Empty, Problem, useLoaded } from '../parts/common.tsx'
import { useKeys } from '../parts/keyboard.ts'
import { RowDetail } from '../parts/row-detail.tsx'
import { Rows } from '../parts/rows.tsx'
import { addressOf, go, type Place } from '../route.ts'
import { readRow, type ShownRow } from '../row.ts'
import { readSearch, withField } from '../search.ts'

const DECISIONS = ['block', 'escalate', 'redact', 'allow'] as const

export function Audit({ place, trust }: { readonly place: Place; readonly trust: Trust | undefined }) {
  const asked = place.query.get('q') ?? ''
  const [rows, setRows] = useState<readonly ShownRow[]>([])
  const [next, setNext] = useState<number | null>(null)
  const [size, setSize] = useState<number | undefined>(undefined)
  const [error, setError] = useState<unknown>(undefined)
  const [busy, setBusy] = useState(true)
  const field = useRef<HTMLInputElement>(null)
  const turn = useRef(0)
  const load = (before: number | undefined): void => {
    const mine = ++turn.current
    const query = readSearch(asked)
    query.set('limit', '100')
    if (before !== undefined) query.set('before', String(before))
    setBusy(true)
    api.rows(query).then(
      page => {
        if (mine !== turn.current) return
        setRows(was => [...(before === undefined ? [] : was), ...page.rows.map(readRow)])
        setNext(page.next)
        setSize(page.size)
        setError(undefined)
        setBusy(false)
      },
      (failed: unknown) => {
        if (mine !== turn.current) return
        setError(failed)
        setBusy(false)
      },
    )
  }
  useEffect(() => {
    setRows([])
    load(undefined)
    if (field.current !== null) field.current.value = asked
  }, [asked])
  const chosen = /^\d+$/.test(place.item) ? Number(place.item) : undefined
  const choose = (index: number): void => go('audit', String(index), asked === '' ? {} : { q: asked })
  const search = (line: string): void => go('audit', '', line.trim() === '' ? {} : { q: line.trim() })
  const move = (by: number): void => {
    const at = rows.findIndex(r => r.index === chosen)
    const to = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))]
    if (to !== undefined) choose(to.index)
  }
  useKeys({
    '/': () => field.current?.focus(),
    j: () => move(1),
    k: () => move(-1),
    Escape: () => chosen !== undefined && search(asked),
  })
  return (
    <>
      <header class="page">
        <h1>Audit log</h1>
        {size !== undefined && <span class="quiet num">{size.toLocaleString('en')} rows</span>}
      </header>
      <form
        class="search"
        role="search"
        onSubmit={event => {
          event.preventDefault()
          search(field.current?.value ?? '')
        }}
      >
        <label class="hidden" for="search">
          Search the log
        </label>
        <input
          id="search"
          ref={field}
          type="search"
          spellcheck={false}
          autocomplete="off"
          placeholder="check:regex_content owner:human:alice@example.com since:2027-01-31 or any text of a row"
          defaultValue={asked}
        />
        <div class="tabs" role="group" aria-label="Decision">
          {DECISIONS.map(d => {
            const on = readSearch(asked).get('decision') === d
            return (
              <button
                type="button"
                key={d}
                aria-pressed={on}
                onClick={() => search(on ? asked.replace(/\s*decision:\S+/, '') : withField(asked, 'decision', d))}
              >
                {d}
              </button>
            )
          })}
        </div>
      </form>
      {error !== undefined && <Problem error={error} again={() => load(undefined)} />}
      <div class={`split ${chosen === undefined ? '' : 'open'}`}>
        <div class="list">
          {rows.length > 0 && <Rows rows={rows} chosen={chosen} onChoose={choose} label="Rows found" />}
          {rows.length === 0 && !busy && error === undefined && (
            <Empty title={asked === '' ? 'The log is empty' : 'No row like that'}>
              <p>
                Fields: <code>check:</code> <code>decision:</code> <code>owner:</code> <code>owner_type:</code>{' '}
                <code>stage:</code> <code>exchange:</code> <code>since:</code> <code>until:</code>. Anything else is
                looked for in the rows' text.
              </p>
              {asked !== '' && <a href={addressOf('audit')}>Show all rows</a>}
            </Empty>
          )}
          {next !== null && (
            <button type="button" class="more" disabled={busy} onClick={() => load(next)}>
              {busy ? 'Reading…' : rows.length === 0 ? 'Look further back' : 'Older rows'}
            </button>
          )}
        </div>
        {chosen !== undefined && (
          <Chosen
            index={chosen}
            known={rows.find(r => r.index === chosen)}
            trust={trust}
            onClose={() => search(asked)}
          />
        )}
      </div>
    </>
  )
}

function Chosen(props: {
  readonly index: number
  readonly known: ShownRow | undefined
  readonly trust: Trust | undefined
  readonly onClose: () => void
}) {
  const { index, known, trust, onClose } = props
  const found = useLoaded(
    async () =>
      known ??
      (await api.rows(new URLSearchParams({ before: String(index + 1), limit: '1' }))).rows
        .map(readRow)
        .find(r => r.index === index),
    [index],
  )
  const shown = known ?? found.value
  return (
    <aside class="detail" aria-label={`Row ${index}`}>
      {shown === undefined ? (
        <p class="quiet">{found.error === undefined ? 'Reading…' : 'There is no such row.'}</p>
      ) : (
        <RowDetail key={index} shown={shown} trust={trust} onClose={onClose} />
      )}
    </aside>
  )
}
