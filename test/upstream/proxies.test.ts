import { describe, expect, test } from 'vitest'

import { proxiesIn, proxyFor } from '../../src/upstream/proxies.ts'

describe('the variables', () => {
  test.each<[string, Record<string, string>, { http?: string; https?: string }]>([
    ['one for each scheme', { HTTP_PROXY: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, { http: 'http://a:1/', https: 'http://b:2/' }],
    ['lower case goes before upper case', { HTTPS_PROXY: 'http://b:2', https_proxy: 'http://c:3' }, { https: 'http://c:3/' }],
    ['one for all', { ALL_PROXY: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, { http: 'http://a:1/', https: 'http://b:2/' }],
    ['nothing is no proxy', { ALL_PROXY: 'http://a:1', https_proxy: '' }, { http: 'http://a:1/' }],
    ['http is meant where no scheme is', { HTTPS_PROXY: 'proxy.corp:3128' }, { https: 'http://proxy.corp:3128/' }],
  ])('%s', (_what, env, { http, https }) => {
    const found = proxiesIn(env)
    expect([found?.http?.href, found?.https?.href]).toEqual([http, https])
  })

  test('that are not there are no proxies', () => {
    expect([proxiesIn({}), proxiesIn({ HTTPS_PROXY: '', NO_PROXY: 'x' })]).toEqual([undefined, undefined])
  })

  test.each(['http://user:hunter2@', 'http://user:hunter2@a/path', 'http://us%zz:hunter2@a:1', 'http://a b:hunter2'])(
    'that are no URL are a mistake, and not repeated: %s',
    (value) => {
      const told = (): unknown => proxiesIn({ HTTPS_PROXY: value })
      expect(told).toThrow(/^HTTPS_PROXY /)
      expect(told).not.toThrow(/hunter2/)
    },
  )
})

describe('NO_PROXY', () => {
  const goesThrough = (except: string, hostname: string, port = 443): boolean =>
    proxyFor({ https: new URL('http://p:1'), except }, 'https:', { hostname, port }) !== undefined

  test.each<[string, string, number?]>([
    ['*', 'a.example'],
    ['example.com', 'example.com'],
    ['example.com', 'EXAMPLE.com.'],
    ['example.com', 'mcp.example.com'],
    ['.example.com', 'mcp.example.com'],
    ['*.example.com', 'mcp.example.com'],
    ['a,  example.com:8443', 'example.com', 8443],
    ['10.0.0.0/8', '10.1.2.3'],
    ['10.1.2.3', '10.1.2.3'],
    ['192.168.1.1:443', '192.168.1.1'],
    ['fd00::/8', 'fd12::1'],
    ['fd12::1', 'fd12::1'],
    ['[fd12::1]:443', 'fd12::1'],
  ])('%s keeps %s from the proxy', (except, hostname, port) => {
    expect(goesThrough(except, hostname, port)).toBe(false)
  })

  test.each<[string, string, number?]>([
    ['', 'example.com'],
    ['example.com', 'badexample.com'],
    ['example.com:8443', 'example.com', 443],
    ['10.0.0.0/8', '11.1.2.3'],
    ['10.0.0.0/99', '10.1.2.3'],
    ['0/0', '10.1.2.3'],
    ['fd00::/8', 'fe80::1'],
    ['.3', '10.1.2.3'],
  ])('%s does not keep %s from it', (except, hostname, port) => {
    expect(goesThrough(except, hostname, port)).toBe(true)
  })

  test.each(['localhost', '127.0.0.1', '127.9.9.9', '::1', 'LOCALHOST'])('%s is this machine, and never behind a proxy', (hostname) => {
    expect(goesThrough('', hostname)).toBe(false)
  })

  test('what cannot be gone through is not gone around, where it is meant', () => {
    const proxies = proxiesIn({ ALL_PROXY: 'socks5://user:hunter2@a:1', NO_PROXY: 'near.example' })
    if (!proxies) throw new Error('there is one')
    const to = (hostname: string) => () => proxyFor(proxies, 'https:', { hostname, port: 443 })
    expect(to('far.example')).toThrow('the proxy for far.example is socks5://, which openmcp does not speak')
    expect([to('near.example')(), to('localhost')()]).toEqual([undefined, undefined])
  })

  test('a WebSocket goes as http does', () => {
    const proxies = { http: new URL('http://a:1'), https: new URL('http://b:2'), except: '' }
    const to = { hostname: 'h', port: 1 }
    expect(['ws:', 'wss:', 'http:', 'https:'].map((scheme) => proxyFor(proxies, scheme, to)?.host)).toEqual(['a:1', 'b:2', 'a:1', 'b:2'])
  })
})
