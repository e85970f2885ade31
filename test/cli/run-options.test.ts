import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import type { Machine } from '../../src/cli/machine.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import type { OpenMcpError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'

const typed = (args: string[], machine: Machine = machineWith()) => runOptions(readArguments(args, RUN_OPTIONS), machine)
const optionsOf = (args: string[], machine?: Machine) => typed(args, machine).options
const served = ['-p', '8000', 'x']
const listenOf = (...args: string[]) => optionsOf([...args, ...served]).listen

const refusalOf = (args: string[], machine?: Machine): OpenMcpError => refusalIn(args.join(' '), () => typed(args, machine))

describe('the four things that run', () => {
  test('a port and a COMMAND: the COMMAND over HTTP, with every default', () => {
    expect(typed(['-p', '8000', 'npx', '-y', 'pkg'], machineWith({ env: { PATH: '/bin', SECRET: 'x' } }))).toEqual({
      options: {
        target: { kind: 'command', command: 'npx', args: ['-y', 'pkg'], env: { PATH: '/bin' } },
        listen: { host: '127.0.0.1', port: 8000, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false },
        name: 'default',
        isolation: 'session',
        limits: DEFAULT_LIMITS,
        log: { level: 'info', format: 'text' },
      },
      servers: [],
      warnings: [],
    })
  })

  test('a port and an upstream: the upstream over HTTP', () => {
    expect(optionsOf(['-p', '8001:https://host/mcp', '--header', 'X-A: b'])).toMatchObject({
      target: { kind: 'remote', urls: [new URL('https://host/mcp')], transport: 'auto', headers: { 'x-a': 'b' } },
      listen: { host: '127.0.0.1', port: 8001 },
      name: 'default',
    })
  })

  test.each([[['-p', 'https://host/mcp']], [['https://host/mcp']]])('an upstream (%s): on our stdio', (args) => {
    const options = optionsOf(args)
    expect(options.target).toMatchObject({ kind: 'remote', urls: [new URL('https://host/mcp')] })
    expect('listen' in options).toBe(false)
  })

  test('a COMMAND: on our stdio', () => {
    const options = optionsOf(['--', './my server.exe', '--flag'])
    expect(options).toMatchObject({ target: { kind: 'command', command: './my server.exe', args: ['--flag'] } })
    expect('listen' in options).toBe(false)
  })

  test('nothing is a mistake, with an example that runs', () => {
    expect(refusalOf([])).toMatchObject({
      code: 'usage',
      message: 'nothing to run: there is neither a COMMAND nor an upstream',
      hint: 'openmcp run -p 8000 npx -y @modelcontextprotocol/server-everything',
    })
  })

  test('-p and an upstream beside it are told how to become one word', () => {
    expect(refusalOf(['-p', '8000', 'https://host/mcp?key=hunter2']).hint).toBe('write -p PORT:https://host/mcp')
  })
})

describe('listening where others can reach it', () => {
  test.each(['0.0.0.0:8000', '[::]:8000', '192.168.1.5:8000'])('-p %s is refused, and the refusal names both ways out', (publish) => {
    const refusal = refusalOf(['-p', publish, 'x'])
    expect(refusal.code).toBe('usage')
    expect(refusal.hint).toContain('loopback')
    expect(refusal.hint).toContain('--insecure-no-auth')
  })

  test('with --insecure-no-auth it works, and warns', () => {
    const { options, warnings } = typed(['--insecure-no-auth', '-p', '0.0.0.0:8000', 'x'])
    expect(options.listen).toMatchObject({ host: '0.0.0.0', port: 8000, insecureNoAuth: true })
    expect(warnings).toEqual(['--insecure-no-auth: listening on 0.0.0.0, where whoever reaches the port may use the server, unasked'])
  })

  test('loopback in a container warns, since nobody outside can call', () => {
    const env = { OPENMCP_CONTAINER: '1' }
    expect(typed(['-p', '8000', 'x'], machineWith({ env })).warnings).toEqual([
      'listening on 127.0.0.1 in a container, where nobody outside of it can call: -p 0.0.0.0:8000 with --security',
    ])
    expect(typed(['x'], machineWith({ env })).warnings).toEqual([])
  })

  test('on loopback it changes nothing and warns of nothing', () => {
    expect(typed(['--insecure-no-auth', '-p', '[::1]:8000', 'x']).warnings).toEqual([])
  })
})

