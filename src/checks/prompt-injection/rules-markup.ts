/**
 * Rules over the original text in lower case: forged chat templates and role headers, hidden text direction, and the phrases that
 * poison documents, tool results and tool descriptions.
 */
import type { InjectionRule } from './rule.ts'

const ORDER =
  '(?:you are|you must|you will|you have|ignore|disregard|forget|override|new instructions?|from now on|do not follow|act as|reveal|execute|always|never|the user|the assistant|all previous|previous)'
const READER =
  '(?:ai|a\\.i\\.|llms?|large language models?|language models?|ai models?|ai assistants?|ai agents?|virtual assistant|assistants?|agents?|chatbots?|chatgpt|gpt-?4|claude|gemini|copilot|bots?)'
const SECRET_FILE =
  '(?:\\.ssh|id_rsa|\\.cursor|mcp\\.json|/etc/passwd|\\.env\\b|\\.aws|credentials|api[ _-]?keys?|private key|secrets?|tokens?|password)'

export const BIDI_RULE: InjectionRule = {
  name: 'bidi_override',
  severity: 'high',
  stems: [],
  // Right-to-left override in front of Latin letters shows them backwards; a left-to-right override inside a Latin word hides a cut.
  pattern: /\u202e[^\p{L}\u202c]{0,3}\p{Script=Latin}|\p{Script=Latin}\u202d\p{Script=Latin}/u,
}

