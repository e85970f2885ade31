// Addresses that an issuer of bad will names for its page, and every program that would open them.
import { describe, expect, test } from 'vitest'
import { browserFor } from '../../src/cli/open-browser.ts'
import { OpenMcpError } from '../../src/errors.ts'
import { authorizationEndpoint, newState, requestFor } from '../../src/login/person.ts'

const HOSTILE = [
  'file:///etc/passwd',
  'file://host/share/x.exe',
  'javascript:alert(1)',
  'data:text/html,<script>x</script>',
  'vbscript:x',
  'ms-msdt:/id PCWDiagnostic',
  'search-ms:query=x',
  '\\\\host\\share\\x.exe',
  '-version',
  '--gpu-launcher=calc',
  '-a x',
  ' https://h.example/',
  'https://h.example/$(touch x)',
  'https://h.example/`touch x`',
  'https://h.example/"&calc&"',
  "https://h.example/';calc;'",
  'https://h.example/a|calc',
  'https://h.example/a\ncalc',
  'https://h.example/%0acalc',
  'https://h.example/^&calc',
  'https://h.example/%PATH%',
  'https://h.example/a b -c',
  'https://h.example/?x="&calc&"',
  'https://h.example/?x=$(touch x)&y=`z`',
  'https://h.example/#;calc',
  'https://h.example\\@evil.example/',
  'https://user:pw@h.example/',
  'https://$(id).example/',
  'https://a;b.example/',
  'http://h.example/',
]

const LAUNCHERS: readonly (readonly [NodeJS.Platform, Record<string, string>])[] = [
  ['linux', { DISPLAY: ':0' }],
  ['darwin', {}],
  ['win32', {}],
  ['linux', { BROWSER: 'firefox --new-window %s' }],
  ['win32', { BROWSER: 'C:\\Program Files\\Browser\\browser.exe' }],
]

describe.each(LAUNCHERS)('on %s with %j', (platform, env) => {
  test.each(HOSTILE)('%j is refused, or is one argument in which no program finds anything but an address', (endpoint) => {
    const url = addressOf(endpoint)
    if (!url) return
    const command = browserFor(url, { platform, env })
    const addresses = command?.args.filter((arg) => arg.includes('h.example')) ?? []
    expect(addresses).toEqual([url.href])
    expect(url.href).toMatch(/^https:\/\/h\.example\/[\w./?&=%~+*-]*$/)
  })
})

test('what is not a page is refused, and so is one that others could answer', () => {
  expect(HOSTILE.filter((endpoint) => addressOf(endpoint) === undefined)).toEqual([
    ...HOSTILE.slice(0, 11),
    'https://h.example/#;calc',
    'https://user:pw@h.example/',
    'https://$(id).example/',
    'https://a;b.example/',
    'http://h.example/',
  ])
})

/** Where a person would be sent; undefined when the login is refused before that. */
function addressOf(endpoint: string): URL | undefined {
  const server = { issuer: 'https://h.example', authorization_endpoint: endpoint, code_challenge_methods_supported: ['S256'] }
  const issuer = { server, resource: 'https://mcp.example.com/mcp', scope: undefined }
  try {
    const page = authorizationEndpoint(issuer, {})
    const request = { issuer, endpoint: page, clientId: 'mine', redirectUri: 'http://127.0.0.1:1/callback', state: newState() }
    return requestFor({ ...request, scope: undefined, indicator: undefined, jkt: undefined }).url
  } catch (thrown) {
    if (thrown instanceof OpenMcpError && thrown.code === 'login_failed') return undefined
    throw thrown
  }
}
