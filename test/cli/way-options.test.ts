import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { parseConfig } from '../../src/cli/config-file.ts'
import type { Machine } from '../../src/cli/machine.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions, type RunOptions } from '../../src/cli/run-options.ts'
import type { OpenMcpError } from '../../src/errors.ts'
import type { Way } from '../../src/upstream/way.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'

const [FIRST = '', SECOND = ''] = rootCertificates
const KEY = '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----'
const UPSTREAM = 'https://mcp.example.com/mcp'

const typed = (args: string[], machine: Machine = machineWith()): RunOptions => runOptions(readArguments(args, RUN_OPTIONS), machine)
const refusalOf = (args: string[], machine?: Machine): OpenMcpError => refusalIn(args.join(' '), () => typed(args, machine))

function wayOf(args: string[], machine?: Machine): Way | undefined {
  const { target } = typed([...args, UPSTREAM], machine).options
  return target?.kind === 'remote' ? target.way : undefined
}

describe('whose certificates are believed', () => {
  const files = { 'ca.pem': `# ours\n${FIRST}\n${SECOND}\n${KEY}\n`, 'half.pem': `${FIRST}\n-----BEGIN CERTIFICATE-----\nMIIB`, 'no.pem': KEY }
  const machine = machineWith({ files })

  test.each<[string[], Way | undefined]>([
    [[], undefined],
    [['--verify-ssl', 'TRUE'], undefined],
    [['--tls-ca', 'ca.pem'], { trust: { ca: `${FIRST}\n${SECOND}` } }],
    [['--tls-ca', 'ca.pem', '--verify-ssl', 'yes'], { trust: { ca: `${FIRST}\n${SECOND}` } }],
    [['--verify-ssl', 'ca.pem'], { trust: { only: `${FIRST}\n${SECOND}` } }],
    [['--verify-ssl', 'off'], { trust: { unchecked: true } }],
    [['--no-verify-ssl'], { trust: { unchecked: true } }],
    [['--no-verify-ssl', '--verify-ssl', 'false'], { trust: { unchecked: true } }],
  ])('%j', (args, way) => {
    expect(wayOf(args, machine)).toEqual(way)
  })

  test('nobody is asked: that is told at every start', () => {
    const { warnings, proof } = typed(['--verify-ssl', 'false', UPSTREAM])
    expect(warnings).toEqual([expect.stringContaining('whoever answers for mcp.example.com is believed')])
    expect(proof).toBeUndefined()
  })

  test.each<[string[], string]>([
    [['--tls-ca', 'none.pem'], '--tls-ca: cannot read none.pem'],
    [['--tls-ca', 'no.pem'], '--tls-ca: no.pem holds no PEM text of a certificate'],
    [['--tls-ca', 'half.pem'], '--tls-ca: certificate 2 of half.pem cannot be read'],
    [['--verify-ssl', 'maybe'], '--verify-ssl: cannot read maybe'],
    [['--tls-ca', 'ca.pem', '--no-verify-ssl'], '--tls-ca and --verify-ssl contradict each other'],
    [['--tls-ca', 'ca.pem', '--verify-ssl', 'ca.pem'], '--tls-ca and --verify-ssl contradict each other'],
    [['--no-verify-ssl', '--verify-ssl', 'true'], '--no-verify-ssl and --verify-ssl contradict each other'],
    [['--no-verify-ssl', '--id', 'alice'], '--id proves us, and with --verify-ssl false nobody knows to whom'],
  ])('%j is a mistake', (args, message) => {
    const refusal = refusalOf([...args, UPSTREAM], machine)
    expect(refusal).toMatchObject({ code: 'usage', message: expect.stringContaining(message) })
    expect(String(refusal)).not.toContain('hunter2')
  })

  test('is nothing to a COMMAND, or to tcp://', () => {
    expect(refusalOf(['--tls-ca', 'ca.pem', 'server'], machine).message).toBe('--tls-ca is for an upstream, and there is a COMMAND instead')
    expect(refusalOf(['--tls-ca', 'ca.pem', 'tcp://127.0.0.1:9000'], machine).message).toBe('there is no TLS to tcp://')
  })
})

