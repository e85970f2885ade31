import { describe, expect, test } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { isLoopbackHost } from '../../src/protocol/loopback.ts'
import { parseTarget, schemeOf, shownTarget } from '../../src/protocol/target.ts'

const urlsOf = (text: string) => parseTarget(text).map((url) => url.href)

function refusalOf(text: string): OpenMcpError {
  try {
    parseTarget(text)
  } catch (error) {
    if (error instanceof OpenMcpError) return error
    throw error
  }
  throw new Error(`${text} was not refused`)
}

describe('an upstream', () => {
  test.each([
    ['http://127.0.0.1:8000/sse', ['http://127.0.0.1:8000/sse']],
    ['https://host/mcp', ['https://host/mcp']],
    ['HTTPS://Host.Example:443/Mcp', ['https://host.example/Mcp']],
    ['https://host/mcp?tenant=a', ['https://host/mcp?tenant=a']],
    ['http://remote:8000/mcp', ['http://remote:8000/mcp']],
    ['https://[2001:db8::1]:8443/mcp', ['https://[2001:db8::1]:8443/mcp']],
  ])('%s is reached as it is written', (text, urls) => {
    expect(urlsOf(text)).toEqual(urls)
  })

  test.each([
    ['localhost:8000/sse', 'http://localhost:8000/sse'],
    ['LOCALHOST:8000/sse', 'http://localhost:8000/sse'],
    ['127.0.0.1:9000/sse', 'http://127.0.0.1:9000/sse'],
    ['127.1.2.3:9000/sse', 'http://127.1.2.3:9000/sse'],
    ['[::1]:9000/sse', 'http://[::1]:9000/sse'],
    ['remote:8000/sse', 'https://remote:8000/sse'],
    ['10.0.0.5:8000/mcp', 'https://10.0.0.5:8000/mcp'],
    ['[2001:db8::1]:443/mcp', 'https://[2001:db8::1]/mcp'],
    ['127.0.0.1.evil.example:80/mcp', 'https://127.0.0.1.evil.example:80/mcp'],
  ])('without a scheme %s is http on this machine and https elsewhere', (text, url) => {
    expect(urlsOf(text)).toEqual([url])
  })

  test.each([
    ['localhost:8000', ['http://localhost:8000/mcp', 'http://localhost:8000/sse']],
    ['remote:8443', ['https://remote:8443/mcp', 'https://remote:8443/sse']],
    ['https://host', ['https://host/mcp', 'https://host/sse']],
    ['https://host?tenant=a/b', ['https://host/mcp?tenant=a/b', 'https://host/sse?tenant=a/b']],
  ])('%s names no path, so /mcp is tried, then /sse', (text, urls) => {
    expect(urlsOf(text)).toEqual(urls)
  })

  test('a bare slash is a path and is meant', () => {
    expect(urlsOf('https://host/')).toEqual(['https://host/'])
    expect(urlsOf('localhost:8000/')).toEqual(['http://localhost:8000/'])
  })

  test.each([
    ['tcp://127.0.0.1:9000', 'tcp://127.0.0.1:9000'],
    ['tcp://Host.Example:9000/', 'tcp://host.example:9000'],
    ['TCP://[::1]:9000', 'tcp://[::1]:9000'],
    ['ws://host/mcp', 'ws://host/mcp'],
    ['WSS://host', 'wss://host/'],
  ])('%s is a connection that messages are sent on', (text, url) => {
    expect(urlsOf(text)).toEqual([url])
  })

  test.each([
    ['tcp://host', 'no port'],
    ['tcp://host:0', 'no port from 1 to 65535'],
    ['tcp://:9000', 'names no host'],
    ['tcp://host:9000/mcp', 'a path, which TCP does not have'],
    ['tcp://host:9000?x=1', 'a query, which TCP does not have'],
    ['tcp://ann:hunter2@host:9000', 'a user or password'],
    ['ws://host/#x', 'a fragment'],
  ])('%s is refused', (text, words) => {
    expect(refusalOf(text)).toMatchObject({ code: 'usage', message: expect.stringContaining(words) })
  })

  test.each([
    ['', 'the upstream is empty'],
    ['did:web:host', 'a DID is no URL'],
    ['ftp://host/x', "'ftp://host/x': openmcp does not speak ftp://"],
    ['file:///etc/passwd', "'file:///etc/passwd': openmcp does not speak file://"],
    ['remote', "the upstream 'remote' has no port"],
    ['remote/sse', "the upstream 'remote/sse' has no port"],
    ['remote:', "the upstream 'remote:' has no port from 1 to 65535 after its host"],
    ['remote:0/x', "the upstream 'remote:0/x' has no port from 1 to 65535 after its host"],
    ['remote:65536', "the upstream 'remote:65536' has no port from 1 to 65535 after its host"],
    ['remote:+80', "the upstream 'remote:+80' has no port from 1 to 65535 after its host"],
    ['remote:080', "the upstream 'remote:080' has no port from 1 to 65535 after its host"],
    ['https://host:99999/', "the upstream 'https://host:99999/' has no port from 1 to 65535 after its host"],
    [':8000/sse', "the upstream ':8000/sse' names no host"],
    ['http:///path', "the upstream 'http:///path' names no host"],
    ['8001:9000', "the upstream '8001:9000' is a number where a host belongs"],
    ['9000', "the upstream '9000' is a number where a host belongs"],
    ['::1:8000', "the upstream '::1:8000' has an IPv6 address without brackets"],
    ['http://ho st/', 'the upstream holds a space, a backslash or a control character'],
    ['http:\\\\host\\mcp', 'the upstream holds a space, a backslash or a control character'],
    ['http://host/\u0000', 'the upstream holds a space, a backslash or a control character'],
    ['http:host:80', "the upstream 'http:host:80' has no port from 1 to 65535 after its host"],
    ['http://[::g]:80/', "'http://[::g]:80/' is not an upstream"],
    ['https://host/mcp#part', "the upstream 'https://host/mcp' has a fragment"],
    ['h'.repeat(5000), 'the upstream is longer than 4096 characters'],
  ])('%s is refused', (text, message) => {
    expect(refusalOf(text)).toMatchObject({ code: 'usage', message })
  })

  test.each(['https://ann:hunter2@host/mcp', 'ann:hunter2@host:8000/mcp', 'https://hunter2@host', 'https://a:x/hunter2@host', 'https://a:x#hunter2@h'])(
    'a password in the URL is refused and not repeated (%#)',
    (text) => {
      const { code, message, hint } = refusalOf(text)
      expect(code).toBe('usage')
      expect(`${message} ${hint}`).not.toContain('hunter2')
    },
  )

  test('a refusal does not repeat the query, which may hold a key', () => {
    expect(refusalOf('ftp://host/x?api_key=hunter2').message).not.toContain('hunter2')
  })
})

test('shownTarget leaves out the user, the query and the fragment', () => {
  expect(shownTarget('https://a:b@host/mcp?key=c#d')).toBe('https://host/mcp')
  expect(shownTarget('host:8000/mcp')).toBe('host:8000/mcp')
})

test('schemeOf tells a scheme from a host with a port', () => {
  expect(['HTTP://x', 'did:web:x', 'localhost:8000', 'x'].map(schemeOf)).toEqual(['http', 'did', undefined, undefined])
})

test('only addresses that cannot leave this machine are loopback', () => {
  expect(['localhost', '127.0.0.1', '127.255.0.1', '::1', '[::1]', 'LocalHost'].every(isLoopbackHost)).toBe(true)
  expect(['0.0.0.0', '::', '127.0.0.1.example', '128.0.0.1', 'localhost.example', '127.1', ''].some(isLoopbackHost)).toBe(false)
})
