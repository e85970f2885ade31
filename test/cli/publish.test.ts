import { describe, expect, test } from 'vitest'
import { parsePublish } from '../../src/cli/publish.ts'
import type { OpenMcpError } from '../../src/errors.ts'
import { refusalIn } from './refusal.ts'

function shown(text: string, hasCommand: boolean): { listen?: string; urls?: string[] } {
  const { listen, urls } = parsePublish(text, { hasCommand })
  return { ...(listen && { listen: `${listen.host} ${listen.port}` }), ...(urls && { urls: urls.map((url) => url.href) }) }
}

const refusalOf = (text: string, hasCommand: boolean): OpenMcpError => refusalIn(text, () => parsePublish(text, { hasCommand }))

describe('with a command, a publish says where to listen', () => {
  test.each([
    ['8000', '127.0.0.1 8000'],
    ['0', '127.0.0.1 0'],
    [':8080', '127.0.0.1 8080'],
    ['127.0.0.1:8000', '127.0.0.1 8000'],
    ['localhost:8000', '127.0.0.1 8000'],
    ['0.0.0.0:8000', '0.0.0.0 8000'],
    ['192.168.1.5:0', '192.168.1.5 0'],
    ['[::1]:8000', '::1 8000'],
    ['[::]:8000', ':: 8000'],
    ['65535', '127.0.0.1 65535'],
  ])('%s', (text, listen) => {
    expect(shown(text, true)).toEqual({ listen })
  })

  test.each([
    ['', "-p '' is not [HOST:]PORT"],
    [' 8000', "-p ' 8000' is not [HOST:]PORT"],
    ['8000 ', "-p '8000 ' is not [HOST:]PORT"],
    ['+8000', "-p '+8000' is not [HOST:]PORT"],
    ['-1', "-p '-1' is not [HOST:]PORT"],
    ['8e3', "-p '8e3' is not [HOST:]PORT"],
    ['0x1f40', "-p '0x1f40' is not [HOST:]PORT"],
    [':', "-p ':' is not [HOST:]PORT"],
    ['127.0.0.1', "-p '127.0.0.1' is not [HOST:]PORT"],
    ['localhost:', "-p 'localhost:' is not [HOST:]PORT"],
    ['65536', '-p: 65536 is not a port'],
    ['08000', '-p: 08000 is not a port'],
    ['127.0.0.1:100000', '-p: 100000 is not a port'],
    ['myhost:8000', "-p: cannot listen on 'myhost': it is neither an IP address nor localhost"],
    ['*:8000', "-p: cannot listen on '*': it is neither an IP address nor localhost"],
    ['127.1:8000', "-p: cannot listen on '127.1': it is neither an IP address nor localhost"],
    ['[127.0.0.1]:8000', "-p: cannot listen on '[127.0.0.1]': it is neither an IP address nor localhost"],
    ['[fe80::1%eth0]:8000', "-p: cannot listen on '[fe80::1%eth0]': it is neither an IP address nor localhost"],
    ['::1:8000', '-p ::1:8000: an IPv6 address goes in brackets'],
    ['::1', '-p ::1: an IPv6 address goes in brackets'],
    ['1:2:3:4:5:6:7:8:8000', '-p 1:2:3:4:5:6:7:8:8000: an IPv6 address goes in brackets'],
  ])('%s is refused', (text, message) => {
    expect(refusalOf(text, true)).toMatchObject({ code: 'usage', message })
    expect(refusalOf(text, true).hint).toBeDefined()
  })

  test.each([
    ['8000:http://127.0.0.1:9000/sse', '-p 8000'],
    ['0.0.0.0:8000:remote:9000', '-p 0.0.0.0:8000'],
    ['8000:9000', '-p 8000'],
    ['http://127.0.0.1:9000/sse', '-p PORT'],
    ['remote:9000/sse', '-p PORT'],
  ])('%s names an upstream too, and the refusal says which to drop', (text, instead) => {
    expect(refusalOf(text, true).message).toBe('-p names an upstream, and a COMMAND is given too')
    expect(refusalOf(text, true).hint).toBe(`drop COMMAND to serve the upstream, or drop the upstream (${instead}) to serve COMMAND`)
  })
})

test('stdio is our own, where something else says what to serve', () => {
  expect(parsePublish('stdio', { hasCommand: true })).toEqual({ isStdio: true })
  expect(parsePublish('stdio', { hasCommand: false, hasServers: true })).toEqual({ isStdio: true })
  expect(refusalOf('stdio', false).message).toBe("-p 'stdio' is not [HOST:]PORT, [HOST:]PORT:UPSTREAM or UPSTREAM")
})

