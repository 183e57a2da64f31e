/** Every parser that reads what somebody else wrote. */
import type { Target } from './target.ts'
import { answers } from './targets/answers.ts'
import { toolArguments } from './targets/arguments.ts'
import { auditHead, auditRow } from './targets/audit.ts'
import { baseUrl, env } from './targets/config.ts'
import { headers, principal } from './targets/headers.ts'
import { json } from './targets/json.ts'
import { assertion, evidence, registration } from './targets/passkeys.ts'
import { requests } from './targets/requests.ts'
import { slackInteraction } from './targets/slack.ts'
import { sse } from './targets/sse.ts'
import { classification, patterns } from './targets/text.ts'
import { claims, jwks, jwt, pem, receipts, signetV1 } from './targets/tokens.ts'

export const TARGETS: readonly Target[] = [
  json,
  sse,
  ...requests,
  ...answers,
  toolArguments,
  headers,
  principal,
  jwt,
  claims,
  jwks,
  receipts,
  signetV1,
  pem,
  assertion,
  evidence,
  registration,
  auditRow,
  auditHead,
  env,
  baseUrl,
  slackInteraction,
  classification,
  patterns,
]
