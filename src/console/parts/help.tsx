import { useEffect, useRef } from 'preact/hooks'

export function Help({
  entries,
  onClose,
}: {
  readonly entries: readonly { readonly name: string; readonly key: string }[]
  readonly onClose: () => void
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const keys: readonly (readonly [string, string])[] = [
    ['j  k', 'next, previous'],
    ['Enter', 'open the chosen row'],
    ['a', 'approve what is shown; asks once more'],
    ['d', 'deny what is shown; asks why'],
    ['/', 'search the audit log'],
    ['Space', 'pause the live page'],
    ['Esc', 'close'],
    ...entries.map(e => [`g ${e.key}`, e.name] as const),
  ]
  return (
    <dialog ref={dialog} aria-labelledby="help" class="help" onClose={onClose} onCancel={onClose}>
      <h2 id="help">Keys</h2>
      <dl>
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(/\s+/).map(k => (
                <kbd key={k}>{k}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </dialog>
  )
}
