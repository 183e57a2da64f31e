/** The two reference plugins, and how packages that offer checks are found. */

export {
  PluginCatalog,
  type PluginCatalogOptions,
  type PluginReport,
  type PluginRow,
  type PluginStatus,
  reportOf,
} from './discover.ts'
export type { Egress, EgressAnswer, EgressCode, EgressRequest } from './egress.ts'
export { EgressFailed } from './egress.ts'
export { adoptCheck, type LoadedPlugin, PluginUnavailable, type PluginUnavailableCode } from './load.ts'
export {
  FLAG_WORDS,
  SandboxPreviewCheck,
  type SandboxPreviewOptions,
  type SandboxResult,
  type SandboxRunner,
} from './sandbox-preview.ts'
export { readVerdict, TribunalCheck, type TribunalOptions } from './tribunal.ts'