describe('where it is served', () => {
  test.each([
    ['https://app.example', 'https://app.example'],
    ['https://App.Example:443/', 'https://app.example'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['chrome-extension://abcdef', 'chrome-extension://abcdef'],
  ])('--allow-origin %s', (text, origin) => {
    expect(listenOf('--allow-origin', text)?.allowOrigins).toEqual([origin])
  })

  test.each([
    '*',
    'null',
    'app.example',
    'https://app.example/path',
    'https://app.example?x',
    'https://a@app.example',
    'https://*.example',
    'file:///x',
    'file://x',
    'javascript:x',
    '',
  ])('--allow-origin %s is refused', (text) => {
    expect(refusalOf(['--allow-origin', text, ...served]).message).toMatch(/^--allow-origin/)
  })

  test.each([
    ['MCP.Example.com', 'mcp.example.com'],
    ['192.168.1.5', '192.168.1.5'],
    ['[fd00::1]', '[fd00::1]'],
    ['mcp.example.com:8443', 'mcp.example.com:8443'],
  ])('--allow-host %s', (text, host) => {
    expect(listenOf('--allow-host', text)?.allowHosts).toEqual([host])
  })

  test.each(['*', '*.example.com', 'https://host', 'host/path', 'a@b', 'host:', 'host:0', 'host:99999', '::1', 'ho st', ''])(
    '--allow-host %s is refused',
    (text) => {
      expect(refusalOf(['--allow-host', text, ...served]).message).toMatch(/^--allow-host/)
    },
  )

  test('several are all kept, each once', () => {
    const listen = listenOf(
      '--allow-origin',
      'https://a.example',
      '--allow-origin',
      'https://b.example',
      '--allow-origin',
      'https://a.example/',
      '--expose-header',
      'X-A',
      '--expose-header',
      'x-a',
    )
    expect(listen?.allowOrigins).toEqual(['https://a.example', 'https://b.example'])
    expect(listen?.exposeHeaders).toEqual(['x-a'])
  })

  test('--public-url allows its host and its origin', () => {
    expect(listenOf('--public-url', 'https://mcp.example.com/base', '--allow-host', 'other')).toMatchObject({
      allowHosts: ['other', 'mcp.example.com'],
      allowOrigins: ['https://mcp.example.com'],
    })
    expect(listenOf('--public-url', 'https://mcp.example.com:8443')?.allowHosts).toEqual(['mcp.example.com:8443'])
  })

  test.each(['mcp.example.com', 'ftp://host', 'https://ann:hunter2@host/', 'https://host/?token=hunter2', 'https://host/#x'])(
    '--public-url %s is refused',
    (text) => {
      const refusal = refusalOf(['--public-url', text, ...served])
      expect(refusal.message).toBe('--public-url: not a public URL')
      expect(JSON.stringify(refusal)).not.toContain('hunter2')
    },
  )

  test.each([
    ['/a', '/a'],
    ['/a/b/', '/a/b'],
    ['/', ''],
  ])('--path-prefix %s', (text, prefix) => {
    expect(listenOf('--path-prefix', text)?.pathPrefix).toBe(prefix)
  })

  test.each(['a', '/a//b', '/../a', '/a/.', '/a?x', '/a%2e', '//', '/a b'])('--path-prefix %s is refused', (text) => {
    expect(refusalOf(['--path-prefix', text, ...served]).message).toBe(`--path-prefix: '${text}' is not a path`)
  })

  test('--root-path and --trust-proxy are about documents, beside what is served', () => {
    expect(listenOf('--openapi', '--root-path', '/api/', '--path-prefix', '/own')).toMatchObject({ rootPath: '/api', pathPrefix: '/own' })
    expect(listenOf('--openapi', '--trust-proxy', '10.0.0.0/8, ::1', '--trust-proxy', '192.0.2.7')?.trustProxies).toEqual([
      { address: '10.0.0.0', family: 'ipv4', bits: 8 },
      { address: '::1', family: 'ipv6', bits: 128 },
      { address: '192.0.2.7', family: 'ipv4', bits: 32 },
    ])
    expect(optionsOf(['--openapi', '--openapi-form', 'mcpo', ...served]).openapi).toEqual({ form: 'mcpo' })
  })

  test.each([
    [['--openapi', '--root-path', 'api'], "--root-path: 'api' is not a path"],
    [['--openapi', '--trust-proxy', 'proxy.example'], "--trust-proxy: 'proxy.example' is no address"],
    [['--openapi', '--trust-proxy', '10.0.0.1,0.0.0.0/0'], "--trust-proxy: '0.0.0.0/0' is no address"],
    [['--openapi', '--openapi-form', 'other'], "--openapi-form: 'other' is none of its choices"],
    [['--root-path', '/api'], '--root-path is for tools as plain HTTP, and there are none'],
    [['--trust-proxy', '10.0.0.1'], '--trust-proxy is for tools as plain HTTP, and there are none'],
    [['--openapi-form', 'mcpo'], '--openapi-form is for tools as plain HTTP, and there are none'],
  ])('%j is refused', (options, message) => {
    expect(refusalOf([...options, ...served])).toMatchObject({ message, hint: expect.any(String) })
  })

  test.each(['*', 'a b', 'x:y'])('--expose-header %s is refused', (text) => {
    expect(refusalOf(['--expose-header', text, ...served]).message).toMatch(/^--expose-header/)
  })
})

describe('TLS', () => {
  const pem = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const pair = selfSigned()
  const files = { 'cert.pem': pair.cert, 'key.pem': pair.key, 'other.pem': pem.privateKey, 'text.txt': 'hunter2' }

  test.skipIf(pair.cert === '')('the certificate and its key are read', () => {
    expect(optionsOf(['--tls-cert', 'cert.pem', '--tls-key', 'key.pem', ...served], machineWith({ files })).listen?.tls).toEqual(pair)
  })

  test.skipIf(pair.cert === '')('a key of another certificate is refused', () => {
    expect(refusalOf(['--tls-cert', 'cert.pem', '--tls-key', 'other.pem', ...served], machineWith({ files })).message).toBe(
      '--tls-key is not the key of --tls-cert',
    )
  })

  test.each([
    [['--tls-cert', 'cert.pem'], '--tls-cert and --tls-key go together'],
    [['--tls-key', 'key.pem'], '--tls-cert and --tls-key go together'],
    [['--tls-cert', 'none.pem', '--tls-key', 'key.pem'], '--tls-cert: cannot read none.pem: there is no such file'],
    [['--tls-cert', 'text.txt', '--tls-key', 'key.pem'], '--tls-cert holds no PEM text of a certificate'],
  ])('%s is refused', (args, message) => {
    const refusal = refusalOf([...args, ...served], machineWith({ files }))
    expect(refusal.message).toBe(message)
    expect(refusal.message).not.toContain('hunter2')
  })
})

describe('what a COMMAND gets', () => {
  test('its environment comes from files, then from -e, and from ours only what is named', () => {
    const machine = machineWith({ env: { PATH: '/bin', KEEP: 'k', HIDDEN: 'h' }, files: { '.env': 'A=file\nB=file', 'b.env': 'B=second' } })
    const { options, warnings } = typed(['--pass-env', 'KEEP', '-e', 'A=typed', '--env-file', '.env', '--env-file', 'b.env', 'x'], machine)
    expect(options.target).toMatchObject({ env: { PATH: '/bin', KEEP: 'k', A: 'typed', B: 'second' } })
    expect(warnings).toEqual([])
  })

  test('a variable that is not set is worth a warning', () => {
    expect(typed(['--pass-env', 'MISSING', 'x']).warnings).toEqual(['--pass-env MISSING: it is not set here, so the child does not get it'])
  })

  test('a secret in argv works, and warns without its value', () => {
    const { options, warnings } = typed(['-e', 'GITHUB_TOKEN=hunter2', '-e', 'EMPTY_KEY=', '-e', 'PLAIN=1', 'x'])
    expect(options.target).toMatchObject({ env: { GITHUB_TOKEN: 'hunter2' } })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('-e GITHUB_TOKEN')
    expect(warnings.join()).not.toContain('hunter2')
  })

  test.each([
    [['-e', 'hunter2'], '-e takes NAME=VALUE'],
    [['-e', '=hunter2'], '-e takes NAME=VALUE'],
    [['--pass-env', 'A=hunter2'], '--pass-env takes the name of a variable, and no value'],
    [['--env-file', 'none'], '--env-file: cannot read none: there is no such file'],
    [['--cwd', 'none'], '--cwd: there is no directory none'],
  ])('%s is refused, and the value is not repeated', (args, message) => {
    const refusal = refusalOf([...args, 'x'])
    expect(refusal).toMatchObject({ code: 'usage', message })
    expect(JSON.stringify(refusal)).not.toContain('hunter2')
  })

  test('a file that is far too large is refused', () => {
    expect(refusalOf(['--env-file', 'big', 'x'], machineWith({ files: { big: `A=${'x'.repeat(2_000_000)}` } })).message).toBe(
      '--env-file: big is larger than 1024 KiB',
    )
  })

  test('--cwd is a directory, seen from where the person stands', () => {
    expect(optionsOf(['--cwd', 'work', 'x'], machineWith({ directories: ['work'] })).target).toMatchObject({ cwd: '/home/ann/work' })
  })

  test('an empty COMMAND is refused', () => {
    expect(refusalOf(['']).message).toBe('COMMAND is empty')
  })
})

describe('what an upstream gets', () => {
  test('headers from files and from -H', () => {
    const machine = machineWith({ files: { h: '# ours\nAuthorization: Bearer x\n' } })
    const { options, warnings } = typed(['https://host/mcp', '--header-file', 'h', '-H', 'X-Tenant=a'], machine)
    expect(options.target).toMatchObject({ headers: { authorization: 'Bearer x', 'x-tenant': 'a' } })
    expect(warnings).toEqual([])
  })

  test('a header from OPENMCP_HEADER, which no other program reads; what is wrong with it is told without its value', () => {
    const machine = machineWith({ env: { OPENMCP_HEADER: 'Authorization: Bearer hunter2' } })
    const { options, warnings } = typed(['https://host/mcp'], machine)
    expect(options.target).toMatchObject({ headers: { authorization: 'Bearer hunter2' } })
    expect(warnings).toEqual([])
    expect(refusalOf(['https://host/mcp', '-H', 'authorization: x'], machine).message).toBe('OPENMCP_HEADER: authorization is given more than once')
    const { message } = refusalOf(['https://host/mcp'], machineWith({ env: { OPENMCP_HEADER: 'hunter2' } }))
    expect(message).toContain('OPENMCP_HEADER')
    expect(message).not.toContain('hunter2')
  })

  test.each(['Authorization: Bearer hunter2', 'x-api-key=hunter2', 'Cookie: a=hunter2', 'Proxy-Authorization: hunter2'])(
    'a secret in argv (%#) works, and warns without its value',
    (header) => {
      const { warnings } = typed(['https://host/mcp', '-H', header])
      expect(warnings).toHaveLength(1)
      expect(warnings.join()).not.toContain('hunter2')
    },
  )

  test('a secret in the URL warns without its value', () => {
    const { warnings } = typed(['https://host/mcp?api_key=hunter2'])
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain("'api_key'")
    expect(warnings.join()).not.toContain('hunter2')
  })

  test('headers that travel unencrypted warn, unless they stay on this machine', () => {
    expect(typed(['http://remote/mcp', '-H', 'X-A: b']).warnings).toEqual(['headers go to remote unencrypted: the upstream is http://'])
    expect(typed(['http://127.0.0.1:9000/mcp', '-H', 'X-A: b']).warnings).toEqual([])
  })

  test('a header given twice is refused, wherever it was given', () => {
    expect(refusalOf(['https://host/', '-H', 'X-A: 1', '-H', 'x-a: 2']).message).toBe('-H: x-a is given more than once')
    expect(refusalOf(['https://host/', '--header-file', 'h', '-H', 'x-a: 2'], machineWith({ files: { h: 'X-A: 1' } })).message).toBe(
      '-H: x-a is given more than once',
    )
  })

  test('of several headers the wrong one is named by its number', () => {
    expect(refusalOf(['https://host/', '-H', 'X-A: 1', '-H', 'hunter2']).message).toBe('-H (number 2) is not a header')
  })

  test.each([
    ['http', 'http'],
    ['streamable-http', 'http'],
    ['streamablehttp', 'http'],
    ['HTTP', 'http'],
    ['sse', 'sse'],
    ['auto', 'auto'],
  ])('--transport %s', (text, transport) => {
    expect(optionsOf(['https://host/mcp', '--transport', text]).target).toMatchObject({ transport })
  })

  test.each([
    ['tcp://host:9000', 'tcp'],
    ['ws://host:9000', 'ws'],
    ['wss://host', 'websocket'],
    ['wss://host', 'auto'],
  ])('%s with --transport %s', (upstream, text) => {
    expect(optionsOf([upstream, '--transport', text]).target).toMatchObject({ kind: 'socket' })
  })

  test.each([
    [['tcp://host:9000', '-H', 'X-A: 1'], 'headers are for HTTP and WebSockets, and the upstream is tcp://'],
    [['tcp://host:9000', '--id', 'me'], '--id proves us by HTTP, and the upstream is no http://'],
    [['tcp://host:9000', '--transport', 'ws'], '--transport ws does not fit: the upstream is tcp://'],
    [['ws://host:9000', '--transport', 'sse'], '--transport sse does not fit: the upstream is ws://'],
    [['https://host/mcp', '--transport', 'tcp'], '--transport tcp does not fit: an upstream speaks http or sse'],
  ])('%s is refused as well', (args, message) => {
    expect(refusalOf(args)).toMatchObject({ code: 'usage', message })
  })

  test.each([
    [['https://host/mcp', '--transport', 'stdio'], '--transport stdio does not fit: an upstream speaks http or sse'],
    [['--transport', 'sse', 'x'], '--transport sse does not fit: a COMMAND speaks stdio'],
    [['--transport', 'pigeon', 'x'], "--transport: 'pigeon' is none of its choices"],
  ])('%s is refused', (args, message) => {
    expect(refusalOf(args)).toMatchObject({ code: 'usage', message })
  })

  test.each<[string[], object]>([
    [['--endpoints', 'https://a/mcp,https://b/mcp'], { urls: [new URL('https://a/mcp')], others: [[new URL('https://b/mcp')]] }],
    [['-p', '8000', '--endpoints', 'a:1, b:2/mcp'], { urls: [new URL('https://a:1/mcp'), new URL('https://a:1/sse')], others: [[new URL('https://b:2/mcp')]] }],
    [
      ['https://a/mcp', '--fallback', 'https://b/mcp', '--fallback', 'https://c/mcp'],
      { urls: [new URL('https://a/mcp')], fallbacks: [[new URL('https://b/mcp')], [new URL('https://c/mcp')]] },
    ],
    [['https://a/mcp', '--retry-attempts', '0'], { retry: { attempts: 0, delayMs: 250 } }],
    [['https://a/mcp', '--retry-delay', '1000'], { retry: { attempts: 3, delayMs: 1000 } }],
  ])('%s is one upstream', (args, target) => {
    expect(optionsOf(args).target).toMatchObject({ kind: 'remote', ...target })
  })

  test('connections can be several, too', () => {
    expect(optionsOf(['--endpoints', 'tcp://127.0.0.1:1,ws://127.0.0.1:2/mcp', '--fallback', 'tcp://127.0.0.1:3']).target).toEqual({
      kind: 'socket',
      url: new URL('tcp://127.0.0.1:1'),
      others: [new URL('ws://127.0.0.1:2/mcp')],
      fallbacks: [new URL('tcp://127.0.0.1:3')],
      headers: {},
    })
  })

  test.each([
    [['--endpoints', 'https://a/mcp,tcp://127.0.0.1:1'], 'several that are one are all http(s)://, or all tcp:// and ws(s)://'],
    [['tcp://127.0.0.1:1', '--fallback', 'https://a/mcp'], 'several that are one are all http(s)://, or all tcp:// and ws(s)://'],
    [['tcp://127.0.0.1:1', '--retry-attempts', '1'], '--retry-… are for http(s):// upstreams, and this is tcp://'],
    [['--endpoints', 'https://a/mcp,'], 'the upstream is empty'],
    [['--endpoints', 'https://a/mcp', 'x'], '--endpoints says what to serve, and so does what follows the options'],
    [['-p', '8000:https://a/mcp', '--endpoints', 'https://a/mcp'], '--endpoints says what to serve, and so does -p'],
    [['--fallback', 'https://a/mcp', 'x'], '--fallback is for an upstream, and there is a COMMAND instead'],
    [['https://a/mcp', '--retry-attempts', 'x'], "--retry-attempts: 'x' is not a count"],
  ])('%s is refused, too', (args, message) => {
    expect(refusalOf(args)).toMatchObject({ code: 'usage', message })
  })

  test('stdio is what a COMMAND speaks', () => {
    expect(optionsOf(['--transport', 'stdio', 'x']).target?.kind).toBe('command')
  })
})

describe('an upstream that is a VID', () => {
  const vid = 'did:web:h.example'

  test.each([
    [[vid], undefined],
    [['-p', vid], undefined],
    [['-p', `8000:${vid}`], 8000],
    [[vid, '--name', 'far'], undefined],
  ])('%s', (args, port) => {
    const options = optionsOf(args)
    expect(options.target).toEqual({ kind: 'vid', vid, id: undefined, keys: '/home/ann/.openmcp/keys' })
    expect(options.listen?.port).toBe(port)
  })

  test('knows us by the identity that is named, wherever that is kept, and answers come where it is said', () => {
    expect(typed(['-p', vid, '--id', 'me', '--keys', 'k', '--tsp-listen', '0.0.0.0:9000'])).toMatchObject({
      options: { target: { id: 'me', keys: '/home/ann/k', listen: { host: '0.0.0.0', port: 9000 } } },
      warnings: [],
    })
  })

  test('has no login, for nothing of it is HTTP', () => {
    expect(typed(['-p', vid, '--id', 'me']).proof).toBeUndefined()
  })

  test('stands behind a node that is asked by TSP itself: then --tsp-listen is about that one', () => {
    const { target, security } = optionsOf(['-p', `8000:${vid}`, '--tsp', 'message', '--tsp-listen', '0.0.0.0:9000'])
    expect(target).not.toHaveProperty('listen')
    expect(security?.tsp).toMatchObject({ modes: ['message'], listen: { host: '0.0.0.0', port: 9000 } })
  })

  test.each([
    [['-H', 'A: b'], '-H is for HTTP, and an upstream named by a DID is spoken to in sealed messages'],
    [['--header-file', 'f'], '--header-file is for HTTP, and an upstream named by a DID is spoken to in sealed messages'],
    [['--transport', 'sse'], '--transport is for HTTP, and an upstream named by a DID is spoken to in sealed messages'],
    [['--dpop', 'required'], '--dpop is for HTTP, and an upstream named by a DID is spoken to in sealed messages'],
    [['-e', 'A=b'], '-e is for a COMMAND, and there is an upstream instead'],
    [['--tsp-listen', '9000'], '--tsp-listen takes HOST:PORT, an IP address or localhost and its port'],
    [['--tsp', 'message'], '--tsp is for a port, and openmcp serves its own stdio here'],
  ])('does not take %s', (args, message) => {
    expect(refusalOf([...args, vid], machineWith({ files: { f: 'A: b' } }))).toMatchObject({ code: 'usage', message: expect.stringContaining(message) })
  })

  test('is what --tsp-listen is for, beside --tsp', () => {
    expect(refusalOf(['--tsp-listen', '0.0.0.0:9000', 'x']).message).toBe('--tsp-listen is for --tsp or for an upstream named by a DID, and there is neither')
    expect(refusalOf(['--security', '--tsp-listen', '0.0.0.0:9000', '-p', '8000', 'x']).message).toContain('--tsp-listen is for --tsp')
  })
})

describe('an option that would do nothing is refused', () => {
  test.each([
    [['-H', 'A: b', 'x'], '-H is for an upstream, and there is a COMMAND instead'],
    [['--header-file', 'f', '-p', '8000', 'x'], '--header-file is for an upstream, and there is a COMMAND instead'],
    [['-e', 'A=b', 'https://host/'], '-e is for a COMMAND, and there is an upstream instead'],
    [['--cwd', 'd', '-p', '8000:https://host/'], '--cwd is for a COMMAND, and there is an upstream instead'],
    [['--allow-origin', 'https://a.example', 'x'], '--allow-origin is for a port, and openmcp serves its own stdio here'],
    [['--insecure-no-auth', 'https://host/'], '--insecure-no-auth is for a port, and openmcp serves its own stdio here'],
    [['--tls-cert', 'c', '--tls-key', 'k', 'x'], '--tls-cert is for a port, and openmcp serves its own stdio here'],
  ])('%s', (args, message) => {
    const machine = machineWith({ directories: ['d'], files: { f: 'A: b', c: '', k: '' } })
    expect(refusalOf(args, machine).message).toContain(message)
  })
})

describe('limits', () => {
  test.each([
    [['--max-body', '64k'], { bodyBytes: 65536 }],
    [['--max-body=1048576'], { bodyBytes: 1048576 }],
    [['--max-message', '32M'], { messageBytes: 32 * 1024 * 1024 }],
    [['--max-buffer', '1g'], { bufferedBytes: 1024 ** 3 }],
    [['--max-replay', '0'], { replayBytes: 0 }],
    [['--max-headers', '32k'], { headerBytes: 32768 }],
    [['--max-depth', '64'], { depth: 64 }],
    [['--max-streams', '1'], { streams: 1 }],
    [['--max-sessions', '10'], { sessions: 10 }],
    [['--max-children', '4'], { children: 4 }],
    [['--timeout', '0'], { timeoutSeconds: 0 }],
    [['--timeout', '2.5'], { timeoutSeconds: 2.5 }],
    [['--idle', '60'], { idleSeconds: 60 }],
    [['--drain', '0'], { drainSeconds: 0 }],
    [['--connect-timeout', '3'], { connectSeconds: 3 }],
    [['--stop-timeout', '0.5'], { stopSeconds: 0.5 }],
    [['--poll', '0.25'], { pollSeconds: 0.25 }],
  ])('%s', (args, limits) => {
    expect(optionsOf([...args, 'x']).limits).toEqual({ ...DEFAULT_LIMITS, ...limits })
  })

  test.each([
    ['--max-body', '0'],
    ['--max-body', '8mb'],
    ['--max-body', '1.5m'],
    ['--max-body', '2g'],
    ['--max-body', '1e6'],
    ['--max-headers', '4g'],
    ['--max-depth', '0'],
    ['--max-depth', '100000'],
    ['--max-streams', '0'],
    ['--max-sessions', '1.5'],
    ['--max-children', 'many'],
    ['--timeout', 'soon'],
    ['--timeout', '30s'],
    ['--timeout', '1e3'],
    ['--timeout', 'Infinity'],
    ['--timeout', '2147484'],
    ['--idle', '0'],
    ['--connect-timeout', '0'],
  ])('%s %s is refused with what it takes', (option, value) => {
    const refusal = refusalOf([option, value, 'x'])
    expect(refusal.message).toMatch(new RegExp(`^${option}: `))
    expect(refusal.hint).toContain(`${option} takes`)
  })
})

describe('words', () => {
  test.each([
    [['--log-level', 'warn', '--log-format', 'json'], { level: 'warn', format: 'json' }],
    [['--debug'], { level: 'debug', format: 'text' }],
    [['--debug', '--log-level', 'debug'], { level: 'debug', format: 'text' }],
  ])('%s', (args, log) => {
    expect(optionsOf([...args, 'x']).log).toEqual(log)
  })

  test('--log-to-client is for the client on stdio', () => {
    expect(typed(['--log-to-client', 'x']).tellsClient).toBe(true)
    expect(refusalOf(['--log-to-client', ...served]).message).toContain('is for the client on our stdio')
  })

  test('--debug and a quieter level contradict each other', () => {
    expect(refusalOf(['--debug', '--log-level', 'warn', 'x']).message).toBe('--debug and --log-level warn contradict each other')
  })

  test.each([
    ['--log-level', 'trace'],
    ['--log-format', 'xml'],
    ['--isolation', 'none'],
    ['--name', 'a/b'],
    ['--name', '../x'],
  ])('%s %s is refused', (option, value) => {
    expect(refusalOf([option, value, 'x']).message).toContain(`${option}: '${value}'`)
  })

  test('--isolation identity waits for --security', () => {
    expect(refusalOf(['--isolation', 'identity', 'x'])).toMatchObject({ code: 'usage', message: '--isolation identity needs to know who calls' })
    expect(optionsOf(['--isolation', 'identity', '--security', ...served])).toMatchObject({ isolation: 'identity' })
  })

  test('--stateless is for a port, and contradicts one child for each session', () => {
    expect(optionsOf(['--stateless', ...served])).toMatchObject({ stateless: true })
    expect(refusalOf(['--stateless', 'x'])).toMatchObject({ code: 'usage', message: expect.stringContaining('--stateless is for a port') })
    expect(refusalOf(['--stateless', '--isolation', 'session', ...served])).toMatchObject({
      code: 'usage',
      message: expect.stringContaining('makes no session'),
    })
  })

  test('--isolation and --name', () => {
    expect(optionsOf(['--isolation', 'shared', '--name', 'files.1', 'x'])).toMatchObject({ isolation: 'shared', name: 'files.1' })
  })
})

test('all mistakes of a command line are told at once', () => {
  const refusal = refusalOf(['--nope', '-p', '99999', '--timeout', 'soon', '--allow-origin', '*', '--max-body', 'big', '--env-file', 'none', 'x'])
  expect(refusal.code).toBe('usage')
  expect(refusal.message.split('; ')).toEqual([
    'unknown option --nope',
    '-p: 99999 is not a port',
    '--env-file: cannot read none: there is no such file',
    "--allow-origin: '*' would let every web page in",
    "--timeout: 'soon' is no number of seconds",
    "--max-body: 'big' is not a size",
  ])
})

test('only what is not built makes the failure one of that kind', () => {
  expect(refusalOf(['--metrics', '--audit', 'f', 'x']).code).toBe('unavailable_option')
  expect(refusalOf(['--metrics', '--timeout', 'x', 'x']).code).toBe('usage')
  expect(refusalOf(['--metrics']).code).toBe('unavailable_option')
})

/** Node can check a certificate but not make one. */
function selfSigned(): { cert: string; key: string } {
  try {
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', '-', '-subj', '/CN=localhost', '-days', '1']
    const text = execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const part = (label: RegExp) => `${label.exec(text)?.[0] ?? ''}\n`
    return { cert: part(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/), key: part(/-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/) }
  } catch {
    return { cert: '', key: '' }
  }
}
