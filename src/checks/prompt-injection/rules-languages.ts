/**
 * "Ignore the previous instructions" and its closest kin in other languages. Latin script is matched after the fold (no accents),
 * other scripts as written, lower case. Each pattern wants verb, orders, and which orders, within one sentence.
 */
import type { InjectionRule } from './rule.ts'

const gap = (n: number): string => `[^.!?\\n]{0,${n}}?`

/** The three parts of the gesture, in each order that the language uses. */
function gesture(verb: string, orders: string, which: string, width = 32): string {
  return `(?:${verb})${gap(width)}(?:(?:${which})${gap(width)}(?:${orders})|(?:${orders})${gap(width)}(?:${which}))`
}
/** Verb last. */
function trailing(verb: string, orders: string, which: string, width = 24): string {
  return `(?:${which})${gap(width)}(?:${orders})${gap(width)}(?:${verb})`
}

const latin = (stems: string, sources: readonly string[]): InjectionRule => ({
  name: 'ignore_previous',
  severity: 'high',
  stems: stems.split('/').map(group => group.trim().split(/\s+/)),
  pattern: new RegExp(sources.map(s => `(?<![a-z])(?:${s})`).join('|')),
})

const ROMANCE_ORDERS =
  '(?:instrucc?ion|instruction|instruco|instruzion|istruzion|consigne|directive|diretri|diretiv|direttiv|directri|directiva|regle|regla|regra|regol|ordre|orden|ordem|ordin|comand|command|indicacion|indicazion|orientac|prompt|programmation|programacion|programmazion)[a-z]{0,6}'
const ROMANCE_WHICH =
  '(?:precedent|anterieur|anterior|ulterior|previ|preexist|prec[e]d|ci-dessus|cidessus|de arriba|acima|sopra|inicia|iniziali|original|d.avant|de antes|passad|pasad|que (?:tu|vous|te|voce|lhe|ti|le|has|te han)|systeme|sistema|systemiques|(?:toutes|tous) (?:les|tes|vos)|todas (?:las|as|tus|sus|suas)|tutte le|tutti i|tes (?:instruc|regl|consig)|tus (?:instruc|regl)|suas (?:instruc|regr)|tue istruz)[a-z]{0,6}'

