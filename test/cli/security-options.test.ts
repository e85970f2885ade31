import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { parseConfig } from '../../src/cli/config-file.ts'
import type { Machine } from '../../src/cli/machine.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions, type RunOptions } from '../../src/cli/run-options.ts'
import type { OpenMcpError } from '../../src/errors.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'

const KEY = 'QkM3eGp6V1J5dU5tT2FzZGZnaGprbDs4'
const OTHER_KEY = 'c1e0f7a29b6d43858e21d0947f3a6bc5'
const served = ['-p', '8000', 'x']

const typed = (args: string[], machine: Machine = machineWith()): RunOptions => runOptions(readArguments(args, RUN_OPTIONS), machine, parseConfig)
const securityOf = (args: string[], machine?: Machine) => typed(['--security', ...args, ...served], machine).options.security

const refusalOf = (args: string[], machine?: Machine): OpenMcpError => refusalIn(args.join(' '), () => typed(args, machine))

describe('--security', () => {
  test('has defaults that let nobody in', () => {
    expect(typed(['--security', ...served])).toMatchObject({
      options: {
        security: {
          keys: '/home/ann/.openmcp/keys',
          store: 'file:/home/ann/.openmcp/store.db',
          trust: { identities: [], issuers: [], selfIssued: true },
          apiKeys: [],
          tokenSeconds: 900,
          dpop: 'optional',
          trustLoopback: false,
        },
      },
      warnings: [],
    })
  })

  test('is not there unless asked for', () => {
    expect('security' in typed(served).options).toBe(false)
  })

  test('takes what is typed', () => {
    const args = ['--keys', 'k', '--store', 'memory:', '--dpop', 'nonce', '--token-life', '60', '--trust-loopback']
    expect(securityOf(args)).toMatchObject({ keys: '/home/ann/k', store: 'memory:', dpop: 'nonce', tokenSeconds: 60, trustLoopback: true })
  })

  test.each([
    ['file:data/s.db', 'file:/home/ann/data/s.db'],
    ['file:~/s.db', 'file:~/s.db'],
    ['file:///var/s.db', 'file:///var/s.db'],
  ])('--store %s', (text, store) => {
    expect(securityOf(['--store', text])).toMatchObject({ store })
  })

  test.each(['redis://user:hunter2@host', 's.db', 'file:', 'postgres://u:hunter2@h', 'memory:x'])('--store %s is refused, and not repeated', (text) => {
    const { message, hint } = refusalOf(['--security', '--store', text, ...served])
    expect(message).toMatch(/^--store: /)
    expect(hint).toBe('--store takes file:PATH or memory:')
    expect(message).not.toContain('hunter2')
  })

  test.each([
    ['--dpop', 'maybe'],
    ['--token-life', '59'],
    ['--token-life', '3601'],
    ['--token-life', '1.5'],
    ['--key-server', 'http://keys.example'],
    ['--key-server', 'https://keys.example/?x'],
    ['--key-server', 'keys.example'],
    ['--key-server', 'https://keys.example'],
    ['--key-server-id', 'a b'],
    ['--key-server-id', 'default'],
  ])('%s %s is refused', (option, value) => {
    expect(refusalOf(['--security', option, value, ...served])).toMatchObject({ code: 'usage', message: expect.stringContaining(option) })
  })

  test.each([[['--security', 'x']], [['--security', '-p', 'https://host/mcp']]])('%s: on stdio there is nobody to ask, so it is refused', (args) => {
    expect(refusalOf(args)).toMatchObject({ code: 'usage', message: '--security asks callers who they are, and on stdio there is nobody to ask' })
  })

  test.each([
    ['--store', 'memory:'],
    ['--api-key', KEY],
    ['--api-key-file', 'keys'],
    ['--token-life', '60'],
    ['--trust-loopback'],
    ['--key-server', 'https://keys.example'],
    ['--key-server-id', 'default'],
  ])('%s without it is refused, not ignored', (...args) => {
    const { message, hint } = refusalOf([...args, ...served])
    expect({ message, hint }).toEqual({ message: `${args[0]} is for --security, and nobody is asked who they are here`, hint: 'add --security' })
  })

  test.each([
    ['--keys', 'k'],
    ['--dpop', 'required'],
  ])('%s without it or --id is refused', (...args) => {
    expect(refusalOf([...args, ...served]).message).toBe(`${args[0]} is for --security or --id, and there is neither`)
  })

  test('takes a key server, from the command line, from the file, or in part from each', () => {
    const file = '{"security":{"keyServer":{"url":"https://keys.example/at","id":"default"}}}'
    const keyServerOf = (args: string[], text = '{}') => {
      const keyServer = securityOf([...args, '--config', 'c.json'], machineWith({ files: { 'c.json': text } }))?.keyServer
      return keyServer && [keyServer.url.href, keyServer.id]
    }
    expect(keyServerOf([])).toBeUndefined()
    expect(keyServerOf([], file)).toEqual(['https://keys.example/at', 'default'])
    expect(keyServerOf(['--key-server-id', 'proxy'], file)).toEqual(['https://keys.example/at', 'proxy'])
    expect(keyServerOf(['--key-server', 'http://127.0.0.1:1', '--key-server-id', 'x'])).toEqual(['http://127.0.0.1:1/', 'x'])
  })

  test('does not repeat the URL of a key server, which may hold a password', () => {
    const { message, hint } = refusalOf(['--security', '--key-server', 'https://u:hunter2@keys.example', '--key-server-id', 'x', ...served])
    expect(message).toBe('--key-server: not the URL of a server')
    expect(`${message}${hint}`).not.toContain('hunter2')
  })

  test('and --insecure-no-auth contradict each other', () => {
    expect(refusalOf(['--security', '--insecure-no-auth', ...served])).toMatchObject({ code: 'usage', hint: 'drop one of them' })
  })
})

