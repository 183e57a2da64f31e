/** Capabilities for whoever runs tools: no `node:` import, so this runs in Node, Deno, Bun, workers and browsers. Issuing is in `issue.ts`. */
export {
  buildJwks,
  type Ed25519Jwk,
  type FetchJwksOptions,
  fetchJwks,
  type JwksDocument,
  type KeySource,
  type RemoteJwksOptions,
  remoteJwks,
} from '../jws/jwks.ts'
export type { ToolArguments } from './arguments.ts'
export { CAPABILITY_TYP, type CapabilityClaims } from './claims.ts'
export { type CapabilityErrorCode, CapabilityInvalid } from './errors.ts'
export { type ExpressRequest, type ExpressResponse, expressCapability } from './express.ts'
export { type FastifyReply, type FastifyRequest, fastifyCapability } from './fastify.ts'
export { capabilityOf, type GuardedCall, type Handler, requireCapability } from './guard.ts'
export { type HonoContext, honoCapability } from './hono.ts'
export { CAPABILITY_HEADER } from './http.ts'
export { capabilityTransport, type McpTransport } from './mcp.ts'
export { GateRedeemer, type GateRedeemerOptions } from './redeem.ts'
export { type RedisCommands, type RedisReplayOptions, RedisReplayStore } from './redis-replay.ts'
export { type MemoryReplayOptions, MemoryReplayStore, type Outcome, type ReplayStore, type Use } from './replay.ts'
export {
  type CheckOptions,
  type ExecutorOptions,
  type PresentedCall,
  type VerifiedCapability,
  type VerifyCapabilityOptions,
  verifyCapability,
} from './verify.ts'
