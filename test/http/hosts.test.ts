import { describe, expect, test } from 'vitest'
import { createHostRules, type HostOptions, type HostRules } from '../../src/http/hosts.ts'

function rulesOf(options: Partial<Omit<HostOptions, 'port'>> & { port?: number } = {}): HostRules {
  const { port = 8000, ...others } = options
  return createHostRules({ host: '127.0.0.1', tls: false, allowHosts: [], allowOrigins: [], ...others, port: () => port })
}

describe('a Host header', () => {
  test.each<[string | undefined, boolean]>([
    ['127.0.0.1:8000', true],
    ['localhost:8000', true],
    ['[::1]:8000', true],
    ['LOCALHOST:8000', true],
    ['127.0.0.1', false],
    ['localhost', false],
    ['localhost:8001', false],
    ['localhost:80000', false],
    ['localhost:08000', false],
    ['localhost.:8000', false],
    ['localhost:8000 ', false],
    ['user@localhost:8000', false],
    ['evil.example', false],
    ['evil.example:8000', false],
    ['localhost.evil.example:8000', false],
    ['127.0.0.1.evil.example:8000', false],
    ['127.0.0.1:8000.evil.example', false],
    ['0x7f.1:8000', false],
    ['2130706433:8000', false],
    ['10.0.0.1:8000', false],
    ['::1:8000', false],
    ['localhost:8000, evil.example', false],
    ['__proto__', false],
    ['', false],
    [undefined, false],
  ])('%s on loopback is ours: %s', (host, ours) => {
    expect(rulesOf().allowsHost(host, '127.0.0.1')).toBe(ours)
  })

  test.each([
    ['http', false, 80, 'localhost', true],
    ['http', false, 80, 'localhost:80', true],
    ['http', false, 80, 'localhost:443', false],
    ['https', true, 443, 'localhost', true],
    ['https', true, 443, 'localhost:443', true],
    ['https', true, 80, 'localhost', false],
    ['http', false, 443, 'localhost', false],
  ])('of %s (tls %s) on port %i may leave out the port of its scheme: %s is ours: %s', (_scheme, tls, port, host, ours) => {
    expect(rulesOf({ tls, port }).allowsHost(host, '127.0.0.1')).toBe(ours)
  })

  test.each<[string, string, boolean]>([
    ['127.0.0.2', '127.0.0.3:8000', false],
    ['::1', '[::1]:8000', true],
    ['::1', 'localhost:8000', true],
    ['10.1.2.3', '10.1.2.3:8000', true],
    ['10.1.2.3', 'localhost:8000', false],
    ['2001:db8::1', '[2001:db8::1]:8000', true],
    ['2001:db8::1', '[2001:DB8::1]:8000', true],
    ['2001:db8::1', '[2001:db8::2]:8000', false],
  ])('bound to %s: %s is ours: %s', (host, header, ours) => {
    expect(rulesOf({ host }).allowsHost(header, host)).toBe(ours)
  })

  // It is in the URL that openmcp announces.
  test('bound to a loopback address of its own has that name', () => {
    expect(rulesOf({ host: '127.0.0.2' }).allowsHost('127.0.0.2:8000', '127.0.0.2')).toBe(true)
  })

  test.each<[string, string, string, boolean]>([
    ['0.0.0.0', '10.0.0.5', '10.0.0.5:8000', true],
    ['0.0.0.0', '10.0.0.5', 'localhost:8000', true],
    ['0.0.0.0', '10.0.0.5', '10.0.0.6:8000', false],
    ['0.0.0.0', '10.0.0.5', '10.0.0.5', false],
    ['0.0.0.0', '10.0.0.5', 'evil.example:8000', false],
    ['::', '::ffff:10.0.0.5', '10.0.0.5:8000', true],
    ['::', '2001:db8::1', '[2001:db8::1]:8000', true],
    ['::', '2001:db8::1', '[2001:DB8::1]:8000', true],
    ['::', '2001:db8::1', 'evil.example:8000', false],
  ])('bound to every address %s, on a connection to %s: %s is ours: %s', (host, local, header, ours) => {
    expect(rulesOf({ host }).allowsHost(header, local)).toBe(ours)
  })

  test('the address of the connection counts only where every address was asked for', () => {
    expect(rulesOf().allowsHost('10.0.0.5:8000', '10.0.0.5')).toBe(false)
    expect(rulesOf({ host: '0.0.0.0' }).allowsHost('10.0.0.5:8000', undefined)).toBe(false)
  })

  test.each<[string, string, boolean]>([
    ['proxy.example', 'proxy.example', true],
    ['proxy.example', 'proxy.example:8000', true],
    ['proxy.example', 'PROXY.example', true],
    ['Proxy.Example', 'proxy.example', true],
    ['proxy.example', 'proxy.example:9', false],
    ['proxy.example', 'sub.proxy.example', false],
    ['proxy.example', 'xproxy.example', false],
    ['proxy.example:9', 'proxy.example:9', true],
    ['proxy.example:9', 'proxy.example', false],
    ['proxy.example:9', 'proxy.example:8000', false],
    ['[2001:db8::1]', '[2001:db8::1]', true],
    ['[2001:db8::1]:9', '[2001:db8::1]:9', true],
  ])('with %s allowed: %s is ours: %s', (allowed, header, ours) => {
    expect(rulesOf({ allowHosts: [allowed] }).allowsHost(header, '127.0.0.1')).toBe(ours)
    expect(rulesOf({ allowHosts: [allowed] }).allowsHost('localhost:8000', '127.0.0.1')).toBe(true)
  })

  test('is known by the port that was found, which is asked for when the first request comes', () => {
    let port = 0
    const rules = createHostRules({ host: '127.0.0.1', tls: false, allowHosts: [], allowOrigins: [], port: () => port })
    port = 40_123
    expect([rules.allowsHost('127.0.0.1:40123', '127.0.0.1'), rules.allowsHost('127.0.0.1:0', '127.0.0.1')]).toEqual([true, false])
  })
})

