/** The tools the demo model knows. The default demo pipeline registers the same names with the same tiers. */

export interface DemoTool {
  readonly name: string
  readonly description: string
  readonly tier: 'low' | 'medium' | 'high' | 'critical'
  readonly reversible: boolean
  /** JSON Schema of the arguments, as OpenAI's `tools[].function.parameters` takes it. */
  readonly parameters: Readonly<Record<string, unknown>>
}

function object(properties: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

const TEXT = { type: 'string' } as const
const NUMBER = { type: 'number' } as const

export const DEMO_TOOLS: readonly DemoTool[] = [
  {
    name: 'get_weather',
    description: 'Current weather of a city.',
    tier: 'low',
    reversible: true,
    parameters: object({ city: TEXT }),
  },
  {
    name: 'search_orders',
    description: 'Find orders by customer, number or text.',
    tier: 'low',
    reversible: true,
    parameters: object({ query: TEXT }),
  },
  {
    name: 'send_email',
    description: 'Send an e-mail.',
    tier: 'medium',
    reversible: false,
    parameters: object({ to: TEXT, subject: TEXT, body: TEXT }),
  },
  {
    name: 'issue_refund',
    description: 'Pay money back to an account.',
    tier: 'high',
    reversible: false,
    parameters: object({ amount: NUMBER, account: TEXT }),
  },
  {
    name: 'delete_account',
    description: 'Delete a customer account for good.',
    tier: 'critical',
    reversible: false,
    parameters: object({ account: TEXT }),
  },
]