describe('listening beyond loopback with --security', () => {
  const open = ['--security', '-p', '0.0.0.0:8000']

  test('needs no other word, and warns that tokens can be read on their way', () => {
    expect(typed([...open, 'x']).warnings).toEqual([expect.stringMatching(/^listening on 0\.0\.0\.0 without TLS: tokens can be read on their way; /)])
    expect(typed([...open, '--public-url', 'http://mcp.example', 'x']).warnings).toHaveLength(1)
  })

  test('behind a TLS proxy warns of nothing', () => {
    const { options, warnings } = typed([...open, '--public-url', 'https://mcp.example', 'x'])
    expect(warnings).toEqual([])
    expect(options.listen?.publicUrl?.href).toBe('https://mcp.example/')
  })
})

describe('API keys', () => {
  test('come from files, the command line and the environment, each once', () => {
    const files = { keys: `# of the build machine\n\n${KEY}\r\n${OTHER_KEY}\n`, env: `${OTHER_KEY}x` }
    const machine = machineWith({ files, env: { OPENMCP_API_KEY: `${KEY}y`, OPENMCP_API_KEY_FILE: 'env' } })
    expect(securityOf(['--api-key-file', 'keys', '--api-key', KEY], machine)?.apiKeys).toEqual([KEY, OTHER_KEY, `${KEY}y`, `${OTHER_KEY}x`])
  })

  test('on the command line work and warn; the warning does not hold the key', () => {
    const { warnings } = typed(['--security', '--api-key', KEY, ...served])
    expect(warnings).toEqual([expect.stringContaining('--api-key: other programs of this machine can read a command line')])
    expect(warnings.join('')).not.toContain(KEY)
  })

  test.each([
    ['short', KEY.slice(0, 31), 'too short'],
    ['one letter', 'a'.repeat(40), 'guessed'],
    ['a pattern', '0123456789abcdef0123456789abcdef', 'guessed'],
    ['an example', 'changeme-changeme-1234-changeme-now', 'guessed'],
    ['a placeholder', 'your-api-key-goes-here-0000000000', 'guessed'],
    ['a word', 'this-is-my-password-do-not-tell-it-to-bob', 'guessed'],
    ['a key with a space', `${KEY} ${KEY}`, 'no header can carry'],
    ['a key with a letter that no header has', `${KEY}ü`, 'no header can carry'],
    ['very long', KEY.repeat(20), 'no header can carry'],
  ])('that are %s are refused, and not repeated', (_what, key, words) => {
    for (const [args, machine] of [
      [['--api-key', key], machineWith()],
      [[], machineWith({ env: { OPENMCP_API_KEY: key } })],
      [['--api-key-file', 'f'], machineWith({ files: { f: key } })],
    ] as const) {
      const { code, message, hint } = refusalOf(['--security', ...args, ...served], machine)
      expect({ code, message }).toEqual({ code: 'usage', message: expect.stringContaining(words) })
      expect(`${message} ${hint}`).not.toContain(key)
    }
  })

  test('in a file are told by line, and a file without one is refused', () => {
    const files = { f: `${KEY}\nshort\n`, empty: '# nothing\n' }
    expect(refusalOf(['--security', '--api-key-file', 'f', ...served], machineWith({ files })).message).toBe('f:2: the key is too short')
    expect(refusalOf(['--security', '--api-key-file', 'empty', ...served], machineWith({ files })).message).toBe('empty holds no key')
  })

  test('in the environment of a port that asks nobody are a misunderstanding', () => {
    const machine = machineWith({ env: { OPENMCP_API_KEY: KEY } })
    expect(refusalOf(served, machine).message).toBe('OPENMCP_API_KEY is set, and nobody is asked for a key')
    expect(typed(['x'], machine).warnings).toEqual([])
  })
})