test('a WebSocket is proved to at the address of its opening request', () => {
  const proofOf = (...args: string[]): unknown => typed(['wss://mcp.example.com/ws', ...args]).proof
  const resource = new URL('https://mcp.example.com/ws')
  expect(proofOf()).toMatchObject({ logins: { resource } })
  expect(proofOf('--id', 'alice')).toMatchObject({ login: { name: 'alice', resource } })
})

describe('which proxy', () => {
  test('the variables say, for the upstream and for whoever proves us to it', () => {
    const machine = machineWith({ env: { https_proxy: 'http://u:hunter2@proxy:3128', NO_PROXY: 'near.example' } })
    const way: Way = { proxies: { https: new URL('http://u:hunter2@proxy:3128'), except: 'near.example' } }
    expect(wayOf([], machine)).toEqual(way)
    expect(typed([UPSTREAM], machine).proof).toMatchObject({ way })
  })

  test('a child hears nothing of it, and is not stopped by what openmcp does not speak', () => {
    const { target } = typed(['server'], machineWith({ env: { ALL_PROXY: 'socks5://p:1', PATH: '/bin' } })).options
    expect(target).toEqual({ kind: 'command', command: 'server', args: [], env: { PATH: '/bin' } })
  })

  const machine = machineWith({ env: { ALL_PROXY: 'socks5://u:hunter2@p:1', NO_PROXY: 'near.example' } })

  test.each([[[UPSTREAM]], [['http://127.0.0.1:9000/mcp', '--fallback', UPSTREAM]], [['ws://mcp.example.com/mcp']]])(
    'one that openmcp does not speak is a mistake where it is meant: %j',
    (args) => {
      expect(refusalOf(args, machine).message).toMatch(/^the proxy for mcp\.example\.com is socks5:\/\/, which openmcp does not speak/)
    },
  )

  test.each(['http://127.0.0.1:9000/mcp', 'https://near.example/mcp', 'tcp://mcp.example.com:9000'])('and is none elsewhere: %s', (upstream) => {
    expect(() => typed([upstream], machine)).not.toThrow()
  })
})

describe('in a file, for one server', () => {
  const served = (server: object, env: Record<string, string> = {}) => {
    const files = { '/home/ann/ca.pem': FIRST, '/home/ann/no.pem': KEY, 'c.json': JSON.stringify({ mcpServers: { far: server } }) }
    const args = readArguments(['-p', '8000', '--config', 'c.json'], RUN_OPTIONS)
    const { servers, warnings } = runOptions(args, machineWith({ files, env }), parseConfig)
    const [far] = servers
    return { way: far && 'way' in far.target ? far.target.way : undefined, proof: far?.proof, warnings }
  }

  test.each<[object, Way | undefined]>([
    [{}, undefined],
    [{ verify: true }, undefined],
    [{ ca: 'ca.pem' }, { trust: { ca: FIRST } }],
    [{ verify: false }, { trust: { unchecked: true } }],
  ])('tls %j', (tls, way) => {
    expect(served({ url: UPSTREAM, tls }).way).toEqual(way)
  })

  test('believing whoever answers warns, and nothing is proved to them', () => {
    const { warnings, proof } = served({ url: UPSTREAM, tls: { verify: false } })
    expect([warnings, proof]).toEqual([[expect.stringContaining('whoever answers for mcp.example.com is believed')], undefined])
  })

  test.each<[object, string]>([
    [{ url: UPSTREAM, tls: { ca: 'none.pem' } }, 'cannot read'],
    [{ url: UPSTREAM, tls: { ca: 'no.pem' } }, 'holds no PEM text of a certificate'],
    [{ url: UPSTREAM, tls: { ca: 'ca.pem', verify: false } }, 'verify false asks nobody'],
    [{ url: UPSTREAM, tls: { verify: false }, id: 'alice' }, 'nobody knows to whom'],
    [{ url: 'tcp://127.0.0.1:9000', tls: { verify: false } }, 'there is no TLS to tcp://'],
  ])('%j is a mistake', (server, message) => {
    expect(refusalIn(message, () => served(server)).message).toContain(message)
  })

  test('goes through the proxy that the environment names', () => {
    const proxies = { https: new URL('http://proxy:3128'), except: '' }
    expect(served({ url: UPSTREAM }, { HTTPS_PROXY: 'http://proxy:3128' })).toMatchObject({ way: { proxies }, proof: { way: { proxies } } })
  })
})
