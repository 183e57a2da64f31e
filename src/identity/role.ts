/** What people may do at the control plane. */

/** Each may what the ones before it may. */
export const ROLES = ['viewer', 'approver', 'admin'] as const
export type Role = (typeof ROLES)[number]

export function higherRole(a: Role | undefined, b: Role | undefined): Role | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return ROLES.indexOf(a) >= ROLES.indexOf(b) ? a : b
}