describe('without a command', () => {
  test.each([
    ['8001:http://127.0.0.1:8000/sse', '127.0.0.1 8001', ['http://127.0.0.1:8000/sse']],
    [':8001:http://127.0.0.1:8000/sse', '127.0.0.1 8001', ['http://127.0.0.1:8000/sse']],
    ['8000:https://host/mcp', '127.0.0.1 8000', ['https://host/mcp']],
    ['8001:127.0.0.1:9000/sse', '127.0.0.1 8001', ['http://127.0.0.1:9000/sse']],
    ['8001:remote:9000', '127.0.0.1 8001', ['https://remote:9000/mcp', 'https://remote:9000/sse']],
    ['0:localhost:9000/mcp', '127.0.0.1 0', ['http://localhost:9000/mcp']],
    ['0.0.0.0:8001:h:8000/sse', '0.0.0.0 8001', ['https://h:8000/sse']],
    ['0.0.0.0:8001:http://h:8000/sse', '0.0.0.0 8001', ['http://h:8000/sse']],
    ['localhost:8001:http://h:8000/sse', '127.0.0.1 8001', ['http://h:8000/sse']],
    ['[::1]:8000:http://h:9000/mcp', '::1 8000', ['http://h:9000/mcp']],
    ['8000:[::1]:9000/mcp', '127.0.0.1 8000', ['http://[::1]:9000/mcp']],
    ['[::1]:8000:[::1]:9000/mcp', '::1 8000', ['http://[::1]:9000/mcp']],
  ])('%s serves an upstream over HTTP', (text, listen, urls) => {
    expect(shown(text, false)).toEqual({ listen, urls })
  })

  test.each([
    ['http://127.0.0.1:8000/sse', ['http://127.0.0.1:8000/sse']],
    ['https://host/mcp', ['https://host/mcp']],
    ['https://host:8443/mcp', ['https://host:8443/mcp']],
    ['remote:8000/sse', ['https://remote:8000/sse']],
    ['127.0.0.1:8000', ['http://127.0.0.1:8000/mcp', 'http://127.0.0.1:8000/sse']],
    ['localhost:8000', ['http://localhost:8000/mcp', 'http://localhost:8000/sse']],
    ['[::1]:8000/mcp', ['http://[::1]:8000/mcp']],
  ])('%s serves an upstream on our stdio', (text, urls) => {
    expect(shown(text, false)).toEqual({ urls })
  })

  test.each(['8000', ':8000', '0', '0.0.0.0:8000', '[::]:8000'])('%s alone says where to listen and not what to serve', (text) => {
    expect(refusalOf(text, false).message).toBe(`-p ${text} says where to listen, and nothing says what to serve`)
    expect(refusalOf(text, false).hint).toContain(`-p ${text}:http://`)
  })

  test.each([
    ['8000:9000', 'write 8000:127.0.0.1:9000, or -p PORT COMMAND to serve a program'],
    ['127.0.0.1:8000:9000', 'write 127.0.0.1:8000:127.0.0.1:9000, or -p PORT COMMAND to serve a program'],
    ['8000:', 'write 8000:http://127.0.0.1:9000/mcp, or -p PORT COMMAND to serve a program'],
  ])('%s could be read in two ways and is refused', (text, hint) => {
    expect(refusalOf(text, false)).toMatchObject({ code: 'usage', hint })
  })

  test.each([
    ['', "-p '' is not [HOST:]PORT, [HOST:]PORT:UPSTREAM or UPSTREAM"],
    ['remote', "-p 'remote' is not [HOST:]PORT, [HOST:]PORT:UPSTREAM or UPSTREAM"],
    ['65536:http://h/', '-p: 65536 is not a port'],
    ['name:8000:http://h/', "-p: cannot listen on 'name': it is neither an IP address nor localhost"],
    ['8000:remote', "the upstream 'remote' has no port"],
    ['8000:8001:9000', "the upstream '8001:9000' is a number where a host belongs"],
    ['8000:ftp://h/', "'ftp://h/': openmcp does not speak ftp://"],
    ['::1:8000:http://h/', '-p ::1:8000:http://h/: an IPv6 address goes in brackets'],
  ])('%s is refused', (text, message) => {
    expect(refusalOf(text, false)).toMatchObject({ code: 'usage', message })
  })

  test.each([
    ['did:web:h.example', undefined, 'did:web:h.example'],
    ['did:web:h.example%3A8443:team', undefined, 'did:web:h.example%3A8443:team'],
    ['8000:did:web:a%3A8443', { host: '127.0.0.1', port: 8000 }, 'did:web:a%3A8443'],
    [':0:did:peer:4zQmRjQ3:z8hh', { host: '127.0.0.1', port: 0 }, 'did:peer:4zQmRjQ3:z8hh'],
    [
      '127.0.0.1:8000:did:webvh:QmfGEUAcMpzo25kF2Rhn8L5FAXysfGnkzjwdKoNPi615XQ:h.example',
      { host: '127.0.0.1', port: 8000 },
      'did:webvh:QmfGEUAcMpzo25kF2Rhn8L5FAXysfGnkzjwdKoNPi615XQ:h.example',
    ],
    ['[::1]:8000:did:web:h.example', { host: '::1', port: 8000 }, 'did:web:h.example'],
  ])('%s is a VID, its colons and all', (text, listen, vid) => {
    expect(parsePublish(text, { hasCommand: false })).toEqual({ ...(listen && { listen }), vid })
  })

  test.each([
    ['did:key:z6Mk', 'the upstream is a did:key, which cannot say where it is reached'],
    ['8000:did:pkh:eip155:1:0x0000000000000000000000000000000000000000', 'the upstream is a did:pkh, which cannot say where it is reached'],
    ['DID:web:h', 'the upstream DID:web:h: this is not a DID'],
    ['8000:did:', 'the upstream did:: this is not a DID'],
    ['did:web:h#key', 'the upstream did:web:h: this is not a DID'],
    ['did:web:h/mcp', 'the upstream did:web:h/mcp: this is not a DID'],
  ])('%s is refused', (text, message) => {
    expect(refusalOf(text, false)).toMatchObject({ code: 'usage', message })
  })

  test('a VID and a COMMAND do not go together', () => {
    expect(refusalOf('8000:did:web:h', true)).toMatchObject({ code: 'usage', message: '-p names an upstream, and a COMMAND is given too' })
  })

  test('a password in the upstream is refused and not repeated', () => {
    expect(JSON.stringify(refusalOf('8000:https://ann:hunter2@h/mcp', false))).not.toContain('hunter2')
    expect(JSON.stringify(refusalOf('ann:hunter2@h:8000', false))).not.toContain('hunter2')
  })
})
