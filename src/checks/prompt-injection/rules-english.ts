/**
 * The English rules, over folded lower-case text. A rule wants the whole gesture (an override verb, what it is aimed at, and whose
 * it is), never a lone word: "ignore the typos in my previous messages" and "forget your umbrella" are ordinary sentences.
 *
 * Every quantifier is bounded, so a rule costs a bounded number of steps per character.
 */
import type { InjectionRule } from './rule.ts'

const words = (list: string): string => list.trim().split(/\s+/).join('|').replaceAll('_', '[^a-z0-9]{1,3}')

/** What may stand between two words of one gesture: not the end of a sentence, but markup, quotes and line breaks. */
const GAP = '[^a-z0-9.!?;]{1,12}'

const FILL = words(`
  all any every each of the these those this that my our other others and or about to with everything anything else both such
  entire whole set list please just also only from in given provided stated written preset pre defined predefined default basic
  said same usual normal specific strict internal hidden secret now safely completely totally entirely fully above-mentioned
  kind sort kinds sorts more two three four five them it us as well`)
const OWNED = words(`
  previous prior preceding earlier above foregoing aforementioned aforesaid initial original existing former past last old preceeding
  previously priorly your system developer openai openais anthropic anthropics google current starting first embedded underlying`)
const ORDERS = words(`
  instruction instructions instruct instructs instructional direction directions prompt prompts promt prompting rule rules guideline guidelines guidance
  directive directives command commands order orders programming training constraint constraints restriction restrictions
  policy policies protocol protocols principles safeguards safeguard restraints limitations parameters regulations`)
const STRONG_ORDERS = words(
  'instruction instructions prompt prompts guideline guidelines directive directives rules orders commands programming training',
)
const REMARKS = words(`
  message messages context contexts text content input inputs conversation conversations chat dialog dialogue statement statements
  information task tasks request requests question questions query assignments assignment data sentence sentences paragraph`)

const HEED = `(?:ignor(?:e|es|ed|ing)|disregard(?:s|ed|ing)?|forget(?:s|ting)?|neglect(?:ing)?|overlook|pay${GAP}no${GAP}(?:attention|mind|heed)${GAP}to|set${GAP}aside|do(?:${GAP}not|n[^a-z0-9]{0,3}t)${GAP}(?:follow|obey|heed|comply${GAP}with|listen${GAP}to|adhere${GAP}to)|stop${GAP}(?:following|obeying)|ditch|discard|dismiss|abandon)`
const BREAK =
  '(?:overrid(?:e|es|ing)|overrul(?:e|ing)|bypass(?:es|ing)?|supersedes?|superseding|circumvent|delete|erase|reset|drop|skip|cancel|nullify|void|clear|unlearn|wipe|disable|violate|break)'

const fill = (n: number): string => `(?:(?:${FILL}|${OWNED})${GAP}){0,${n}}`
const only = (n: number): string => `(?:(?:${FILL})${GAP}){0,${n}}`

/** Groups of stems, `/` between groups: the text must contain one of each group. */
const rule = (
  name: string,
  severity: InjectionRule['severity'],
  sources: readonly (readonly [stems: string, source: string])[],
): readonly InjectionRule[] =>
  sources.map(([stems, source]) => ({
    name,
    severity,
    stems: stems.split('/').map(group => group.trim().split(/\s+/)),
    pattern: new RegExp(source),
  }))

const ORDER_STEMS =
  'instruct direction prompt promt rule guid directiv command order program train constraint restrict polic protocol princip safeguard restrain limit paramet regulat'
const REMARK_STEMS =
  'messag context text content input conver chat dialog statement inform task request quer question assign data sentence paragraph'
const HEED_STEMS =
  'ignor neglect overlook attention heed mind aside follow obey comply listen adhere ditch discard dismiss abandon'
const LIMIT_STEMS =
  'restrict limit filter rule boundar censor guid constraint ethic moral inhibit restrain safeguard qualm scrupl'

const LIMITS =
  words(`restriction restrictions limit limits limitation limitations filter filters rule rules boundary boundaries censorship guideline guidelines
  constraint constraints ethics morals moral_compass inhibitions restraints safeguards qualms scruples`)
const PERSONA = `(?:${words('ai bot chatbot assistant model chatgpt gpt character persona llm robot machine entity intelligence simulator')})`
const SAY = `(?:repeat|reveal|show|print|output|display|tell${GAP}me|give${GAP}me|send${GAP}me|share|disclose|leak|dump|recite|expose|echo|spell|paste|return|write|list|translate|encode|summari[sz]e|provide|describe|what(?:[^a-z0-9]{0,3}s|${GAP}is|${GAP}are|${GAP}was|${GAP}were|re))`
const SECRET = words(
  'system initial original hidden secret starting custom internal developer preceding underlying exact full entire complete confidential pre initialization first',
)

