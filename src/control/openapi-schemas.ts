/** What the control plane's API takes and gives, as JSON Schema 2020-12. */
import type { HookStage } from '../core/timing.ts'

/** Written out: where this stands in the published program, no constant of another file is there yet. */
const STAGES: readonly HookStage[] = ['admission', 'inspection', 'commitment', 'record']
const escalation = { $ref: '#/components/schemas/Escalation' }

export const SCHEMAS = {
  State: { type: 'string', enum: ['pending', 'approved', 'denied', 'expired', 'released'] },
  Person: {
    type: 'object',
    required: ['principal', 'role', 'by'],
    properties: {
      principal: { type: 'string' },
      by: { type: 'string', description: 'How the credential is known: the name of the strategy or of the issuer.' },
      role: { type: 'string', enum: ['viewer', 'approver', 'admin'] },
      session_ends_at: {
        type: ['string', 'null'],
        format: 'date-time',
        description: 'If nobody does anything; `null` where the credential itself was shown.',
      },
    },
  },
  Problem: {
    type: 'object',
    required: ['error'],
    properties: { error: { type: 'string' }, description: { type: 'string' }, escalation },
  },
  Call: {
    type: 'object',
    required: ['id', 'tool', 'tier', 'arguments_digest', 'audience'],
    properties: {
      id: { type: 'string' },
      tool: { type: 'string' },
      tier: { type: ['string', 'null'], description: 'As the check that held it rates the tool.' },
      arguments: {
        type: 'string',
        description: 'What the model wrote; controls and invisible characters are escaped.',
      },
      arguments_digest: { type: 'string' },
      audience: { type: ['string', 'null'] },
    },
  },
  Decision: {
    type: 'object',
    required: ['approver', 'decision', 'by', 'at', 'reason', 'evidence_digest'],
    properties: {
      approver: { type: 'string' },
      decision: { type: 'string', enum: ['approve', 'deny'] },
      by: { type: 'string' },
      at: { type: 'string', format: 'date-time' },
      reason: { type: ['string', 'null'] },
      evidence_digest: {
        type: ['string', 'null'],
        description: "Of the passkey's signature; the row of the decision holds it too.",
      },
    },
  },
  Escalation: {
    type: 'object',
    required: [
      'id',
      'state',
      'stage',
      'owner',
      'digest',
      'calls',
      'current_approvers',
      'may_decide',
      'passkey_required',
      'expires_at',
    ],
    properties: {
      id: { type: 'string', format: 'uuid' },
      state: { $ref: '#/components/schemas/State' },
      stage: { type: 'string', enum: ['admission', 'commitment'] },
      exchange: { type: 'string' },
      owner: { type: 'string' },
      owner_authenticated_by: { type: 'string' },
      surface: { type: 'string' },
      upstream: { type: 'string' },
      check: { type: 'string' },
      reason: { type: 'string' },
      policy_digest: { type: 'string' },
      request_digest: { type: 'string' },
      digest: { type: 'string' },
      created_at: { type: 'string', format: 'date-time' },
      expires_at: { type: 'string', format: 'date-time' },
      rule: {
        type: 'object',
        required: ['kind', 'approvers'],
        properties: {
          kind: { type: 'string', enum: ['chain', 'quorum'] },
          approvers: { type: 'array', items: { type: 'string' } },
          needed: { type: 'integer' },
          auth: { type: 'string', enum: ['passkey'] },
        },
      },
      passkey_required: { type: 'boolean' },
      current_approvers: { type: 'array', items: { type: 'string' } },
      may_decide: { type: 'boolean' },
      calls: { type: 'array', items: { $ref: '#/components/schemas/Call' } },
      decisions: { type: 'array', items: { $ref: '#/components/schemas/Decision' } },
    },
  },
  Proposal: {
    type: 'object',
    required: ['digest', 'shown', 'arguments', 'similar'],
    properties: {
      digest: { type: 'string' },
      shown: { type: 'object', description: 'The digest is over the RFC 8785 form of this.' },
      arguments: {
        type: 'array',
        items: { type: 'string' },
        description: 'As the model wrote them, call by call; each has the digest that `shown` names.',
      },
      similar: {
        type: 'array',
        items: {
          type: ['object', 'null'],
          required: ['escalation', 'state', 'same_owner', 'created_at', 'arguments'],
          properties: {
            escalation: { type: 'string', format: 'uuid' },
            state: { $ref: '#/components/schemas/State' },
            same_owner: { type: 'boolean' },
            created_at: { type: 'string', format: 'date-time' },
            arguments: { type: 'string' },
          },
        },
      },
    },
  },
  Session: {
    type: 'object',
    required: ['token', 'principal', 'role', 'by', 'expires_at', 'idle_s'],
    properties: {
      token: { type: 'string', description: 'For the Authorization header, as a bearer token. Told once.' },
      principal: { type: 'string' },
      role: { type: 'string', enum: ['viewer', 'approver', 'admin'] },
      by: { type: 'string' },
      expires_at: { type: 'string', format: 'date-time' },
      idle_s: { type: 'integer', description: 'It ends sooner when nobody does anything for so long.' },
    },
  },
  Rows: {
    type: 'object',
    required: ['rows', 'size', 'next'],
    properties: {
      rows: {
        type: 'array',
        items: {
          type: 'object',
          required: ['index', 'line'],
          properties: {
            index: { type: 'integer', description: 'Its place in the log, and of its leaf in the transparency log.' },
            line: { type: 'string', description: 'The row as it is stored, byte for byte.' },
          },
        },
      },
      size: { type: 'integer' },
      next: { type: ['integer', 'null'], description: 'Ask with it as `before` for older ones.' },
    },
  },
  Counts: {
    type: 'object',
    required: ['allow', 'redact', 'escalate', 'block'],
    properties: {
      allow: { type: 'integer' },
      redact: { type: 'integer' },
      escalate: { type: 'integer' },
      block: { type: 'integer' },
    },
  },
  Overview: {
    type: 'object',
    required: ['fromMs', 'bucketMs', 'decisions', 'requests', 'completed', 'checks', 'sample'],
    properties: {
      fromMs: { type: 'integer' },
      bucketMs: { type: 'integer' },
      decisions: { type: 'array', items: { $ref: '#/components/schemas/Counts' } },
      requests: { type: 'array', items: { type: 'integer' } },
      completed: { type: 'array', items: { type: 'integer' } },
      checks: { type: 'array', items: { $ref: '#/components/schemas/Counts' } },
      sample: {
        type: 'object',
        description: 'From the newest rows alone, as many as one question reads; `sinceMs` says from when on.',
        required: ['sinceMs', 'whole', 'latency', 'tokens', 'owners'],
      },
    },
  },
  Pipeline: {
    type: 'object',
    required: ['policy_digest', 'shadow', 'source', 'upstream', 'identity', 'checks'],
    properties: {
      policy_digest: { type: 'string' },
      shadow: { type: 'boolean' },
      source: { type: 'string' },
      upstream: { type: 'string' },
      identity: { type: 'object' },
      checks: {
        type: 'array',
        items: {
          type: 'object',
          required: ['name', 'priority', 'time_limit_ms', 'shadow', 'stages', 'options', 'times'],
          properties: {
            times: {
              type: 'array',
              description: 'How long it took to answer since the gate started, by stage; read off a histogram.',
              items: {
                type: 'object',
                required: ['stage', 'n', 'p50_ms', 'p95_ms', 'max_ms'],
                properties: {
                  stage: { type: 'string', enum: STAGES },
                  n: { type: 'integer', description: 'At inspection, pieces of channels; else calls.' },
                  p50_ms: { type: 'number' },
                  p95_ms: { type: 'number' },
                  max_ms: { type: 'number' },
                },
              },
            },
          },
        },
      },
    },
  },
  Trust: {
    type: 'object',
    description: 'What receipts and proofs are verified with, as this gate says: compare it with what you were told.',
    required: ['receipts', 'log'],
    properties: {
      receipts: { type: ['object', 'null'], required: ['issuer', 'header', 'form', 'jwks'] },
      log: { type: ['object', 'null'], required: ['origin', 'key'] },
    },
  },
  Health: {
    type: 'object',
    required: ['version', 'started_at', 'audit', 'load', 'chain_keys', 'receipt_keys', 'capability_keys', 'log'],
    properties: {
      version: { type: 'string' },
      started_at: { type: 'string', format: 'date-time' },
      audit: { type: 'object' },
      load: { type: 'object' },
      chain_keys: { type: 'object', description: 'Names, no keys.' },
      receipt_keys: { type: ['object', 'null'] },
      capability_keys: { type: ['object', 'null'], description: 'Null where no tool has an audience.' },
      log: { type: ['object', 'null'] },
    },
  },
  Passkey: {
    type: 'object',
    required: ['id', 'principal', 'name', 'created_at', 'aaguid', 'synced', 'transports'],
    properties: {
      id: { type: 'string', description: 'The credential id, in base64url.' },
      principal: { type: 'string' },
      name: { type: 'string' },
      created_at: { type: 'string', format: 'date-time' },
      aaguid: { type: 'string' },
      synced: { type: 'boolean', description: 'It lives in more than one device.' },
      transports: { type: 'array', items: { type: 'string' } },
    },
  },
  CreationOptions: {
    type: 'object',
    description: 'PublicKeyCredentialCreationOptionsJSON: for PublicKeyCredential.parseCreationOptionsFromJSON.',
    required: ['challenge', 'rp', 'user', 'pubKeyCredParams'],
    properties: { challenge: { type: 'string' } },
  },
  RequestOptions: {
    type: 'object',
    description: 'PublicKeyCredentialRequestOptionsJSON: for PublicKeyCredential.parseRequestOptionsFromJSON.',
    required: ['challenge', 'rpId', 'allowCredentials', 'userVerification'],
    properties: { challenge: { type: 'string' }, rpId: { type: 'string' } },
  },
  Evidence: {
    type: 'object',
    description: 'Everything that `signet escalations evidence` verifies, without the gate.',
    required: ['v', 'escalation', 'state', 'digest', 'shown', 'rule', 'decisions'],
    properties: {
      v: { const: 1 },
      escalation: { type: 'string', format: 'uuid' },
      state: { $ref: '#/components/schemas/State' },
      digest: { type: 'string' },
      shown: { type: 'object', description: 'The digest is over the RFC 8785 form of this.' },
      rule: { type: 'object' },
      decisions: {
        type: 'array',
        items: {
          type: 'object',
          required: ['approver', 'decision', 'by', 'at_ms', 'digest', 'reason', 'evidence', 'evidence_digest'],
          properties: { evidence: { type: ['object', 'null'] }, evidence_digest: { type: ['string', 'null'] } },
        },
      },
    },
  },
}
