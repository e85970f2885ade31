// `mcpServers` as people bring it from other programs, and everything that can be wrong in it.
import { describe, expect, test } from 'vitest'

import type { Filling } from '../../src/config/fill.ts'
import { readConfig, type ReadConfig } from '../../src/config/config.ts'

const FILES = new Map([
  ['secrets/token', 's3cret\n'],
  ['empty', ''],
  ['large', 'x'.repeat(70_000)],
])
const FILLING: Filling = {
  env: { TOKEN: 'from-env', EMPTY: '' },
  readText(path) {
    const text = FILES.get(path)
    if (text === undefined) throw new Error('ENOENT')
    return text
  },
}

function read(text: string): { servers: ReadConfig['servers']; mistakes: string[]; warnings: string[] } {
  const { servers, mistakes, warnings } = readConfig(`{ "mcpServers": ${text} }`, FILLING)
  const told = ({ path, words }: { path: string; words: string }): string => `${path.replace(/^mcpServers\.?/, '')}: ${words}`
  return { servers, mistakes: mistakes.map(told), warnings: warnings.map(told) }
}

const entryOf = (entry: object): unknown => {
  const { servers, mistakes } = read(JSON.stringify({ one: entry }))
  expect(mistakes).toEqual([])
  return servers?.get('one')
}
const mistakesOf = (entry: object): string[] => read(JSON.stringify({ one: entry })).mistakes

describe('mcpServers is read as it is written for', () => {
  test('Claude Desktop', () => {
    expect(entryOf({ command: 'npx', args: ['-y', 'server-filesystem', '/tmp'], env: { KEY: 'value' } })).toMatchObject({
      kind: 'command',
      command: 'npx',
      args: ['-y', 'server-filesystem', '/tmp'],
      env: new Map([['KEY', 'value']]),
    })
  })

  test('mcp-proxy, with comments, and an entry that is switched off and could not be filled in', () => {
    const { servers, mistakes } = read(`{
      // fetches
      "fetch": { "enabled": true, "timeout": 60, "command": "uvx", "args": ["mcp-server-fetch"], "transportType": "stdio" },
      "github": { "disabled": true, "command": "npx", "env": { "GITHUB_TOKEN": "\${NOT_SET}" } },
    }`)
    expect(mistakes).toEqual([])
    expect([...(servers ?? [])]).toMatchObject([['fetch', { command: 'uvx', timeoutSeconds: 60 }]])
  })

  test.each(['streamable-http', 'streamable_http', 'streamablehttp', 'http'])('mcpo, with the type %s', (type) => {
    expect(entryOf({ type, url: 'https://host/mcp', headers: { Authorization: 'Bearer x' }, disabled_tools: ['rm'] })).toMatchObject({
      kind: 'remote',
      endpoints: [[new URL('https://host/mcp')]],
      transport: 'http',
      headers: new Map([['Authorization', 'Bearer x']]),
      blockedTools: ['rm'],
    })
  })

  test('Cline and Kiro, whose own members change nothing here and are told', () => {
    const { mistakes, warnings } = read('{"one":{"command":"x","autoApprove":["a"],"alwaysAllow":[],"description":"d"}}')
    expect(mistakes).toEqual([])
    expect(warnings).toEqual(['autoApprove', 'alwaysAllow', 'description'].map((name) => `one.${name}: is for another program, and changes nothing here`))
  })
})

