/** Signing in: the credential is shown once, for a session that ends by itself. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api, Refused, type Session } from '../api.ts'
import mark from '../mark.svg'

export function SignIn({ because, onSession }: { readonly because: string; readonly onSession: (s: Session) => void }) {
  const field = useRef<HTMLInputElement>(null)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')
  const secure = isSecureContext
  useEffect(() => field.current?.focus(), [])
  const submit = (event: SubmitEvent): void => {
    event.preventDefault()
    const token = field.current?.value.trim().replace(/^Bearer\s+/i, '') ?? ''
    if (!/^[\x21-\x7e]+$/.test(token)) {
      setProblem(token === '' ? 'Paste a token first.' : 'A token has no spaces and no characters beyond ASCII.')
      return
    }
    setBusy(true)
    setProblem('')
    api.signIn(token).then(onSession, (error: unknown) => {
      setBusy(false)
      setProblem(why(error))
      field.current?.select()
    })
  }
  return (
    <main class="signin">
      <form onSubmit={submit}>
        <img src={mark} width="36" height="36" alt="" />
        <h1>Sign in to signet</h1>
        {because !== '' && <p class="note">{because}</p>}
        {!secure && (
          <p class="note warn">
            This page came over plain http from another machine. Browsers then verify nothing here: use https, or open
            it on the machine itself.
          </p>
        )}
        <label for="token">Token</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          aria-describedby="where"
          aria-invalid={problem !== ''}
        />
        {problem !== '' && (
          <p class="wrong" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
        <p id="where" class="quiet">
          A key of this gate, or a token of your identity provider. With <code>--dev</code> it is in{' '}
          <code>.signet/approver.token</code>. It is sent once and not kept; the session ends with this tab.
        </p>
      </form>
    </main>
  )
}

function why(error: unknown): string {
  if (!(error instanceof Refused)) return 'The control plane does not answer. Is the gate running?'
  switch (error.code) {
    case 'credential_invalid':
      return 'That token is not known here: wrong, of another audience, or expired.'
    case 'not_allowed':
      return 'The token is good, but its owner has no role here. An operator can add it to viewers, approvers or admins.'
    case 'acting_for_another':
      return 'A token that speaks for somebody else opens nothing here. Use your own.'
    default:
      return error.message
  }
}
