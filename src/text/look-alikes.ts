/**
 * Characters that a reader takes for an ASCII one, beyond what compatibility decomposition already gives (full-width,
 * mathematical alphabets, circled and parenthesised letters, Roman numerals, ligatures). After Unicode TR 39, kept to
 * shapes a reader does confuse, and to the Greek letters that stand for Latin ones in lettering (ΞLΔN, RΩCK): models read
 * those as well. Ordinary letters of other scripts without such a shape stay themselves.
 */

/** ASCII text on the left stands for each character on the right. */
const SHAPES: readonly (readonly [ascii: string, lookAlikes: string])[] = [
  // Capitals: Greek, Cyrillic, Armenian, Cherokee, Coptic, Lisu, Canadian syllabics, barred and hooked Latin.
  ['A', 'ΑАᎪᗅꓮⲀȺ𐊠ΛΔ'],
  ['B', 'ΒВᏴᗷꓐⲂƁɃ𐊂'],
  ['C', 'ϹСᏟᑕꓚⲤƇȻ𐊢'],
  ['D', 'ᎠᗞᗪꓓĐÐƊƉ'],
  ['E', 'ΕЕЄᎬꓰⲈƐΣ𐊆Ξ'],
  ['F', 'ϜҒꓝᖴƑ'],
  ['G', 'ᏀᏻꓖԌƓǤ'],
  ['H', 'ΗНҢҤꓧᎻᕼⲎĦԊ'],
  ['I', 'ΙІӀᏆꓲⲒƗ'],
  ['J', 'ЈᎫᒍꓙɈͿ'],
  ['K', 'ΚКҚҞҠꓗᏦⲔƘ'],
  ['L', 'ԼᏞᒪꓡŁȽⳐ'],
  ['M', 'ΜМᎷᗰꓟⲘϺ'],
  ['N', 'ΝꓠⲚƝŊ'],
  ['O', 'ΟОՕꓳⲞØƟΘѲଠዐΦΩ'],
  ['P', 'ΡРᏢᑭꓑⲢƤ'],
  ['Q', 'ԚⵕɊ'],
  ['R', 'ᎡᏒᖇꓣƦɌ'],
  ['S', 'ЅՏᏕᏚꓢ'],
  ['T', 'ΤТᎢꓔⲦŦƬƮȾҬ'],
  ['U', 'ՍꓴᑌɄ'],
  ['V', 'ѴᏙꓦᐯƲⴸ'],
  ['W', 'ԜᎳᏔꓪ'],
  ['X', 'ΧХҲꓫ᙭Ⲭ'],
  ['Y', 'ΥУҮҰᎩᎽꓬⲨϒƳɎ'],
  ['Z', 'ΖᏃꓜƵȤ'],
  // Small letters, with small capitals and the phonetic alphabet.
  ['a', 'αаɑɐᴀⲁⱥɒλ'],
  ['b', 'βвьЬʙɓƀⲃƄƅᖯ'],
  ['c', 'ϲсᴄƈɕȼⲥ'],
  ['d', 'ԁᴅɖɗđðᑯδ'],
  ['e', 'εеєᴇɘəɛɜⲉҽ℮ǝξ'],
  ['f', 'ƒғꜰẝ'],
  ['g', 'ɡɢɠցǥƍԍ'],
  ['h', 'нһҺңʜɦħհⲏԋɥ'],
  ['i', 'ιіıɪɨɩӀⲓᎥⵑ'],
  ['j', 'јϳᴊʝɟյɉ'],
  ['k', 'κкқҟҡᴋƙⲕʞ'],
  ['l', 'ӏʟłƚɭɫɬǀⅼ'],
  ['m', 'мᴍɱɯⲙ'],
  ['n', 'ηпոռɴɲɳŋƞⲛ'],
  ['o', 'οоσօᴏɵøөⲟჿഠဝθφ'],
  ['p', 'ρрᴘƥⲣþ'],
  ['q', 'ԛզʠɋգ'],
  ['r', 'гʀɾɼɽɹɍⲅᴦ'],
  ['s', 'ѕʂʃςꜱƨȿ'],
  ['t', 'τтᴛʈŧƫƭⲧҭʇ'],
  ['u', 'υսᴜʉʊμцꞟ'],
  ['v', 'νѵᴠʋ'],
  ['w', 'ωԝաᴡʍѡɯ'],
  ['x', 'χхҳⲭ×'],
  ['y', 'γуүұʏƴɏʎⲩყ'],
  ['z', 'ᴢʐʑƶȥ'],
  ['AE', 'Æ'],
  ['ae', 'æ'],
  ['OE', 'Œ'],
  ['oe', 'œ'],
  ['ss', 'ß'],
  ['SS', 'ẞ'],
  ['3', 'ЗзƷӠʒ'],
  ['4', 'Ꮞ'],
  ['6', 'бᏮ'],
  ['10', '❿➉➓⓾'],
  // Punctuation that markers, keys and contractions are written with.
  ['-', '‐‑‒–—―−⁃﹘➖˗⸺'],
  ['/', '⁄∕╱⟋⧸'],
  ['\\', '∖⧵⟍╲'],
  ["'", '‘’‛′ʹʻʼʽˈˊ՚ꞌ´'],
  ['"', '“”„‟″ʺ'],
  ['.', '۔܂'],
  [',', '‚،'],
  [':', '∶ː׃։꞉'],
  ['*', '∗٭⁎'],
  ['|', '∣｜'],
  ['_', 'ˍ'],
  ['<', '‹ᐸ'],
  ['>', '›ᐳ'],
  ['!', 'ǃ'],
  [' ', '⠀'],
]

/** Runs with no decomposition: first code point, last code point, ASCII of the first. */
const RUNS: readonly (readonly [first: number, last: number, ascii: string])[] = [
  [0x1f150, 0x1f169, 'A'], // negative circled
  [0x1f170, 0x1f189, 'A'], // negative squared
  [0x1f1e6, 0x1f1ff, 'A'], // regional indicators
  [0x2776, 0x277e, '1'], // negative circled digits
  [0x2780, 0x2788, '1'], // circled sans-serif digits
  [0x278a, 0x2792, '1'], // negative circled sans-serif digits
  [0x24f5, 0x24fd, '1'], // double circled digits
  [0x24ff, 0x24ff, '0'],
]

function build(): ReadonlyMap<number, string> {
  const map = new Map<number, string>()
  for (const [ascii, lookAlikes] of SHAPES) {
    for (const character of lookAlikes) {
      const point = character.codePointAt(0)
      if (point !== undefined && point > 0x7f && !map.has(point)) map.set(point, ascii)
    }
  }
  for (const [first, last, ascii] of RUNS) {
    for (let point = first; point <= last; point++) {
      map.set(point, String.fromCharCode(ascii.charCodeAt(0) + point - first))
    }
  }
  // The small Cherokee letters (U+AB70...) have the shapes of the capitals.
  for (let point = 0xab70; point <= 0xabbf; point++) {
    const capital = map.get(point - 0xab70 + 0x13a0)
    if (capital !== undefined) map.set(point, capital.toLowerCase())
  }
  return map
}

/** Code point to the ASCII text it looks like. */
export const LOOK_ALIKES: ReadonlyMap<number, string> = build()