export const MARKUP_RULES: readonly InjectionRule[] = [
  {
    name: 'inline_system_role',
    severity: 'high',
    stems: [['im', 'system', 'header', 'sys', 'turn']],
    pattern:
      /<\|{1,2}\s{0,3}(?:im_start|im_sep|system|start_header_id)\s{0,3}\|{1,2}>|<<sys>>|<start_of_turn>\s{0,3}(?:system|developer|model)|\[system\]\s{0,3}\(#(?:instructions|context|additional_instructions)\)|\{\[?system\]?:\s{0,3}all/,
  },
  {
    name: 'inline_role_marker',
    severity: 'medium',
    stems: [
      ['system', 'developer', 'assistant'],
      [
        'you',
        'ignor',
        'disregard',
        'forget',
        'overrid',
        'new',
        'from',
        'do',
        'act',
        'reveal',
        'execut',
        'always',
        'never',
        'the',
        'all',
        'previous',
      ],
    ],
    pattern: new RegExp(
      `(?:^|\\n)[ \\t>#*\\[<]{0,8}(?:system|developer|new system|system prompt|system message|assistant)(?: ?(?:message|prompt|note|instructions?|override))?[\\]*>]{0,3} ?:[ \\t*]{0,4}\\n?[ \\t]{0,4}(?:please |now |important[:,!] ?)?${ORDER}(?![a-z])(?<!assistant[\\]*>]{0,3} ?:[ \\t*]{0,4}\\n?[ \\t]{0,4}(?:you (?:are|must|will|have)|always|never|the user|the assistant|previous))`,
    ),
  },
  {
    name: 'reader_addressed',
    severity: 'high',
    stems: [
      [
        'system',
        'hidden',
        'secret',
        'special',
        'urgent',
        'private',
        'note',
        'message',
        'attention',
        'instruct',
        'important',
        'critical',
        'you',
      ],
      [
        'ai',
        'llm',
        'model',
        'assistant',
        'agent',
        'bot',
        'gpt',
        'claude',
        'gemini',
        'copilot',
        'conversation',
        'chat',
        'prompt',
        'key',
        'passw',
        'credential',
        'user',
        'all',
      ],
      [
        'system',
        'hidden',
        'secret',
        'special',
        'urgent',
        'private',
        'ignor',
        'disregard',
        'forget',
        'overrid',
        'instead',
        'not',
        'exfil',
        'transfer',
        'forward',
        'send',
        'must',
        'recommend',
        'append',
        'upload',
        'transmit',
        'email',
        'post',
      ],
    ],
    pattern: new RegExp(
      [
        `system (?:note|notice|message|alert|instruction|update|directive)s?\\b[^.\\n]{0,16}\\b(?:to|for) (?:the |any |all |every |this )?${READER}\\b`,
        `(?:hidden|secret|special|urgent|private) (?:note|message|instruction|command|directive)s? (?:to|for) (?:the |any |all |every )?${READER}\\b`,
        `(?:note|message|attention|instructions?|important)(?: (?:to|for))?:? (?:the |any |all |every )?(?:ai|llms?|language models?|ai (?:models?|assistants?|agents?)|chatbots?|assistant)(?: (?:assistants?|agents?|models?|systems?|reading this|processing this))?[^.\\n]{0,20}[:,.!\\-\\n][^\\n]{0,60}\\b(?:ignore|disregard|forget|override|do not (?:tell|mention|inform|reveal)|instead of|exfiltrate|transfer|forward (?:all|the|this|every)|send (?:all|the|this|every|an email))\\b`,
        `if you(?:'re| are) (?:an? |the )?(?:ai|llm|large language model|language model|chatbot|assistant)\\b[^.\\n]{0,60}(?:ignore|disregard|forget (?:all|your|every)|you must|instead (?:of|say|write|respond|output)|recommend|append|override)`,
        `(?:important|urgent|critical)[!:.*\\s]{1,6}(?:you must |please |first |immediately |before (?:answering|continuing|doing anything)[^.\\n]{0,40}|then ){0,2}(?:send|forward|email|upload|post|transmit|exfiltrate)\\b[^.\\n]{0,80}\\b(?:conversation|chat history|system prompt|api keys?|passwords?|credentials|user(?:'s)? (?:data|messages|files|emails)|all (?:emails|messages|files|data))\\b[^.\\n]{0,60}\\b(?:to|at)\\b`,
      ].join('|'),
    ),
  },
  {
    name: 'tool_poisoning',
    severity: 'high',
    stems: [
      [
        'important',
        'system',
        'secret',
        'instruct',
        'tell',
        'mention',
        'inform',
        'notif',
        'alert',
        'read',
        'open',
        'cat',
        'send',
        'pass',
        'include',
        'append',
      ],
      [
        'ssh',
        'rsa',
        'cursor',
        'mcp',
        'etc',
        'env',
        'aws',
        'credential',
        'key',
        'secret',
        'token',
        'passw',
        'tell',
        'mention',
        'ignor',
        'reveal',
        'show',
        'let',
        'inform',
        'notif',
      ],
    ],
    pattern: new RegExp(
      [
        `<(?:important|system|secret|instructions?)>[\\s\\S]{0,300}(?:${SECRET_FILE}|(?:do not|don't|never|without) (?:tell|mention|inform|notif|reveal|show|let)[a-z]{0,4}|ignore (?:all|any|previous|the))`,
        `(?:do not|don't|never|without) (?:tell|mention|inform|notify|telling|mentioning|informing|notifying|alert|alerting)(?: (?:any of )?(?:this|that|it|these))?(?: (?:to|about))? ?(?:the )?user[^\\n]{0,200}${SECRET_FILE}`,
        `(?:read|open|cat|send|pass|include|append)[^.\\n]{0,40}(?:\\.ssh|id_rsa|\\.cursor|mcp\\.json)[^\\n]{0,200}(?:sidenote|side note|parameter|argument|(?:do not|don't|never|without) (?:tell|mention|inform|notif))`,
      ].join('|'),
    ),
  },
  {
    name: 'image_exfiltration',
    severity: 'high',
    stems: [['http']],
    pattern:
      /!\[[^\]\n]{0,80}\]\(https?:\/\/[^)\s]{1,200}[?&/=](?:\{|<|%7b|\[|\$\{?)[^)\n]{0,20}(?:conversation|history|summary|secret|prompt|data|message|user|chat|password|email|key)/,
  },
]

/** Only in tool results: what a web page, a file or an e-mail has no business saying to a model. */
export const TOOL_RESULT_RULES: readonly InjectionRule[] = [
  {
    name: 'tool_result_instructions',
    severity: 'high',
    stems: [['important', 'system', 'information', 'user', 'task', 'instruct', 'goal', 'objective']],
    pattern: new RegExp(
      [
        '<(?:information|important|system)>\\s{0,10}(?:this is an important message|important|hi,? |hello|please|you must|before|ignore)',
        `(?:do not|don't|never) (?:tell|mention|inform|notify|alert)(?: (?:any of )?(?:this|that|it|these))?(?: (?:to|about))? ?the user\\b`,
        '(?:^|\\n)[ \\t]{0,8}thought: (?:the )?task is complete',
        'you must strictly adhere to the following instruction',
        'this is an important message from (?:me|the user|your user|\\w{1,20}), ?(?:to you|the user)',
        '(?:your|the) new (?:task|goal|objective|instructions?) (?:is|are)(?: now)?(?: to|:)',
      ].join('|'),
    ),
  },
]
