/** What rows can be filtered by. On its own: the command line knows it before it loads anything that reads rows. */
export const FILTER_FIELDS = ['check', 'decision', 'owner_type', 'owner', 'stage', 'exchange'] as const
export type FilterField = (typeof FILTER_FIELDS)[number]