describe('--id', () => {
  test.each([[['-p', 'https://host/mcp', '--id', 'me']], [['-p', '8001:https://host/mcp', '--id', 'me']], [['https://host/mcp', '--id', 'me']]])(
    '%s: the identity that is proved to the upstream',
    (args) => {
      expect(typed(args).proof).toEqual({ login: { name: 'me', keys: '/home/ann/.openmcp/keys', resource: new URL('https://host/mcp'), bound: false } })
    },
  )

  test('--dpop required binds our token, except where --dpop is about our own callers', () => {
    expect(typed(['https://host/mcp', '--id', 'me', '--dpop', 'required', '--keys', 'k']).proof).toMatchObject({
      login: { name: 'me', keys: '/home/ann/k', bound: true },
    })
    expect(typed(['-p', '8001:https://host/mcp', '--security', '--id', 'me', '--dpop', 'required'])).toMatchObject({
      proof: { login: { bound: false } },
      options: { security: { dpop: 'required' } },
    })
  })

  test('is for an upstream', () => {
    expect(refusalOf(['--id', 'me', ...served]).message).toContain('--id is for an upstream')
  })

  test('and an Authorization header contradict each other', () => {
    expect(refusalOf(['https://host/mcp', '--id', 'me', '-H', 'Authorization: Bearer x']).message).toBe('--id and a header authorization both say who we are')
  })

  test.each(['../x', '', 'a/b', '.hidden'])("'%s' is no name", (name) => {
    expect(refusalOf(['https://host/mcp', `--id=${name}`]).message).toMatch(/^--id/)
  })
})