export const ENGLISH_RULES: readonly InjectionRule[] = [
  ...rule('ignore_previous', 'high', [
    [
      `${HEED_STEMS} / ${ORDER_STEMS}`,
      `${HEED.replace('disregard(?:s|ed|ing)?|forget(?:s|ting)?|', '')}${GAP}${only(5)}(?:${OWNED})${GAP}${fill(5)}(?:${ORDERS})(?![a-z])`,
    ],
    [
      'ignor / instruct prompt guid directiv order',
      `ignor(?:e|es|ing)${GAP}${only(2)}(?:all|any|every|everything)${GAP}${fill(4)}(?:instructions?|prompts?|guidelines|directives?|orders)(?![a-z])(?!${GAP}(?:on|in|for|from)${GAP}(?:the|this|that|my|our|a)${GAP}(?:box|label|package|page|file|config|repo|readme|eslint))`,
    ],
    [
      'ignor / rules',
      `ignor(?:e|ing)${GAP}(?:all|any|every|everything)${GAP}${only(3)}rules(?![a-z])(?!${GAP}(?:in|of|for|from|on|with|that|matching|by)(?![a-z]))`,
    ],
    [
      `ignor / ${ORDER_STEMS}`,
      `ignor(?:e|es|ing)${GAP}${only(4)}(?:${ORDERS})${GAP}(?:(?:that|which)${GAP})?(?:above(?![a-z])|before${GAP}this|given${GAP}(?:above|before|earlier|previously|to${GAP}you)|previously|you(?:${GAP}have|${GAP}ve|${GAP}were)?${GAP}(?:been${GAP})?(?:given|told|received|got)|prior${GAP}to|preceding|provided${GAP}(?:above|earlier|before)|i${GAP}gave${GAP}you|from${GAP}(?:the${GAP}|your${GAP})?(?:system|developer|above|before))`,
    ],
    [
      'ignor / told given instruct taught previous above prior before said',
      `ignor(?:e|es|ing)${GAP}(?:all|everything|anything|any|the|what|whatever)${GAP}(?:of${GAP})?(?:the${GAP}|your${GAP})?(?:you(?:${GAP}have|${GAP}ve|${GAP}were)${GAP}(?:been${GAP})?(?:told|given|instructed|taught)|previous(?![a-z])(?!${GAP}(?:typos?|errors?|warnings?|versions?|results?|email|mail|letter|invoice|notice|post|comment|answer|my))|above(?![a-z])(?!${GAP}(?:typos?|errors?|warnings?|email|mail|letter|invoice|notice|post|comment|average|ground|the))|prior(?![a-z])(?!${GAP}(?:errors?|warnings?|versions?|results?|to))|before${GAP}this|i${GAP}(?:said|told))`,
    ],
    [
      `ignor / ${REMARK_STEMS}`,
      `ignor(?:e|ing)${GAP}${only(3)}(?:previous|prior|above|preceding|foregoing)${GAP}(?:${REMARKS})(?![a-z])(?<!my[^a-z]{1,3}(?:previous|prior)[^a-z]{1,3}[a-z]{1,14})`,
    ],
    [
      `${HEED_STEMS} / system developer`,
      `${HEED.replace('disregard(?:s|ed|ing)?|forget(?:s|ting)?|', '')}${GAP}(?:your|the)${GAP}(?:system|developer)${GAP}(?:prompt|message|instructions?)`,
    ],
    [
      `ignored disregarded overridden overwritten forgotten void null cancel supersed longer / ${ORDER_STEMS}`,
      `(?:previous|prior|above|earlier|preceding|original|initial)${GAP}(?:system${GAP})?(?:instructions?|prompts?|guidelines|directives|rules|commands|orders)${GAP}(?:[a-z]{1,12}${GAP}){0,4}(?:ignored|disregarded|overridden|overwritten|forgotten|void|null|cancel(?:l)?ed|superseded|no${GAP}longer${GAP}(?:apply|valid|relevant|in${GAP}effect))`,
    ],
  ]),
  ...rule('disregard', 'high', [
    ['disregard', `disregard(?:s|ed|ing)?${GAP}${only(5)}(?:${OWNED})${GAP}${fill(5)}(?:${ORDERS})(?![a-z])`],
    [
      'disregard',
      `disregard(?:s|ed|ing)?${GAP}${only(2)}(?:all|any|every|everything)${GAP}${fill(4)}(?:${STRONG_ORDERS})(?![a-z])`,
    ],
    [
      'disregard',
      `disregard(?:s|ed|ing)?${GAP}${only(4)}(?:${ORDERS})${GAP}(?:above|before|given|previously|you(?:${GAP}were|${GAP}have|${GAP}ve))(?![a-z])`,
    ],
    [
      'disregard',
      `disregard${GAP}(?:(?:all|everything|any|anything|of|the|that|what|is|was|came|said|written|stated)${GAP}){0,5}(?:above|previous|prior|preceding)(?:$|[^a-z0-9 ]|${GAP}(?:and|text|content|messages?|context|conversation|input|then|instead|instructions?)(?![a-z]))(?<!my[^a-z]{1,3}(?:previous|prior)[^a-z]{1,3}[a-z]{1,14})`,
    ],
    [
      'disregard',
      `disregard${GAP}(?:all|everything)${GAP}(?:that${GAP})?(?:you|i${GAP}(?:said|told)|before|so${GAP}far)`,
    ],
  ]),
  ...rule('forget_prompt', 'high', [
    [
      'forget',
      `forget(?:ting)?${GAP}${only(5)}(?:your|previous|prior|earlier|above|system|original|initial|preceding|former|past)${GAP}${fill(4)}(?:instructions?|prompts?|guidelines?|directives?|programming|training|restrictions|rules|orders|commands|constraints|policies|limitations)(?![a-z])`,
    ],
    [
      'forget',
      `forget(?:ting)?${GAP}(?:about${GAP})?(?:all|any|every)${GAP}${fill(4)}(?:instructions?|prompts?|guidelines|directives|rules|orders|restrictions)(?![a-z])`,
    ],
    [
      'forget',
      `forget(?:ting)?${GAP}(?:about${GAP})?(?:all|everything|anything|what)${GAP}(?:of${GAP})?(?:that${GAP}|which${GAP})?(?:you(?:${GAP}have|${GAP}ve|${GAP}were|${GAP}had)?${GAP}(?:ever${GAP})?(?:been${GAP})?(?:told|taught|given|instructed|trained|learned|learnt|read${GAP}(?:above|before|so${GAP}far))|above(?![a-z])|previous(?![a-z])|prior(?![a-z])|before(?![a-z])|that${GAP}(?:came|was${GAP}said)|i${GAP}(?:said|told|wrote)${GAP}(?:before|above|earlier|previously))`,
    ],
    [
      'forget',
      `forget(?:ting)?${GAP}(?:all|everything)${GAP}(?:and|from${GAP}(?:before|above|now|this)|else)(?![a-z])`,
    ],
    [
      'forget',
      `forget(?:ting)?${GAP}${only(3)}(?:previous|prior|above|preceding)${GAP}(?:message|messages|context|text|content|input|conversation|tasks?|assignments?|questions?)(?![a-z])(?<!my[^a-z]{1,3}(?:previous|prior)[^a-z]{1,3}[a-z]{1,14})`,
    ],
    [
      'forget',
      `forget${GAP}(?:that${GAP})?you(?:${GAP}are|${GAP}re)${GAP}(?:an?${GAP}|chat)(?:ai|gpt|assistant|language|chatbot|llm)`,
    ],
  ]),
  ...rule('override_instructions', 'high', [
    [
      'overrid overrul bypass supersed circumvent delete erase reset drop skip cancel nullif void clear unlearn wipe disabl violate break / instruct prompt guid directiv program train',
      `${BREAK}${GAP}${only(5)}(?:previous|prior|preceding|earlier|above|initial|original|your|system|developer|openai|openais)${GAP}${fill(4)}(?:instructions?|prompts?|guidelines|directives?|programming|training)(?![a-z])(?!${GAP}(?:set|data|loop|run|epoch|accuracy|loss|job|script|step|pipeline|manual|language|class|course|session))`,
    ],
    [
      'overrid bypass disabl circumvent / your openai chatgpt',
      `(?:overrid(?:e|es|ing)|bypass(?:ing)?|disabl(?:e|ing)|circumvent)${GAP}${only(3)}(?:your|openai|openais|chatgpt|chatgpts)${GAP}${fill(4)}(?:restrictions?|rules|filters?|polic(?:y|ies)|constraints?|limitations?|safeguards?|safety|guardrails|protocols?|ethic(?:s|al)|censorship|moderation)(?![a-z])`,
    ],
    [
      'override / activated engaged enabled code accepted initiated protocol mode',
      `(?:system|security|safety|admin|administrator|developer)${GAP}override${GAP}(?:mode|activated|engaged|enabled|code|accepted|initiated|protocol)`,
    ],
    [
      'override / mode',
      `(?:entering|engage|engaging|activating|activate|enable|initiate|called${GAP}in)${GAP}(?:[a-z]{1,12}${GAP}){0,2}override${GAP}mode`,
    ],
  ]),
  ...rule('new_instructions', 'high', [
    [
      'instruct / adhere obey follow comply',
      `(?:you${GAP}must|strictly)${GAP}(?:[a-z]{1,10}${GAP}){0,2}(?:adhere|obey|follow|comply)${GAP}(?:to|with)?(?:${GAP})?(?:the|this|these|my)${GAP}(?:following|new)${GAP}instructions?(?=[^a-z0-9]{1,3}please|[^a-z0-9]{0,3}:)`,
    ],
    [
      'instruct directiv orders rules / new',
      `(?:here${GAP}are|follow|these${GAP}are|obey|execute)${GAP}(?:only${GAP})?(?:your|my)${GAP}new${GAP}(?:instructions|directives|orders|rules)(?![a-z])`,
    ],
    [
      'task instruct role goal objective / complete over changed replaced cancel updated void revoked',
      `(?:your|the)${GAP}(?:previous|prior|old|original|former)${GAP}(?:task|instructions?|role|goal|objective)${GAP}(?:is|are|was|were|has|have)${GAP}(?:been${GAP})?(?:now${GAP})?(?:complete|completed|over|changed|replaced|cancel(?:l)?ed|updated|void|revoked)[^a-z0-9]{1,3}(?:your|you|now|new)(?![a-z])`,
    ],
    [
      'instruct / follow obey execut',
      `(?:instead|now)${GAP}(?:follow|obey|execute)${GAP}(?:these|my|the${GAP}following)${GAP}(?:new${GAP})?instructions(?![a-z])(?=[^a-z0-9]{0,3}[:\\n])`,
    ],
  ]),
  ...rule('dan_jailbreak', 'high', [
    ['anything / now', `do${GAP}anything${GAP}now`],
    ['norms / strive', `strive${GAP}to${GAP}avoid${GAP}(?:the${GAP})?norms`],
    [
      'dan',
      `(?:you${GAP}are|you${GAP}re|act(?:ing)?${GAP}as|be|become|persona${GAP}(?:of|named|called)?|as|named|called|pretend(?:ing)?${GAP}to${GAP}be|role${GAP}of|enable|activate|enter|stay${GAP}(?:a|in)|respond${GAP}as|answer${GAP}as)${GAP}(?:now${GAP}|going${GAP}to${GAP}be${GAP})?(?:a${GAP})?["'*(\\[]{0,2}dan["'*)\\]]{0,2}(?:[^a-z0-9]{1,3}(?:who|which|that)${GAP}(?:has|can|is${GAP}(?:not|free)|does|stands)|${GAP}(?:mode|persona|prompt|jailbreak|has${GAP}no|can${GAP}do|without|with${GAP}no|stands${GAP}for)|[^a-z0-9]{1,3}(?:an?${GAP})?(?:unrestricted|unfiltered|uncensored|evil|free|ai|with${GAP}no))`,
    ],
    ['dan', `(?:enable|activate|enter|switch${GAP}to|in|jailbreak|start)${GAP}dan${GAP}(?:mode|persona|protocol)`],
    ['dan', `dan${GAP}(?:mode${GAP}(?:on|enabled|activated)|jailbreak|persona${GAP}(?:activated|enabled|on))`],
  ]),
  ...rule('jailbreak_keyword', 'high', [
    [
      'jail',
      `jail[ \\t_-]?br(?:eak(?:s|en|ing|er|ers|ed)?|oken|oke)(?![a-z])(?!${GAP}(?:(?:my|an|the|your|his|her|a|this|old|ios|apple)${GAP}){0,3}(?:iphones?|ipads?|ipods?|ios|phones?|devices?|tvs?|firestick|fire${GAP}(?:stick|tv)|kindles?|ps[345]|playstation|xbox|switch|console|router|tesla|watch|attempts?|detection|detectors?))(?<!(?:a|the|in|his|her|their|daring|great|big|prison|attempted|non|not|an|s)[ \\t]jail[ \\t]break)(?<!(?:prison|inmates?|attempted)[ a-z]{1,20}jailbreak)`,
    ],
  ]),
  ...rule('developer_mode', 'high', [
    [
      'mode / god dev admin root sudo debug restrict filter censor jail evil chaos freedom opposite rebel maint',
      `(?<!(?:turn|with|if|is|when|whether|has|have|need|needs|requires?|that|was)${GAP})(?:god|developer|dev|admin|root|sudo|debug|unrestricted|unfiltered|uncensored|jailbreak|evil|chaos|freedom|opposite|rebel|maintenance)[\\s_-]{1,3}mode${GAP}(?:is${GAP}|has${GAP}been${GAP}|now${GAP}|:${GAP}?){0,3}(?:enabled|activated|engaged|unlocked|initiated)(?![a-z])(?!${GAP}(?:on|in|for|via|when|if)${GAP}(?:the|your|my|a|this|android|chrome|windows)(?![a-z]))`,
    ],
    [
      'mode / dev god dan jail restrict evil sudo opposite',
      `(?:you${GAP}are|act|answer|respond|now|chatgpt|as|like)${GAP}(?:now${GAP})?(?:in|with|as${GAP}if|a)${GAP}(?:chatgpt${GAP}(?:with|in)${GAP})?(?:developer|god|dan|jailbreak|unrestricted|evil|sudo|opposite)${GAP}mode(?![a-z])`,
    ],
    ['mode / chatgpt', `chatgpt${GAP}(?:with|in|s)${GAP}(?:developer|dev|jailbreak|god)${GAP}mode`],
    [
      'mode / jail restrict filter censor evil dan god sudo opposite override',
      `(?:enable|activate|enter|engage|initiate|switch${GAP}to|switch${GAP}into)${GAP}(?:the${GAP}|your${GAP})?(?:jailbreak|unrestricted|unfiltered|uncensored|evil|dan|god|sudo|opposite|override)[\\s_-]{1,3}mode(?![a-z])`,
    ],
    [
      'mode / developer admin root debug maint',
      `(?:enable|activate|enter|engage|switch${GAP}to|switch${GAP}into)${GAP}(?:the${GAP}|your${GAP})?(?:developer|admin|root|debug|maintenance)${GAP}mode${GAP}(?:and|to)${GAP}(?:[a-z]{1,12}${GAP}){0,4}(?:instructions|restrictions|rules|prompt|filters|guidelines|anything|unfiltered|uncensored|safety)`,
    ],
  ]),
  ...rule('no_restrictions', 'high', [
    [
      'god / mode',
      `god[^a-z0-9]{0,2}mode[^a-z0-9]{1,4}(?:enabled|is${GAP}active|activated|on)(?![a-z])(?=[^?]{0,200}(?:refus|unrestrict|rebel|liberat|divider|unfilter|format|response))`,
    ],
    [
      'without / restrict limit censor filter',
      `(?:chatbot|ai|llm|language${GAP}model|gpt|persona|chatgpt)${GAP}without${GAP}(?:restrictions|limitations|censorship|filters|limits)(?![a-z])`,
    ],
    [
      'without / legal ethic',
      `without${GAP}(?:any${GAP})?(?:hesitation|concerns?|regard|consideration)${GAP}(?:[a-z]{1,10}${GAP}){0,3}for${GAP}(?:any${GAP}|the${GAP}|its${GAP}){0,2}(?:legality|ethics|morality|ethical|moral)`,
    ],
    [
      'openai / stay rule polic not no',
      `(?:doesn|don|does|do)${GAP}(?:not|t)${GAP}(?:have${GAP}to${GAP})?(?:care${GAP}about|follow|adhere${GAP}to|respect|obey)${GAP}(?:the${GAP}|any${GAP}|about${GAP}){0,2}openai`,
    ],
    [
      'never say cannot',
      `(?:will|must|can|should|do)${GAP}(?:not|never)${GAP}(?:say|respond${GAP}with|answer${GAP}with|use)${GAP}(?:[a-z]{1,10}${GAP}){0,4}(?:i${GAP}(?:m${GAP}sorry|am${GAP}sorry|cannot|can${GAP}t|apologi[sz]e)|as${GAP}an${GAP}ai)`,
    ],
    [
      'moral ethic legal',
      `(?:does|do)(?:n${GAP}?t|${GAP}not)${GAP}(?:matter|care)${GAP}(?:if|whether|about|how)${GAP}(?:[a-z]{1,12}${GAP}){0,5}(?:immoral|unethical|illegal|ethics|legality|morals?)(?![a-z])`,
    ],
    [
      `${LIMIT_STEMS} / act behav respond answer reply pretend operat speak writ talk function`,
      `(?:act|acts|behave|respond|answer|reply|pretend|operate|speak|write|talk|function)${GAP}(?:to${GAP}me${GAP})?(?:as${GAP}(?:if|though)|like|that)${GAP}(?:you|there)(?:${GAP}(?:have|had|are|were|is|was|do)|${GAP}re|${GAP}ve)${GAP}(?:no|not|free|without|unbound|never|zero)${GAP}(?:[a-z]{1,14}${GAP}){0,5}(?:${LIMITS})(?![a-z])`,
    ],
    [
      `${LIMIT_STEMS} princip code standard concern polic / ethic moral content legal safety program openai built`,
      `(?:${PERSONA}|you|he|she|it|they|who|which|that|dan)${GAP}(?:[a-z]{1,12}${GAP}){0,3}(?:has|have|had|with|without|bears|possess(?:es)?)${GAP}(?:absolutely${GAP})?(?:no|any|zero)${GAP}(?:(?:ethical|moral|content|legal|safety|programmed|openai|built)${GAP}(?:(?:or|and|in|nor)${GAP}(?:ethical|moral|legal|content|safety)${GAP})?)(?:${LIMITS}|principles|code|standards|concerns|policies)(?![a-z])`,
    ],
    [
      'chatbot chatgpt gpt llm assistant model ai / restrict limit censor filter guid ethic moral rules',
      `(?:ai|chatbot|chatgpt|gpt|llm|language${GAP}model|assistant)${GAP}(?:[a-z]{1,12}${GAP}){0,4}(?:has|have|with|without)${GAP}(?:no|any)${GAP}(?:restrictions|limitations|censorship|filters|guidelines|ethics|morals|rules)(?![a-z])`,
    ],
    [
      'confines',
      `brok(?:e|en)${GAP}(?:free${GAP})?(?:of|from)?(?:${GAP})?(?:the${GAP})?(?:typical|usual|normal)${GAP}confines`,
    ],
    [
      'abide follow adhere comply obey / rules openai ethic moral content safety',
      `(?:not|t|never|without)${GAP}(?:have${GAP}to|having${GAP}to|need${GAP}to)${GAP}(?:abide|follow|adhere|comply|obey)${GAP}(?:by|to|with)?(?:${GAP})?(?:the${GAP}|any${GAP}|all${GAP})?(?:rules${GAP}set|${words('openai openais ethical moral content safety')})(?![a-z])`,
    ],
    [
      'bound limited restricted constrained restrained governed censored affected confined subject',
      `(?:not|no${GAP}longer|isn${GAP}t|aren${GAP}t|never|un)${GAP}?(?:bound|limited|restricted|constrained|restrained|governed|censored|affected|confined|subject)${GAP}(?:by|to)${GAP}(?:the${GAP}|any${GAP}|all${GAP}|its${GAP}|your${GAP}|their${GAP}){0,2}(?:(?:usual|typical|standard|normal|same|content|ethical|moral|legal)${GAP}){0,2}(?:openai|openais|open${GAP}ai|ethical|moral|ethics|morals|morality|restrictions|rules|guidelines|censorship|filters|policies|content${GAP}polic)(?:[^a-z]|$)(?<!(?:rules|policies|guidelines)[^a-z]of)`,
    ],
    [
      'free liberat releas unshackl unchain / ethical moral content censor openai restrict filter',
      `(?:free|freed|liberated|released|unshackled|unchained)${GAP}(?:of|from)${GAP}(?:all${GAP}|any${GAP}|the${GAP}|its${GAP}|your${GAP}|openai[^a-z]{0,2}s?${GAP}){0,2}(?:ethical|moral|content|censorship|openai|restrictions${GAP}and${GAP}filters|filters|ai)${GAP}?(?:and${GAP}|or${GAP})?(?:${LIMITS}|policies|constraints)?`,
    ],
    [
      'unfilter uncensor unrestrict amoral unhing jailbroken',
      `(?:unfiltered|uncensored|unrestricted|amoral|unhinged|jailbroken)${GAP}(?:(?:and|or|,)?${GAP}?(?:unfiltered|uncensored|unrestricted|amoral|unethical|immoral|evil|unbiased|unlimited|powerful|rebellious|new)${GAP}){0,3}(?:ai|bot|chatbot|assistant|chatgpt|gpt|llm|robot|persona|language${GAP}model|artificial)(?![a-z])`,
    ],
    [
      'unfilter uncensor amoral immoral',
      `(?:completely|totally|fully|both|an|entirely)${GAP}(?:unfiltered|uncensored|amoral|immoral)${GAP}(?:and|or|,)${GAP}?(?:totally${GAP}|completely${GAP})?(?:unfiltered|uncensored|amoral|immoral|unethical|unrestricted)`,
    ],
    [
      'ethical moral',
      `no${GAP}(?:ethical|moral)${GAP}(?:or|and|nor)${GAP}(?:ethical|moral|legal)${GAP}(?:guidelines|restrictions|boundaries|limits|constraints|codes?|principles|standards|considerations|concerns)`,
    ],
    [
      'refuse reject decline deny',
      `(?:never|cannot|can${GAP}t|can${GAP}not|must${GAP}not|won${GAP}t|not)${GAP}(?:ever${GAP})?(?:refuse|reject|decline|deny)${GAP}(?:to${GAP}(?:answer|respond|reply)|a${GAP}direct${GAP}(?:human|request|order|prompt|question)|any${GAP}(?:request|prompt|question|order|command)s?|(?:my|the${GAP}user[^a-z]{0,2}s?)${GAP}(?:requests?|orders?|prompts?|commands?|questions?))(?![a-z])`,
    ],
    [
      'moral ethic legal',
      `(?:regardless|irrespective|no${GAP}matter)${GAP}(?:of${GAP})?(?:how${GAP})?(?:its${GAP}|the${GAP}|their${GAP}|any${GAP}){0,2}(?:moral|ethic|legal|immoral|unethical|illegal)[a-z]{0,6}[^a-z0-9]{1,3}(?:or|and|nor|,)?[^a-z0-9]{0,3}(?:legal|ethic|moral|immoral|unethical|illegal|harmful|dangerous|offensive)`,
    ],
    ['antigpt', `antigpt`],
    [
      'moral ethical disclaimer',
      `(?:no|without)${GAP}(?:any${GAP})?(?:moral${GAP}compass|moral${GAP}or${GAP}ethical|ethical${GAP}or${GAP}moral|warnings?${GAP}or${GAP}disclaimers?[^.]{0,40}illegal)`,
    ],
    [
      'openai chatgpt gpt / polic guidelines rules restrictions limitations',
      `(?:openai|open${GAP}ai|chatgpt|gpt)(?:[^a-z]{0,2}s)?${GAP}(?:[a-z]{1,12}${GAP}){0,2}(?:polic(?:y|ies)|guidelines|rules|restrictions|limitations)${GAP}(?:[a-z]{1,12}${GAP}){0,3}(?:no${GAP}longer|removed|lifted|disabled|not${GAP}apply|don${GAP}t${GAP}apply|bypassed|suspended|do${GAP}not${GAP}apply)`,
    ],
    [
      'openai ai / polic guidelines rules restrictions terms',
      `(?:bypass|ignore|disregard|against|break|avoid|violates?|violating)${GAP}(?:all${GAP}|any${GAP}|the${GAP}|of${GAP}){0,3}(?:openai|open${GAP}ai)(?:[^a-z]{0,2}s)?${GAP}(?:[a-z]{1,12}${GAP}){0,2}(?:polic(?:y|ies)|guidelines|rules|restrictions|terms)`,
    ],
  ]),
  ...rule('prompt_extraction', 'high', [
    [
      'prompt instruct directiv guidelines rules configuration initializ / your',
      `${SAY}${GAP}(?:[a-z]{1,10}${GAP}){0,4}your${GAP}(?:(?:${FILL}|${SECRET})${GAP}){0,3}(?:${SECRET})${GAP}(?:(?:${SECRET})${GAP}){0,2}(?:prompts?|instructions?|directives?|guidelines|rules|configuration|initialization)(?![a-z])`,
    ],
    [
      'prompt instruct directiv / system hidden initial original secret',
      `${SAY}${GAP}(?:[a-z]{1,10}${GAP}){0,3}(?:the|all|these|those)${GAP}(?:(?:${FILL}|${SECRET})${GAP}){0,3}(?:system|hidden|initial|original|secret)${GAP}(?:prompts?|instructions|directives)(?![a-z])${GAP}(?:[a-z]{1,10}${GAP}){0,6}(?:verbatim|word${GAP}for${GAP}word|above|you${GAP}(?:were|have|received|got)|exactly|in${GAP}full|in${GAP}its${GAP}entirety|in${GAP}base)`,
    ],
    [
      'prompt system / your',
      `${SAY}${GAP}(?:[a-z]{1,10}${GAP}){0,3}your${GAP}(?:(?:${FILL}|${SECRET})${GAP}){0,3}(?:system${GAP}(?:prompt|message|instructions)|prompt(?![a-z])(?!${GAP}(?:response|attention|reply|action|payment|assistance|for)))`,
    ],
    [
      'above before preceding prior / repeat print output show copy paste recite echo return dump',
      `(?<![a-z])(?:repeat|print|output|show|copy|paste|recite|echo|return|dump)${GAP}(?:[a-z]{1,8}${GAP}){0,2}(?:all|everything|the${GAP}words|the${GAP}text|every${GAP}word|the${GAP}lines|words|text|whatever|the${GAP}instructions|the${GAP}content)${GAP}(?:(?:of|that|is|was|in|written|you${GAP}(?:see|were${GAP}given))${GAP}){0,3}(?:above|before${GAP}this|prior${GAP}to${GAP}this|preceding)(?![a-z])(?!${GAP}(?:in|to|into|using|as|for|with|without|and)${GAP}(?!(?:a${GAP})?(?:code${GAP}?block|full|base64|verbatim|its${GAP}entirety)))`,
    ],
    [
      'start begin / repeat code put include conversation everything verbatim',
      `(?:starting|begin(?:ning)?|start|begins)${GAP}with[^a-z0-9]{1,6}(?:the${GAP}(?:words|phrase)[^a-z0-9]{1,6})?you${GAP}are[^a-z0-9]{1,6}(?:[a-z]{1,10}[^a-z0-9]{1,6}){0,8}(?:repeat|code${GAP}block|put|include|conversation|everything|verbatim)`,
    ],
    [
      'start begin / repeat print output show put include copy',
      `(?:repeat|print|output|show|put|include|copy)${GAP}(?:[a-z]{1,12}[^a-z0-9]{1,6}){0,10}(?:starting|beginning|begins|starts)${GAP}with[^a-z0-9]{1,6}(?:the${GAP}(?:words|phrase)[^a-z0-9]{1,6})?you${GAP}are(?![a-z])`,
    ],
    [
      'instruct directiv / what',
      `what${GAP}(?:were|are|was|is)${GAP}(?:those|these|your|the)${GAP}(?:(?:${FILL}|${OWNED}|${SECRET})${GAP}){0,3}(?:instructions|directives)[^a-z0-9]{0,3}(?:\\?|$)(?<=(?:your|those|previous|initial|original|system|hidden|secret|first|prior)[^a-z0-9]{1,3}(?:instructions|directives)[^a-z0-9]{0,3}(?:\\?|$))`,
    ],
    ['instruct prompt', `my${GAP}(?:system${GAP}prompt|instructions)${GAP}(?:is|are)[^a-z0-9]{0,3}:`],
    [
      'initiali prompt',
      `(?:output|print|show|reveal|display)${GAP}(?:the${GAP}|your${GAP})?(?:initiali[sz]ation${GAP}(?:string|prompt|text|message)|system[_ ]?prompt[^a-z0-9]{0,3}$)`,
    ],
    ['console', `console[^a-z0-9]log[^a-z0-9](?:your)?system_?prompt`],
  ]),
  ...rule('secret_extraction', 'medium', [
    [
      'passw',
      `(?:if${GAP}you(?:${GAP}don${GAP}t|${GAP}do${GAP}not)?|need${GAP}you${GAP}to|recommend${GAP}you|please|you${GAP}should|important${GAP}that${GAP}you)${GAP}(?:share|tell|give|confirm|reveal)${GAP}(?:me${GAP}|us${GAP})?(?:your|the${GAP}system)${GAP}password(?![a-z])`,
    ],
    [
      'passw',
      `(?:i${GAP}am|i${GAP}m|as|as${GAP}your|as${GAP}an?)${GAP}(?:the${GAP}|your${GAP}|a${GAP}){0,2}(?:god|boss|developer|president|maintainer|administrator|admin|expert)[^?]{0,120}what(?:${GAP}is|[^a-z0-9]{0,2}s)${GAP}(?:your|the)${GAP}password`,
    ],
    [
      'passw passphr secret',
      `(?:can|could|will|would)${GAP}you${GAP}(?:please${GAP}|just${GAP}|at${GAP}least${GAP}|also${GAP}|perhaps${GAP}|maybe${GAP})?(?:tell|share|give|reveal|confirm|disclose|provide|send|show)(?:${GAP}me|${GAP}us)?(?:${GAP}with${GAP}me)?${GAP}(?:what${GAP})?your${GAP}(?:[a-z]{1,10}${GAP})?(?:password|passphrase|secret${GAP}(?:key|code|password))(?![a-z])(?!${GAP}(?:manager|policy|reset))`,
    ],
    [
      'secret',
      `what(?:[^a-z0-9]{0,3}s|${GAP}is)${GAP}(?:your|the)${GAP}secret${GAP}(?:key|password|passphrase|code)(?![a-z])`,
    ],
    ['passw', `if${GAP}you${GAP}(?:share|give|tell|reveal)${GAP}(?:me${GAP})?your${GAP}password`],
  ]),
]
