/** The files of a new project. Keys are made here, for this project alone; no default key exists anywhere. */
import { randomBytes } from 'node:crypto'
import { VERSION } from '../config/version.ts'
import { SigningKey } from '../keys/signing.ts'

export interface ScaffoldFile {
  readonly name: string
  readonly text: string
  readonly mode: number
  /** Said when the file exists already and the project may not be whole without ours. */
  readonly skippedMatters?: string
}

export function scaffold(): readonly ScaffoldFile[] {
  return [
    { name: 'pipeline.ts', text: PIPELINE, mode: 0o644 },
    { name: '.env', text: env(randomBytes(32).toString('hex')), mode: 0o600 },
    { name: 'receipt-key.pem', text: SigningKey.generate().privatePem(), mode: 0o600 },
    { name: '.env.example', text: env(''), mode: 0o644 },
    {
      name: '.gitignore',
      text: GITIGNORE,
      mode: 0o644,
      skippedMatters: 'see that your .gitignore keeps .env, *.pem, *.jsonl* and .signet/ out of the repository',
    },
    { name: 'client-example.mjs', text: CLIENT, mode: 0o644 },
    { name: 'package.json', text: PACKAGE, mode: 0o644 },
    { name: 'tsconfig.json', text: TSCONFIG, mode: 0o644 },
  ]
}

const PIPELINE = `// The checks every exchange passes. This file is code: "signet serve" runs it.
// Any setting can stand beside "checks" (host, port, shadow, ...); flags and SIGNET_* variables override it.
import {
  ClassificationGateCheck,
  definePipeline,
  OwnerResolutionCheck,
  PromptInjectionCheck,
  RateLimitCheck,
  RegexOutputCheck,
  ScopeDriftCheck,
  SECRET_PATTERNS,
  TokenBudgetCheck,
  ToolCallInspectorCheck,
} from 'signet-gate'

export default definePipeline({
  checks: [
    // Nobody acts without an accountable owner.
    new OwnerResolutionCheck(),
    // Per owner: 60 requests at once, then one a second; 1,000,000 output tokens a day.
    new RateLimitCheck({ capacity: 60, refillPerSecond: 1 }),
    new TokenBudgetCheck({ cap: 1_000_000, window: 'day' }),
    // Nobody sees data above their clearance, and no answer drifts above the request's level.
    new ClassificationGateCheck(),
    new ScopeDriftCheck(),
    // Known ways of talking a model out of its instructions.
    new PromptInjectionCheck(),
    // Keys and tokens do not leave in an answer.
    new RegexOutputCheck({ patterns: SECRET_PATTERNS }),
    // What the model may do. A tool that is not named here is refused.
    new ToolCallInspectorCheck({
      registry: {
        // list_files: { riskTier: 'low' },
        // send_email: { riskTier: 'medium' },
        // issue_refund: { riskTier: 'high', irreversible: true },   // a human decides: 202
      },
    }),
  ],
})
`

function env(secret: string): string {
  const made = secret !== ''
  return `# Settings of the gate. ${made ? 'This file holds secrets: keep it out of the repository.' : 'Copy to .env (chmod 600) and fill in, or run "signet init".'}
# What is set here counts before the same setting in pipeline.ts.

# The model API, and where the gate listens; these are the defaults.
# SIGNET_UPSTREAM_URL=http://localhost:11434/v1
# SIGNET_HOST=127.0.0.1
# SIGNET_PORT=8443
# The model provider's key, if callers do not bring their own.
SIGNET_UPSTREAM_API_KEY=

# Signs the audit log. 32 bytes of hex: signet keys generate --kind hmac
SIGNET_HMAC_SECRET=${secret}
SIGNET_HMAC_KEY_ID=k1
SIGNET_AUDIT_LOG_PATH=audit.jsonl

# Signs receipts: signet keys generate --kind ed25519 --out receipt-key.pem
SIGNET_RECEIPT_KEY_FILE=receipt-key.pem

# Outside --dev, say how callers are known: "identity" in pipeline.ts (tokens, API keys, client certificates, a proxy), or
# "asserted", which believes the owner headers: put real authentication in front.
# SIGNET_IDENTITY=asserted
`
}

const GITIGNORE = `.env
.env.*
!.env.example
*.pem
*.jsonl
*.jsonl.*
.signet/
node_modules/
`

const CLIENT = `// A call through the gate, with nothing but Node. Run: node client-example.mjs ["a question"]
const gate = process.env.GATE_URL ?? 'http://127.0.0.1:8443/v1'

const response = await fetch(\`\${gate}/chat/completions\`, {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    'x-commit-owner': 'human:alice@example.com', // who answers for this call; without it the gate refuses
    ...(process.env.OPENAI_API_KEY ? { authorization: \`Bearer \${process.env.OPENAI_API_KEY}\` } : {}),
  },
  body: JSON.stringify({
    model: process.env.MODEL ?? 'llama3.2:1b',
    messages: [{ role: 'user', content: process.argv[2] ?? 'Say hello in one sentence.' }],
  }),
}).catch(() => {
  console.error(\`no gate answers at \${gate}; start it first: npx signet serve --upstream demo --dev\`)
  process.exit(2)
})

console.log('status        ', response.status)
for (const name of ['x-signet-upstream', 'x-signet-correlation-id', 'x-signet-receipt']) {
  console.log(name.replace('x-signet-', '').padEnd(14), response.headers.get(name) ?? '-')
}
console.log(JSON.stringify(await response.json(), null, 2))

// The same with the OpenAI SDK (npm install openai):
//
//   import OpenAI from 'openai'
//   const client = new OpenAI({
//     baseURL: gate,
//     apiKey: process.env.OPENAI_API_KEY ?? 'none',
//     defaultHeaders: { 'X-Commit-Owner': 'human:alice@example.com' },
//   })
//   await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }] })
`

const PACKAGE = `${JSON.stringify(
  {
    private: true,
    type: 'module',
    scripts: { gate: 'signet serve --dev', lint: 'signet lint --strict' },
    dependencies: { 'signet-gate': `^${VERSION}` },
  },
  null,
  2,
)}
`

// Node runs the pipeline as it is; this is for editors and for `npx tsc`, which checks it and writes nothing.
const TSCONFIG = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'es2024',
      module: 'nodenext',
      types: ['node'],
      strict: true,
      noEmit: true,
      erasableSyntaxOnly: true,
      allowImportingTsExtensions: true,
    },
    include: ['*.ts'],
  },
  null,
  2,
)}
`