describe('--config', () => {
  const withConfig = (text: string, args: string[] = []) => securityOf(['--config', 'c.json', ...args], machineWith({ files: { 'c.json': text } }))
  const refusedConfig = (text: string) => refusalOf(['--security', '--config', 'c.json', ...served], machineWith({ files: { 'c.json': text } }))

  test('has comments, trust and security', () => {
    const text = `\uFEFF{
      // who may call
      "trust": {
        "identities": [{ "id": "did:web:ann.example", "scopes": ["mcp:tools"], "tools": ["search_*"], "until": "2027-01-31" }, { "id": "did:web:*.example" }],
        "issuers": [
          { "issuer": "https://idp.example", "audience": "mcp", "jwksUri": "https://idp.example/keys", "identityClaim": "email" },
          { "issuer": "spiffe://example", "did": "did:web:spire.example", "reusable": true },
          { "issuer": "other", "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "x" }] } },
        ],
        "selfIssued": false,
      },
      "security": { "dpop": "required", "tokenLife": 120, "trustLoopback": true } /* that is all */
    }`
    expect(withConfig(text)).toMatchObject({
      trust: {
        identities: [{ id: 'did:web:ann.example', scopes: ['mcp:tools'], tools: ['search_*'], untilMs: Date.UTC(2027, 0, 31) }, { id: 'did:web:*.example' }],
        issuers: [
          { issuer: 'https://idp.example', audience: 'mcp', jwksUri: 'https://idp.example/keys', identityClaim: 'email' },
          { issuer: 'spiffe://example', did: 'did:web:spire.example', reusable: true },
          { issuer: 'other', jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'x' }] } },
        ],
        selfIssued: false,
      },
      dpop: 'required',
      tokenSeconds: 120,
      trustLoopback: true,
    })
  })

  test('goes behind what is typed', () => {
    expect(withConfig('{"security":{"dpop":"required","tokenLife":120}}', ['--dpop', 'nonce', '--token-life', '60'])).toMatchObject({
      dpop: 'nonce',
      tokenSeconds: 60,
    })
  })

  test('with trust.any trusts any identity', () => {
    expect(withConfig('{"trust":{"any":true}}')?.trust.identities).toEqual([{ id: 'any' }])
    expect(withConfig('{"trust":{"any":false}}')?.trust.identities).toEqual([])
  })

  test('writes a DID as it will be proved', () => {
    const wallet = 'did:pkh:eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    expect(withConfig(`{"trust":{"identities":[{"id":"${wallet}"}]}}`)?.trust.identities).toEqual([{ id: wallet.toLowerCase() }])
  })

  test('tells every mistake at once, each with its path', () => {
    const { code, message } = refusedConfig(`{
      "trust": { "identities": [{ "id": "bob" }, { "id": "any", "role": "x" }], "any": "yes", "extra": 1, "issuers": [{ "jwksUri": "http://far.example" }, 3] },
      "security": { "dpop": true, "tokenLife": 5, "trustLoopback": 1 },
      "nope": 1
    }`)
    expect(code).toBe('usage')
    const mistakes = message
      .split('; ')
      .filter((part) => part.startsWith('c.json:'))
      .map((part) => /^c\.json:(\d+: \S+):/.exec(part)?.[1])
    expect(mistakes).toEqual([
      '2: trust.identities[0]',
      '2: trust.identities[1].role',
      '2: trust.any',
      '2: trust.extra',
      '2: trust.issuers[0].jwksUri',
      '2: trust.issuers[0].issuer',
      '2: trust.issuers[1]',
      '3: security.dpop',
      '3: security.tokenLife',
      '3: security.trustLoopback',
      '4: nope',
    ])
  })

  test.each<[string, string]>([
    ['', 'column 1: value expected'],
    ['[]', 'is not an object'],
    ['{"trust": }', 'column 11: value expected'],
    ['{"security":{"dpop":"nonce","dpop":"optional"}}', 'security.dpop: is there twice'],
    ['{"trust":[]}', 'trust: must be an object'],
    ['{"security":{"keyServer":"https://keys.example"}}', 'security.keyServer: must be an object'],
    ['{"security":{"keyServer":{"url":"http://keys.example","id":"x"}}}', 'security.keyServer.url: must be an https URL'],
    ['{"security":{"keyServer":{"url":"https://u:hunter2@keys.example","id":"x"}}}', 'security.keyServer.url: must be an https URL'],
    ['{"security":{"keyServer":{"url":"https://keys.example"}}}', 'security.keyServer.id: is missing'],
    ['{"security":{"keyServer":{"url":"https://keys.example","id":"x","key":"hunter2"}}}', 'security.keyServer.key: is not known'],
    ['{"trust":{"identities":{}}}', 'trust.identities: must be a list'],
    ['{"trust":{"issuers":[{"issuer":"a","did":"did:web:x","jwksUri":"https://x"}]}}', 'trust.issuers[0]: needs exactly one of jwks, jwksUri and did'],
    ['{"trust":{"issuers":[{"issuer":"a|b","did":"did:web:x"}]}}', 'trust.issuers[0].issuer: cannot be the name of an issuer'],
    ['{"trust":{"issuers":[{"issuer":"a","did":"x"}]}}', 'trust.issuers[0].did: must be a DID'],
    ['{"trust":{"issuers":[{"issuer":"","did":"did:web:x"}]}}', 'trust.issuers[0].issuer: must be a text of 1 to 2048 characters'],
    ['{"trust":{"issuers":[{"issuer":"a","jwks":{}}]}}', 'trust.issuers[0].jwks: must be an object with a list of keys'],
    ['{"trust":{"issuers":[{"issuer":"a","jwks":{"keys":[{}]}}]}}', 'trust.issuers[0].jwks.keys[0]: is not a JWK'],
    [
      '{"trust":{"issuers":[{"issuer":"a","jwks":{"keys":[{"kty":"oct","k":"hunter2"}]}}]}}',
      'trust.issuers[0].jwks.keys[0]: is a private key or a shared secret',
    ],
  ])('%s is refused', (text, words) => {
    const { message } = refusedConfig(text)
    expect(message).toContain(`c.json:1: ${words}`)
    expect(message).not.toContain('hunter2')
  })

  test.each(['policy', 'audit', 'observe'])('%s is known by name only, and refused', (section) => {
    expect(refusedConfig(`{"${section}":{}}`)).toMatchObject({
      message: `c.json:1: ${section}: is not built yet; openmcp refuses it rather than run without it`,
    })
  })

  test('listens nowhere with -p stdio: who starts us speaks with us', () => {
    const text = JSON.stringify({ listen: { host: '0.0.0.0', port: 9000 }, mcpServers: { a: { command: 'cat' } } })
    const { options, servers } = typed(['--config', 'c.json', '-p', 'stdio'], machineWith({ files: { 'c.json': text } }))
    expect(options.listen).toBeUndefined()
    expect(options.aggregate).toBeDefined()
    expect(servers).toMatchObject([{ name: 'a' }])
  })

  test('says where to listen, how much of everything, and where things are kept; what is typed goes before it', () => {
    const text = JSON.stringify({
      listen: {
        host: '0.0.0.0',
        port: 9000,
        allowHosts: ['MCP.example'],
        allowOrigins: ['https://app.example'],
        pathPrefix: '/x/',
        rootPath: '/api',
        trustProxies: ['10.0.0.0/8'],
        publicUrl: 'https://mcp.example',
      },
      limits: { maxBody: '64k', timeout: 5, maxSessions: 7 },
      store: 'file:s.db',
      name: 'git',
      retry: { attempts: 1 },
    })
    const machine = machineWith({ files: { 'etc/c.json': text } })
    const read = (...args: string[]) => typed(['--security', '--config', 'etc/c.json', ...args], machine).options
    expect(read('http://127.0.0.1:1/mcp')).toMatchObject({
      listen: {
        host: '0.0.0.0',
        port: 9000,
        allowHosts: ['mcp.example'],
        allowOrigins: ['https://app.example', 'https://mcp.example'],
        pathPrefix: '/x',
        rootPath: '/api',
        trustProxies: [{ address: '10.0.0.0', family: 'ipv4', bits: 8 }],
        publicUrl: new URL('https://mcp.example'),
      },
      limits: { bodyBytes: 65_536, timeoutSeconds: 5, sessions: 7, depth: 200 },
      security: { store: 'file:/home/ann/etc/s.db' },
      name: 'git',
      target: { retry: { attempts: 1, delayMs: 250 } },
    })
    const beside = [
      '--allow-host',
      'other.example',
      '--path-prefix',
      '/y',
      '--root-path',
      '/',
      '--trust-proxy',
      '::1',
      '--max-body',
      '1k',
      '--store',
      'memory:',
      '--name',
      'me',
      '--retry-attempts',
      '4',
    ]
    expect(read('-p', '8000:http://127.0.0.1:1/mcp', ...beside)).toMatchObject({
      listen: {
        host: '127.0.0.1',
        port: 8000,
        allowHosts: ['other.example', 'mcp.example'],
        pathPrefix: '/y',
        rootPath: '',
        trustProxies: [{ address: '::1' }],
      },
      limits: { bodyBytes: 1024, timeoutSeconds: 5 },
      security: { store: 'memory:' },
      name: 'me',
      target: { retry: { attempts: 4, delayMs: 250 } },
    })
  })

  test.each([
    ['{"listen":{"host":"0.0.0.0","port":1}}', 'would let in whoever reaches it'],
    ['{"listen":{"allowHosts":["a"]}}', 'c.json:1: listen: has no port, and there is no -p'],
    ['{"listen":{"port":1,"tls":{"cert":"none.pem","key":"none.pem"}}}', 'c.json:1: listen.tls.cert: cannot read'],
    ['{"listen":{"port":1,"tls":{"cert":"c.json","key":"c.json"}}}', 'c.json:1: listen.tls.cert holds no PEM text'],
    ['{"listen":{"port":1,"tls":{"cert":"a"}}}', 'c.json:1: listen.tls.key: is missing'],
    ['{"listen":{"port":1,"allowOrigins":["*"]}}', 'c.json:1: listen.allowOrigins[0]: must be an origin'],
    ['{"listen":{"port":1,"rootPath":"api"}}', 'c.json:1: listen.rootPath: must be a path'],
    ['{"listen":{"port":1,"trustProxies":["0.0.0.0/0"]}}', 'c.json:1: listen.trustProxies[0]: must be an IP address'],
    ['{"listen":{"port":1,"host":"mcp.example"}}', 'c.json:1: listen.host: must be an IP address or localhost'],
    ['{"limits":{"maxBody":"8x"}}', 'c.json:1: limits.maxBody: must be bytes from 1k to'],
    ['{"limits":{"maxSession":1}}', 'c.json:1: limits.maxSession: is not known; did you mean maxSessions'],
    ['{"store":"redis://user:hunter2@host"}', 'c.json:1: store: a Redis store is not built yet'],
  ])('%s without more is refused', (text, words) => {
    const files = { 'c.json': text, '/home/ann/c.json': text }
    const secured = text.includes('store') ? ['--security', '-p', '1'] : []
    const { message } = refusalOf(['--config', 'c.json', ...secured, 'x'], machineWith({ files }))
    expect(message).toContain(words)
    expect(message).not.toContain('hunter2')
  })

  test('what it says of tries is for the servers that it is of use to', () => {
    const text = '{"retry":{"attempts":1},"mcpServers":{"a":{"url":"tcp://127.0.0.1:1"},"b":{"url":"http://127.0.0.1:1/mcp"}}}'
    const { options, servers } = typed(['--config', 'c.json', '-p', '8000:tcp://127.0.0.1:9000'], machineWith({ files: { 'c.json': text } }))
    expect([options.target, ...servers.map(({ target }) => target)].map((target) => target && 'retry' in target)).toEqual([false, false, true])
  })

  test('what is unwise about where a server is is told with its place', () => {
    const text = '{"mcpServers":{"a":{"url":"https://far.example/mcp?api_key=hunter2"},\n"b":{"url":"http://far.example/mcp","headers":{"X-A":"b"}}}}'
    const { warnings } = typed(['--config', 'c.json', '-p', '8000'], machineWith({ files: { 'c.json': text } }))
    expect(warnings).toEqual([
      expect.stringMatching(/^c\.json:1: mcpServers\.a: the upstream's URL carries 'api_key'/),
      'c.json:2: mcpServers.b: headers go to far.example unencrypted: the upstream is http://',
    ])
  })

  test.each(['{"trust":{"any":true}}', '{"security":{}}'])('%s without --security is refused, not ignored', (text) => {
    expect(refusalOf(['--config', 'c.json', ...served], machineWith({ files: { 'c.json': text } })).hint).toContain('add --security')
  })

  test('that is not there is told', () => {
    expect(refusalOf(['--security', '--config', 'none.json', ...served]).message).toBe('--config: cannot read none.json: there is no such file')
  })
})