export const LATIN_LANGUAGE_RULES: readonly InjectionRule[] = [
  latin(
    'ignor oubli olvid esque dimentic neglig omit descart desconsider desatend desatiend tralasc trascur compte abstraction caso considerare tenere / instru istru consign directiv directri diretri regl regra regol ordre orden ordem ordin comand command indicac indicaz orientac prompt program tout tod tudo tutt',
    [
      gesture(
        '(?:ignor(?:e[zr]?|es|a|are|ate|ar|ad|en|i|em|iere|iamo)|oublie[zsr]?|olvid(?:a|e|ar|ad|en|ate)|esque(?:ca|ce|cer|cam|ça)|dimentica(?:re|te)?|neglige[zr]?|omit(?:e|a|ir)|descart(?:a|e|ar)|desconsider(?:e|a|ar)|desatiend(?:e|a)|tralascia(?:re|te)?|trascura(?:re|te)?|ne (?:tiens?|tenez) (?:pas|plus) compte|fais abstraction|faites abstraction|ha[zg]a? caso omiso|no (?:hagas|haga) caso|non considerare|non tenere conto)(?![a-z])',
        ROMANCE_ORDERS,
        ROMANCE_WHICH,
      ),
      '(?:oublie[zsr]?|olvid(?:a|e|ar)|esque(?:ca|ce|cer)|dimentica(?:re|te)?)(?![a-z])[^.!?\\n]{0,24}(?:tout ce (?:que|qui)|todo lo (?:que|anterior)|tudo (?:o )?que|tutto (?:cio|quello) che|todas estas regras|todas esas reglas|toutes ces regles|tutte quelle regole|tutte queste regole|todas essas regras)',
    ],
  ),
  latin(
    'ignorier vergess vergiss missacht beacht befolg dich / weisung instruktion befehl regel vorgabe anleitung richtlin vorschrift eingabe prompt aufforderung program alles',
    [
      gesture(
        '(?:ignorier(?:e|en|t|st)?|vergiss|vergessen|vergesst|missachte[nt]?|beachte[nt]? nicht|befolge[nt]? nicht|setze[nt]? dich uber)(?![a-z])',
        '(?:an)?(?:weisung|instruktion|befehl|regel|vorgabe|anleitung|richtlinie|vorschrift|eingabe|prompt|aufforderung|programmierung|systemprompt)[a-z]{0,4}',
        '(?:vorherig|vorig|bisherig|vorangegangen|vorangehend|vorhergehend|obig|fruher|alle|all |deine|ihre|eure|ursprunglich|vorstehend|oben|system|bis hierhin|zuvor)[a-z]{0,4}',
      ),
      '(?:vergiss|vergessen sie|vergesst)(?![a-z])[^.!?\\n]{0,12}alles[^.!?\\n]{0,6}(?:was|bisherige|vorherige|davor)',
      '(?:beachte|befolge|beachten sie|befolgen sie)(?![a-z])[^.!?\\n]{0,12}(?:vorherig|vorig|bisherig|obig|deine)[a-z]{0,3}[^.!?\\n]{0,16}(?:anweisung|regel|befehl|instruktion|vorgabe)[a-z]{0,4} nicht',
    ],
  ),
  latin(
    'negeer vergeet ignorera ignorer glom glem bortse bort ignoruj zapomnij pomin / instru instrukc opdracht regel aanwijz richtlijn prompt bevel anvisning regl kommando order ordre retning riktlinj polec regul zasad rozkaz wytyczn',
    [
      gesture(
        '(?:negeer|vergeet)(?![a-z])',
        '(?:instructie|opdracht|regel|aanwijzing|richtlijn|prompt|bevel)[a-z]{0,3}',
        '(?:vorige|voorgaande|eerdere|bovenstaande|alle|je |jouw|uw |voorafgaande)',
      ),
      gesture(
        '(?:ignorera|ignorer|glom|glem|bortse fran|se bort fra)(?![a-z])',
        '(?:instruktion|instruks|anvisning|regl|regel|kommando|prompt|order|ordre|retningslinj|riktlinj)[a-z]{0,6}',
        '(?:tidigare|foregaende|tidligere|forrige|alla|alle|dina|dine|ovan|overnfor|foregaende|forudgaende|foregående)',
      ),
      gesture(
        '(?:zignoruj|ignoruj|zapomnij|pomin)(?:cie)?(?![a-z])',
        '(?:instrukc|polece|regul|zasad|rozkaz|wytyczn|prompt)[a-z]{0,6}',
        '(?:poprzedni|wczesniej|powyzsz|wszystk|dotychczas|swoj|twoj)[a-z]{0,4}',
      ),
    ],
  ),
  latin('talimat komut yonerge kural istem direktif emir / onceki yukar tum butun daha ustteki verilen', [
    trailing(
      '(?:yok say|gormezden gel|unut|dikkate alma|goz ardi|gozardi|ihmal et|umursama|onemseme|uyma)',
      '(?:talimat|komut|yonerge|kural|istem|direktif|emir)[a-z]{0,10}',
      '(?:onceki|yukaridaki|tum|butun|daha once|ustteki|verilen)',
      32,
    ),
  ]),
  latin('qua phot quen tuan abaikan lupakan / dan lenh thi tac cau instru perintah petunjuk aturan arahan prompt', [
    gesture(
      '(?:bo qua|phot lo|quen|khong tuan theo)(?![a-z])',
      '(?:huong dan|chi dan|lenh|chi thi|quy tac|cau lenh|yeu cau)',
      '(?:truoc|o tren|ben tren|tat ca|moi )',
    ),
    gesture(
      '(?:abaikan|lupakan)(?![a-z])',
      '(?:instruksi|perintah|petunjuk|aturan|arahan|prompt)',
      '(?:sebelum|di atas|semua|terdahulu)[a-z]{0,4}',
    ),
  ]),
]

const native = (sources: readonly string[]): InjectionRule => ({
  name: 'ignore_previous',
  severity: 'high',
  stems: [],
  pattern: new RegExp(sources.join('|'), 'u'),
})