describe('an Origin header', () => {
  test.each<[string, boolean]>([
    ['http://localhost:8000', true],
    ['http://127.0.0.1:8000', true],
    ['http://[::1]:8000', true],
    ['HTTP://LOCALHOST:8000', true],
    ['https://localhost:8000', false],
    ['http://localhost', false],
    ['http://localhost:3000', false],
    ['http://localhost:8000/', false],
    ['http://evil.example', false],
    ['http://localhost:8000.evil.example', false],
    ['null', false],
    ['', false],
    ['file://', false],
    ['__proto__', false],
  ])('%s may call: %s', (origin, allowed) => {
    expect(rulesOf().allowsOrigin(origin, '127.0.0.1')).toBe(allowed)
    expect(rulesOf().grantsOrigin(origin)).toBe(false)
  })

  test('that the operator named may call and is granted what it needs, exactly as it was named', () => {
    const rules = rulesOf({ allowOrigins: ['https://App.example', 'null'] })
    expect(['https://app.example', 'HTTPS://APP.EXAMPLE', 'null'].map(rules.grantsOrigin)).toEqual([true, true, true])
    const strangers = ['http://app.example', 'https://app.example:8443', 'https://x.app.example', 'https://app.example/']
    expect(strangers.map((origin) => rules.allowsOrigin(origin, '127.0.0.1') || rules.grantsOrigin(origin))).toEqual([false, false, false, false])
  })

  test.each<[string, string, string | undefined, boolean]>([
    ['0.0.0.0', 'http://10.0.0.5:8000', '10.0.0.5', true],
    ['::', 'http://10.0.0.5:8000', '::ffff:10.0.0.5', true],
    ['::', 'http://[2001:db8::1]:8000', '2001:db8::1', true],
    ['0.0.0.0', 'http://10.0.0.6:8000', '10.0.0.5', false],
    ['0.0.0.0', 'https://10.0.0.5:8000', '10.0.0.5', false],
    ['0.0.0.0', 'http://10.0.0.5:8001', '10.0.0.5', false],
    ['0.0.0.0', 'http://10.0.0.5', '10.0.0.5', false],
    ['0.0.0.0', 'http://10.0.0.5:8000', undefined, false],
    ['127.0.0.1', 'http://10.0.0.5:8000', '10.0.0.5', false],
  ])('bound to %s, %s may call at %s: %s', (host, origin, localAddress, allowed) => {
    const rules = rulesOf({ host })
    expect([rules.allowsOrigin(origin, localAddress), rules.grantsOrigin(origin)]).toEqual([allowed, false])
  })

  test('of an allowed host may call, in the scheme that is served', () => {
    const rules = rulesOf({ allowHosts: ['proxy.example'], tls: true, port: 443 })
    expect(['https://proxy.example', 'http://proxy.example', 'https://localhost'].map((origin) => rules.allowsOrigin(origin, '127.0.0.1'))).toEqual([
      true,
      false,
      true,
    ])
    expect(rules.grantsOrigin('https://proxy.example')).toBe(false)
  })
})
