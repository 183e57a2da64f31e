/** Signing in: at the identity provider, or with a credential that is shown once, for a session that ends by itself. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api, Refused, type Session } from '../api.ts'
import mark from '../mark.svg'
import { leave, NotBegunHere } from '../sign-in.ts'

export function SignIn({
  because,
  failed,
  onSession,
}: {
  readonly because: string
  /** Why coming back from the identity provider came to nothing. */
  readonly failed: unknown
  readonly onSession: (s: Session) => void
}) {
  const field = useRef<HTMLInputElement>(null)
  const [issuer, setIssuer] = useState('')
  const [busy, setBusy] = useState<'' | 'token' | 'issuer'>('')
  const [problem, setProblem] = useState('')
  const [refused, setRefused] = useState(failed === undefined ? '' : whyNotBack(failed))
  const secure = isSecureContext
  useEffect(() => {
    api.ways().then(
      ways => {
        setIssuer(ways.issuer ?? '')
        if (ways.issuer === null) field.current?.focus()
      },
      () => field.current?.focus(),
    )
  }, [])
  const submit = (event: SubmitEvent): void => {
    event.preventDefault()
    const token = field.current?.value.trim().replace(/^Bearer\s+/i, '') ?? ''
    if (!/^[\x21-\x7e]+$/.test(token)) {
      setProblem(token === '' ? 'Paste a token first.' : 'A token has no spaces and no characters beyond ASCII.')
      return
    }
    setBusy('token')
    setProblem('')
    api.signIn(token).then(onSession, (error: unknown) => {
      setBusy('')
      setProblem(why(error))
      field.current?.select()
    })
  }
  const go = (): void => {
    setBusy('issuer')
    setRefused('')
    leave().catch((error: unknown) => {
      setBusy('')
      setRefused(whyNotBack(error))
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
        {refused !== '' && (
          <p class="wrong" role="alert">
            {refused}
          </p>
        )}
        {issuer !== '' && (
          <>
            <button type="button" class="primary" disabled={busy !== ''} onClick={go}>
              {busy === 'issuer' ? 'Leaving…' : `Continue with ${issuer}`}
            </button>
            <p class="or quiet">or with a token</p>
          </>
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
        <button type="submit" class={issuer === '' ? 'primary' : ''} disabled={busy !== ''}>
          {busy === 'token' ? 'Signing in…' : 'Sign in'}
        </button>
        <p id="where" class="quiet">
          A key of this gate, or a token of your identity provider. With <code>--dev</code> it is in{' '}
          <code>.signet/approver.token</code>. It is sent once and not kept; the session ends with this tab.
        </p>
      </form>
    </main>
  )
}

const SILENT = 'The control plane does not answer. Is the gate running?'

function why(error: unknown): string {
  if (!(error instanceof Refused)) return SILENT
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

/** RFC 6749 4.1.2.1, OpenID Connect Core 1.0 3.1.2.6. */
const SAID: Readonly<Record<string, string>> = {
  access_denied: 'You, or your identity provider, said no to this sign-in.',
  login_required: 'Your identity provider wants you to sign in there first.',
  consent_required: 'Your identity provider wants your consent first.',
  interaction_required: 'Your identity provider wants something more of you first.',
  account_selection_required: 'Your identity provider wants you to choose an account first.',
  temporarily_unavailable: 'Your identity provider has too much to do. Try again in a while.',
  server_error: 'Something went wrong at your identity provider. Try again in a while.',
  invalid_scope: 'Your identity provider does not know a scope that this gate asks for. Tell its operator.',
  unauthorized_client: 'Your identity provider does not let this gate sign people in. Tell its operator.',
  invalid_client: 'Your identity provider does not know this gate by its client id and secret. Tell its operator.',
}

function whyNotBack(error: unknown): string {
  if (error instanceof NotBegunHere)
    return 'This sign-in was not begun in this tab, so it does not count. Begin again here.'
  if (!(error instanceof Refused)) return SILENT
  const said = error.issuerError === undefined ? undefined : SAID[error.issuerError]
  switch (error.code) {
    case 'sign_in_unknown':
      return 'This sign-in took too long, or was used already. Begin again.'
    case 'state_mismatch':
      return 'That was not the answer to the sign-in you began. Begin again.'
    case 'issuer_mismatch':
      return 'That answer came from another identity provider than the one that was asked. Begin again, and tell an operator.'
    case 'issuer_refused':
      return said ?? 'Your identity provider did not sign you in.'
    case 'code_refused':
      return said ?? 'Your identity provider did not confirm this sign-in to the gate. Begin again.'
    case 'response_invalid':
    case 'tokens_invalid':
      return 'The answer of your identity provider does not hold here. Tell an operator: the log says why.'
    case 'credential_invalid':
      return 'Your identity provider signed you in, but its token is not one for this gate. Tell an operator.'
    case 'not_allowed':
      return 'You are signed in at your identity provider, but have no role here. An operator can give you one.'
    case 'acting_for_another':
      return 'Your identity provider gave a token that speaks for somebody else, and that opens nothing here.'
    case 'identity_unavailable':
      return 'Your identity provider cannot be reached from the gate. Try again in a while.'
    default:
      return error.message
  }
}
