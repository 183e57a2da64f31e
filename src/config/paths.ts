/**
 * Names that are files on one system and something else on another. A configuration travels, so they are refused
 * everywhere: Windows device names in the last component (any extension, trailing blanks or dots, any case) and
 * NTFS stream forms (`name:stream`).
 */
const DEVICE = /^(?:con|nul|prn|aux|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$)$/i

/** What is wrong with a path given as an option, or `undefined` when nothing is. */
export function pathProblem(path: string): string | undefined {
  if (path.trim() === '') return 'expected a path, got an empty one'
  if (path.includes('\0')) return 'expected a path, got one with a NUL byte'
  const last = path.split(/[/\\]/).pop() ?? ''
  const withoutDrive = last === path && /^[A-Za-z]:$/.test(path) ? '' : last
  const [beforeStream = ''] = withoutDrive.split(':')
  const [stem = ''] = beforeStream.split('.')
  if (DEVICE.test(stem.replace(/[ \t]+$/, '')))
    return `${JSON.stringify(last)} is a Windows device name; choose another name`
  if (withoutDrive.includes(':'))
    return `${JSON.stringify(last)} holds a colon, which names an NTFS stream on Windows; choose another name`
  return undefined
}
