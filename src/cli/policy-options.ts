/** What a check's description says about one tool and one rule: the part of its options that decided. */

export interface Configured {
  /** The check's options, but for those of other tools. */
  readonly options: unknown
  readonly tool?: unknown
  readonly rule?: unknown
}

export function configuredFor(
  description: Readonly<Record<string, unknown>>,
  tool: string | undefined,
  rule: string | undefined,
): Configured {
  const { options } = description
  if (!isRecord(options)) return { options: options ?? null }
  const { registry, tools, ...rest } = options
  const entries: readonly unknown[] = Array.isArray(registry) ? registry : Array.isArray(tools) ? tools : []
  if (entries.length === 0) return { options }
  const named = (name: string | undefined) => entries.find(entry => isRecord(entry) && entry['tool'] === name)
  const entry = named(tool) ?? named('*')
  if (!isRecord(entry)) return { options: rest }
  const found = rule === undefined ? undefined : ruleIn(entry, rule)
  return { options: rest, tool: entry, ...(found === undefined ? {} : { rule: found }) }
}

function ruleIn(entry: Readonly<Record<string, unknown>>, rule: string): unknown {
  const policy = entry['arguments']
  if (isRecord(policy)) {
    const rules: readonly unknown[] = Array.isArray(policy['rules']) ? policy['rules'] : []
    const found = rules.find(each => isRecord(each) && each['id'] === rule)
    return found ?? (rule === 'schema' ? policy['schema'] : undefined)
  }
  return Object.hasOwn(entry, rule) ? entry[rule] : undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
