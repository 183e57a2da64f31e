import type { Special } from './surface.ts'

export const RESPONSES_SPECIALS: readonly Special[] = []