describe('texts are filled in', () => {
  test.each([
    ['${TOKEN}', 'from-env'],
    ['${env:TOKEN}', 'from-env'],
    ['Bearer ${TOKEN}, ${TOKEN}', 'Bearer from-env, from-env'],
    ['${file:secrets/token}', 's3cret'],
    ['${file:empty}', ''],
    ['${EMPTY}', ''],
    ['${EMPTY:-other}', 'other'],
    ['${NOT_SET:-}', ''],
    ['${NOT_SET:-a:-b}', 'a:-b'],
    ['$${TOKEN}', '${TOKEN}'],
    ['$TOKEN $(id) `id`', '$TOKEN $(id) `id`'],
  ])('%s', (text, value) => {
    expect(entryOf({ command: 'x', env: { A: text } })).toMatchObject({ env: new Map([['A', value]]) })
  })

  test.each([
    ['${NOT_SET}', 'needs the variable NOT_SET, which is not set'],
    ['${file:none}', 'needs the file "none", which cannot be read'],
    ['${file:large}', 'needs the file "large", which is larger than 64 KiB'],
    ['${input:token}', 'has a ${} that is not known'],
    ['${cmd: id}', 'has a ${} that is not known'],
    ['${}', 'has a ${} that is not known'],
    ['${TOKEN', 'has a ${ without its }'],
  ])('not %s', (text, words) => {
    const [mistake, ...others] = mistakesOf({ command: 'x', args: ['a', text] })
    expect(mistake).toContain(`one.args[1]: ${words}`)
    expect(others).toEqual([])
  })

  test('what was filled in is not looked at again, and names are left alone', () => {
    FILES.set('nested', '${TOKEN}')
    expect(entryOf({ command: '${file:nested}', env: { '${TOKEN}': 'a' } })).toMatchObject({ command: '${TOKEN}', env: new Map([['${TOKEN}', 'a']]) })
  })
})

test('ten mistakes are told at once, each with its path, and none with its value', () => {
  const { servers, mistakes } = read(`{
    "a": { "comand": "npx" },
    "b": { "command": "npx", "args": "hunter2", "env": { "A B": "hunter2", "C": 1 } },
    "c": { "command": "x", "url": "https://hunter2" },
    "d": { "url": "https://host", "args": [], "type": "stdio" },
    "e/f": { "command": "x" },
    "g": { "command": "x", "enabled": true, "disabled": true },
    "h": { "command": "x", "headerToEnv": { "X-Path": "PATH", "X-Opt": "NODE_OPTIONS", "X-Mine": "MY_TOKEN" } },
    "i": 7
  }`)
  expect([...servers.keys()]).toEqual([])
  expect(mistakes.map((one) => one.split(': ')[0])).toEqual([
    'a.comand',
    'b.args',
    'b.env."A B"',
    'b.env.C',
    'c',
    'd',
    'd',
    '"e/f"',
    'g',
    'h.headerToEnv.X-Path',
    'h.headerToEnv.X-Opt',
    'i',
  ])
  expect(mistakes[0]).toBe('a.comand: is not known; did you mean command')
  expect(mistakes.join()).not.toContain('hunter2')
})

