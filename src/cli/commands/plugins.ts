/** `signet plugins`: what the installed packages offer. Reads package.json only; no plugin code runs. */
import type { Context, Register } from '../context.ts'

export const registerPlugins: Register = (program, context) => {
  void program
  void context
}
