/**
 * Credentials that have an unmistakable form, for `regex_output` and `regex_content`. Each is bounded and begins with a
 * fixed prefix, so ordinary text never waits for them. Forms that ordinary text also has (JSON web tokens in tutorials,
 * bare hexadecimal, `password=…`) are left out on purpose.
 */
import type { Pattern } from './pattern.ts'

const TOKEN_START = '(?<![A-Za-z0-9_])'
const LINE = '(?:\\\\[nr]|\\s)'

function secret(label: string, pattern: string): Pattern {
  return Object.freeze({ label, pattern, action: 'redact', replacement: `[REDACTED ${label}]` })
}

export const SECRET_PATTERNS: readonly Pattern[] = Object.freeze([
  // RFC 7468. A header alone is no key: 32 characters of base64 must follow it. The END line may be missing.
  secret(
    'private key',
    `-----BEGIN [A-Z ]{0,24}PRIVATE KEY(?: BLOCK)?-----${LINE}{0,8}[A-Za-z0-9+/=]{32}[A-Za-z0-9+/=\\s\\\\]{0,4096}(?:-----END [A-Z ]{0,24}PRIVATE KEY(?: BLOCK)?-----)?`,
  ),
  secret('AWS access key id', '(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])'),
  secret('GitHub token', `${TOKEN_START}(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})`),
  secret('GitLab token', `${TOKEN_START}glpat-[A-Za-z0-9_-]{20,64}`),
  secret('Slack token', `${TOKEN_START}xox[abeoprs]-[0-9][A-Za-z0-9-]{10,250}`),
  secret('Anthropic key', `${TOKEN_START}sk-ant-[a-z0-9]{2,10}-[A-Za-z0-9_-]{20,200}`),
  secret('OpenAI key', `${TOKEN_START}sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,200}`),
  secret('OpenAI key', `${TOKEN_START}sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}`),
  secret('Stripe key', `${TOKEN_START}(?:sk|rk)_live_[A-Za-z0-9]{16,247}`),
  secret('Google API key', `${TOKEN_START}AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])`),
  secret('npm token', `${TOKEN_START}npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])`),
])
