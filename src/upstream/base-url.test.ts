import { describe, expect, it } from 'vitest'
import { parseBaseUrl, UpstreamSettingError } from './base-url.ts'

describe('base URL', () => {
  it.each([
    ['https://api.openai.com/v1', 'https://api.openai.com', '/v1', 'api.openai.com', true, false],
    ['https://api.openai.com/v1///', 'https://api.openai.com', '/v1', 'api.openai.com', true, false],
    ['https://api.openai.com:443', 'https://api.openai.com', '', 'api.openai.com', true, false],
    [' http://localhost:11434/v1\n', 'http://localhost:11434', '/v1', 'localhost:11434', false, false],
    ['http://127.8.9.1:80/', 'http://127.8.9.1', '', '127.8.9.1', false, false],
    ['http://[::1]:9/a/b/', 'http://[::1]:9', '/a/b', '[::1]:9', false, false],
    ['http://10.0.0.5:8000/v1', 'http://10.0.0.5:8000', '/v1', '10.0.0.5:8000', false, true],
    ['http://127.0.0.1.evil.example', 'http://127.0.0.1.evil.example', '', '127.0.0.1.evil.example', false, true],
  ])('%s', (text, origin, path, label, secure, exposed) => {
    expect(parseBaseUrl(text)).toEqual({ origin, path, label, secure, exposed })
  })

  it.each([
    ['', /empty/],
    ['api.openai.com/v1', /not a URL/],
    ['localhost:11434', /uses localhost:/],
    ['ftp://host/', /uses ftp:/],
    ['file:///etc/passwd', /uses file:/],
    ['https://user:hunter2@host/v1', /user name or password/],
    ['https://hunter2@host/v1', /user name or password/],
    ['https://host/v1?key=hunter2', /query/],
    ['https://host/v1?', /query/],
    ['https://host/v1#hunter2', /fragment/],
    ['https://ho\tst/v1', /blank/],
    ['https://host\u00a0/v1', /blank/],
    ['https://host\u200b/v1', /invisible/],
    ['https://ho\ufeffst/v1', /invisible/],
    ['https://ho\u202est/v1', /invisible/],
    ['https://ho\u0085st/v1', /blank|control|invisible/],
    ['https://host/v1\u2028', /blank|invisible/],
    ['\ufeffhttps://host/v1', /invisible/],
    ['https://host/v1\u00a0', /blank/],
    ['https:\\\\host\\v1', /backslash/],
    ['https://', /not a URL/],
  ])('%s is refused, in one line that repeats no secret', (text, message) => {
    let thrown: unknown
    try {
      parseBaseUrl(text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(UpstreamSettingError)
    const { message: said } = thrown as UpstreamSettingError
    expect(said).toMatch(message)
    expect(said).not.toMatch(/hunter2|\n/)
  })
})