export const NATIVE_LANGUAGE_RULES: readonly InjectionRule[] = [
  native([
    gesture(
      '(?:про)?игнориру(?:й|йте|я|ем)|забудь(?:те)?|не обращай(?:те)? внимани[ея]|пренебрег(?:и|ите)|отбрось(?:те)?|(?:про)?ігноруй(?:те)?',
      '(?:инструкци|указани|команд|правил|подсказ|промпт|директив|предписани|установк|распоряжени|інструкці|вказівк|вказівок)[а-яі]{0,4}',
      '(?:предыдущ|прежн|вышеуказан|вышеизложен|вышеприведен|изначальн|первоначальн|ранее|данн|все |всех |всё |свои|твои|попередн|всі |усі |систем)[а-яі]{0,4}',
      40,
    ),
    '(?:забудь(?:те)?)[^.!?\\n]{0,10}(?:все|всё)[^.!?\\n]{0,16}(?:что (?:тебе|вам|было|я|вы|ты)|до этого|выше)',
  ]),
  native([
    '(?:忽略|无视|無視|忘记|忘記|忽視|忽视|忘掉|不要理会|不用管|抛开)[^。！？!?\\n]{0,14}(?:之前|以前|先前|前面|以上|上述|上面|前述|所有|一切|全部|你的|您的|此前|原来|原先|那些|初始|系统|系統)[^。！？!?\\n]{0,12}(?:指令|指示|提示|命令|规则|規則|说明書|说明|設定|设定|指引|限制|训练|準則|准则|规定)(?!书|框)',
    '(?:忽略|无视|無視|忘记|忘記|忘掉)[^。！？!?\\n]{0,6}(?:之前|以前|先前|前面|以上|上面|所有)(?:的)?(?:所有)?(?:内容|文字|对话|對話|訊息|信息|一切)',
  ]),
  native([
    '(?:以前|前|これまで|上記|上|先|今まで|すべて|全て|全|元|あなた|それら|以上)の?[^。！？!?\\n]{0,10}(?:指示|命令|プロンプト|指令|ルール|規則|インストラクション|ガイドライン|説明)[^。！？!?\\n]{0,12}(?:無視し|無視せ|無視す|忘れて|忘れろ|忘れなさい|破棄し|従わない|従わず)',
  ]),
  native([
    '(?:이전|앞의|앞서|위의|앞선|지금까지|모든|기존|당신의|상기)[^.!?\\n]{0,14}(?:지시|명령|지침|프롬프트|규칙|안내)[^.!?\\n]{0,12}(?:무시하|무시해|잊어|잊으|따르지)',
  ]),
  native([
    '(?:पिछल|पिछ|पूर्व|पहले|उपरोक्त|ऊपर|सभी|सब |आपके|अपने|उन )[^।!?\\n]{0,28}(?:निर्देश|आदेश|नियम|प्रॉम्प्ट|अनुदेश|हिदायत|इंस्ट्रक्शन)[^।!?\\n]{0,24}(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|नज़रअंदाज|भूल|उपेक्षा|ध्यान न|अवहेलना)',
    '(?:अनदेखा|भूल)[^।!?\\n]{0,12}(?:पिछल|पूर्व|सभी)[^।!?\\n]{0,20}(?:निर्देश|आदेश|नियम)',
  ]),
  native([
    '(?:تجاهل|تجاهلي|تجاهلوا|انسى?|إنسى?|أهمل|اهمل)(?![\\p{L}])[^.!?؟\\n]{0,16}(?:التعليمات|تعليمات|تعليماتك|الأوامر|الاوامر|التوجيهات|توجيهات|القواعد|الإرشادات|الارشادات|القيود)[^.!?؟\\n]{0,24}(?:السابقة|أعلاه|اعلاه|السالفة|الأصلية|الأولية|التي)',
    '(?:تجاهل|تجاهلي|انسى?|أهمل)(?![\\p{L}])[^.!?؟\\n]{0,10}(?:جميع|كل|كافة|كلّ)[^.!?؟\\n]{0,12}(?:التعليمات|الأوامر|الاوامر|التوجيهات|القواعد|الإرشادات|القيود)',
    '(?:دستور|دستورالعمل|دستورات|قوانین|فرمان)[^.!?؟\\n]{0,12}(?:قبلی|پیشین|بالا|سابق)[^.!?؟\\n]{0,16}(?:نادیده بگیر|فراموش کن)',
    '(?:نادیده بگیر|فراموش کن)[^.!?؟\\n]{0,16}(?:دستور|قوانین|فرمان)[^.!?؟\\n]{0,12}(?:قبلی|پیشین|بالا)',
  ]),
  native([
    '(?:התעלם|התעלמי|תתעלם|תתעלמי|שכח|תשכח)[^.!?\\n]{0,16}(?:הוראות|ההוראות|הנחיות|ההנחיות|מההוראות|מההנחיות|הפקודות|הכללים)[^.!?\\n]{0,20}(?:הקודמות|קודמות|לעיל|הקודמים|שקיבלת|שלמעלה)',
    '(?:ละเว้น|เพิกเฉย|ลืม|ไม่สนใจ|เมินเฉย)[^\\n]{0,16}(?:คำสั่ง|คำแนะนำ|คําสั่ง|คําแนะนํา|กฎ)[^\\n]{0,16}(?:ก่อนหน้า|ข้างต้น|ทั้งหมด|เดิม)',
    '(?:αγνό(?:ησε|ησέ|ήστε|ησ)|αγνοήστε|ξέχασε|ξεχάστε|ξέχνα)[^.!?\\n]{0,24}(?:προηγούμεν|παραπάνω|όλες|αρχικ)[^.!?\\n]{0,20}(?:οδηγί|εντολ|κανόν|κανόνες)',
  ]),
]
