/** A field name in a pointer. Pointers are recorded, so a name that could itself be a message is not repeated in one. */
export function pointerLabel(key: string): string {
  return key.length <= 48 && /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key) ? key : '?'
}