test.each([
  ['PATH', 'ld_preload', 'DYLD_INSERT_LIBRARIES', 'NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'HTTPS_PROXY', 'no_proxy', 'PYTHONPATH', 'PYTHONSTARTUP', 'BASH_ENV'],
  [
    'npm_config_registry',
    'UV_INDEX_URL',
    'PIP_INDEX_URL',
    'GIT_SSH_COMMAND',
    'JAVA_TOOL_OPTIONS',
    'PERL5OPT',
    'RUBYOPT',
    'SSL_CERT_FILE',
    'HOME',
    'OPENMCP_HOME',
  ],
  [
    'KUBECONFIG',
    'aws_config_file',
    'RUSTC_WRAPPER',
    'GOFLAGS',
    'PHPRC',
    'PHP_INI_SCAN_DIR',
    'XDG_CONFIG_HOME',
    'DOCKER_HOST',
    'ELECTRON_RUN_AS_NODE',
    'HOSTALIASES',
  ],
])('a caller cannot set %s, %s, … of its child', (...variables) => {
  for (const variable of variables) expect([variable, mistakesOf({ command: 'x', headerToEnv: { 'X-A': variable } }).length]).toEqual([variable, 1])
})

test.each(['cookie', 'DPoP', 'Proxy-Authorization', 'Accept', 'Last-Event-ID'])('%s of a caller is no variable of its child', (header) => {
  expect(mistakesOf({ command: 'x', headerToEnv: { [header]: 'MY_TOKEN' } })).toHaveLength(1)
})

test('a key that a caller has for the server may be: whether it proves somebody to us is seen at the start', () => {
  for (const header of ['Authorization', 'X-API-Key']) expect(mistakesOf({ command: 'x', headerToEnv: { [header]: 'MY_TOKEN' } })).toEqual([])
})

test('nor does a child of all take a header of one', () => {
  expect(mistakesOf({ command: 'x', headerToEnv: { 'X-A': 'A' }, isolation: 'shared' })).toHaveLength(1)
})

test.each(['authorization', 'Cookie', 'DPoP', 'x-api-key', 'Host'])('%s of a caller never goes on', (name) => {
  expect(mistakesOf({ url: 'https://host/mcp', forwardHeaders: ['x-tenant', name] })).toEqual([expect.stringMatching(/^one\.forwardHeaders\[1\]: /)])
})

test.each([
  ['[', 'column 2: close bracket expected'],
  ['', 'column 1: value expected'],
  ['{"mcpServers":{"a":{},"a":{}}}', 'is there twice'],
  ['['.repeat(100_000), 'has more than 64 levels'],
  [' '.repeat(1024 * 1024 + 1), 'is larger than 1024 KiB'],
  ['[]', 'is not an object'],
])('%.20s is refused', (text, words) => {
  expect(readConfig(text, FILLING).mistakes.map((told) => told.words)).toContain(words)
})

test('names of JavaScript are names like others', () => {
  const { servers, mistakes } = read('{"__proto__":{"command":"x"},"constructor":{"command":"y"},"toString":{"comand":"z","__proto__":{}}}')
  expect([...servers.keys()]).toEqual(['__proto__', 'constructor'])
  expect(mistakes.map((one) => one.split(':')[0])).toEqual(['toString.comand', 'toString.__proto__'])
})

describe('what a remote server asks for besides', () => {
  const url = 'https://host/mcp'

  test('is said by oauth, tls and retry', () => {
    const oauth = { clientId: 'us', clientSecret: 's3cret', tokenUrl: 'https://id.example/token', resource: 'none', scope: 'a b' }
    expect(entryOf({ url, oauth, tls: { ca: 'ca.pem' }, retry: { attempts: 5, idempotent: false }, stateless: true })).toMatchObject({
      oauth: { ...oauth, grant: 'client_credentials', issuer: undefined },
      tls: { ca: 'ca.pem', verify: true },
      retry: { attempts: 5, delayMs: undefined },
      stateless: true,
    })
  })

  test('may be what mcpo says: its scope and its list of headers are taken, what is found out here is told', () => {
    const oauth = {
      server_url: 'https://host',
      storage_type: 'file',
      use_loopback: true,
      client_metadata: { client_name: 'mcpo', scope: 'read' },
      multi_user: false,
    }
    const forwarding = { enabled: true, whitelist: ['X-User', 'X-Trace'], blacklist: ['x-tr*'], debug_headers: true }
    const { servers, mistakes, warnings } = read(JSON.stringify({ one: { url, type: 'streamable-http', oauth, client_header_forwarding: forwarding } }))
    expect(mistakes).toEqual([])
    expect(servers?.get('one')).toMatchObject({ oauth: { grant: 'code', scope: 'read' }, forwardHeaders: ['x-user'] })
    expect(warnings.map((warning) => warning.split(':')[0])).toEqual([
      ...['server_url', 'storage_type', 'use_loopback', 'client_metadata.client_name'].map((name) => `one.oauth.${name}`),
      'one.client_header_forwarding.debug_headers',
    ])
  })

  test.each([
    [{ multi_user: true }, 'caller'],
    [{ per: 'caller' }, 'caller'],
    [{ multi_user: false }, 'all'],
    [{}, 'all'],
  ])('a login with %j is one per %s', (oauth, per) => {
    expect(entryOf({ url, oauth })).toMatchObject({ oauth: { per } })
  })

  test('whose session timeout is for callers alone, and else told to change nothing', () => {
    const { servers, mistakes, warnings } = read(
      JSON.stringify({ one: { url, oauth: { multi_user: true, session_timeout_minutes: 30 } }, two: { url, oauth: { session_timeout_minutes: 30 } } }),
    )
    expect(mistakes).toEqual([])
    expect(servers?.get('one')).toMatchObject({ oauth: { per: 'caller', sessionTimeoutMinutes: 30, trustPkce: false } })
    expect(warnings).toEqual(['two.oauth: the session timeout is for logins per caller, and changes nothing for one of all'])
  })

  test('of headers of callers nothing goes on while mcpo would send nothing on', () => {
    expect(entryOf({ url, client_header_forwarding: { enabled: false, whitelist: ['X-User'] } })).toMatchObject({ forwardHeaders: [] })
  })

  test.each<[object, string]>([
    [{ oauth: { clientSecret: 's' } }, 'clientSecret needs a clientId'],
    [{ oauth: { grant: 'client_credentials', clientId: 'us' } }, 'client_credentials needs a clientId and a clientSecret'],
    [{ oauth: { grant: 'device', clientId: 'us', tokenUrl: 'https://id.example/token' } }, 'tokenUrl is for client_credentials'],
    [{ oauth: { grant: 'password' } }, 'oauth.grant: must be one of'],
    [{ oauth: { tokenUrl: 'http://id.example/token', clientId: 'us', clientSecret: 's' } }, 'oauth.tokenUrl: must be an https URL'],
    [{ oauth: { issuer: 'http://127.0.0.1.evil.example' } }, 'oauth.issuer: must be an https URL'],
    [{ oauth: { resource: 'https://user@host/' } }, 'oauth.resource: must be a URL'],
    [{ oauth: { multi_user: true, per: 'caller' } }, 'multi_user says again what per says'],
    [{ oauth: { trustPkce: true, grant: 'device' } }, 'trustPkce is for people who log in'],
    [{ oauth: { per: 'caller', sessionTimeoutMinutes: 0 } }, 'oauth.sessionTimeoutMinutes: must be'],
    [{ oauth: { per: 'caller', sessionTimeoutMinutes: 5, session_timeout_minutes: 5 } }, 'says again what sessionTimeoutMinutes says'],
    [{ oauth: { per: 'caller', grant: 'device' } }, 'per caller is for people who log in'],
    [{ oauth: { multi_user: true, clientId: 'us', clientSecret: 's', tokenUrl: 'https://id.example/token' } }, 'per caller is for people who log in'],
    [{ oauth: { clientID: 'us' } }, 'oauth.clientID: is not known; did you mean clientId'],
    [{ oauth: {}, id: 'me' }, 'oauth and id both say who we are'],
    [{ oauth: {}, headers: { authorization: 'Bearer x' } }, 'oauth and the header Authorization both say who we are'],
    [{ client_header_forwarding: { enabled: true, whitelist: ['X-User-*'] } }, 'whitelist[0]: is a pattern'],
    [{ client_header_forwarding: { enabled: true, whitelist: ['Authorization'] } }, 'whitelist[0]: is a header that never goes on'],
    [{ tls: { verify: 'no' } }, 'tls.verify: must be true or false'],
    [{ fallback: ['tcp://127.0.0.1:1'] }, 'several that are one are all http(s)://, or all tcp:// and ws(s)://'],
    [{ retry: { idempotent: true } }, 'retry.idempotent: is not built yet'],
    [{ retry: { attempts: -1 } }, 'retry.attempts: must be a whole number from 0 to 100'],
    [{ stateless: true, isolation: 'session' }, 'stateless makes no session'],
  ])('%j is a mistake', (wrong, words) => {
    const mistakes = mistakesOf({ url, ...wrong })
    expect(mistakes).toHaveLength(1)
    expect(mistakes[0]).toContain(words)
  })
})

test('what is secret is known by where it comes from, and by what it is called', () => {
  const text = JSON.stringify({
    mcpServers: {
      a: { command: '${env:PLAIN}', args: ['--x', '${MY_TOKEN}'], env: { API_KEY: 'in-the-file', MODE: 'fast', AUTH_MODE: 'session' } },
      b: { url: 'https://h/${file:secrets/token}', headers: { Authorization: 'Bearer of-a-header', 'X-Team': 'blue' } },
      off: { command: '${OTHER_TOKEN}', disabled: true },
    },
  })
  const { secrets, mistakes } = readConfig(text, { ...FILLING, env: { PLAIN: 'program', MY_TOKEN: 'of-the-environment' } })
  expect(mistakes).toEqual([])
  expect(new Set(secrets)).toEqual(new Set(['of-the-environment', 's3cret', 'in-the-file', 'Bearer of-a-header', 'of-a-header']))
})
