export type { InjectionAction, PromptInjectionOptions } from './prompt-injection/check.ts'
export { PromptInjectionCheck } from './prompt-injection/check.ts'
