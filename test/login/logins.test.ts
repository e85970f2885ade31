import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { alone } from '../../src/login/lock.ts'
import { parseLogin, textOf } from '../../src/login/login.ts'
import { createLogins } from '../../src/login/logins.ts'
import { ownDirectory, someLogin } from './kept.ts'

const now = (): number => 2_000_000

function stage() {
  const directory = ownDirectory()
  return { directory, logins: createLogins({ directory, now }) }
}

const at = (url: string): URL => new URL(url)
const MCP = at('https://mcp.example.com/mcp')

describe('logins that are kept', () => {
  test('are found by the address that they open, and by no other', async () => {
    const { logins } = stage()
    await logins.save(someLogin())
    expect((await logins.find(MCP))?.login).toEqual(someLogin())
    expect((await logins.find(at('https://mcp.example.com/mcp/more')))?.login).toEqual(someLogin())
    for (const other of [
      'https://mcp.example.com/mcp2',
      'https://mcp.example.com/',
      'https://mcp.example.com:444/mcp',
      'http://mcp.example.com/mcp',
      'https://evil.example/mcp',
    ]) {
      expect(await logins.find(at(other))).toBeUndefined()
    }
  })

  test('go to what the person named and below it, though the resource covers all of its host', async () => {
    const { logins } = stage()
    await logins.save(someLogin({ resource: 'https://mcp.example.com/', address: 'https://mcp.example.com/good/mcp' }))
    expect(await logins.find(at('https://mcp.example.com/evil/mcp'))).toBeUndefined()
    expect((await logins.find(at('https://mcp.example.com/good/mcp')))?.login.resource).toBe('https://mcp.example.com/')
  })

  test('that could not be read again are not written', async () => {
    const { logins, directory } = stage()
    await expect(logins.save(someLogin({ refreshToken: 'a b' }))).rejects.toMatchObject({ code: 'login_failed' })
    expect(readdirSync(directory)).toEqual([])
  })

  test('are files that nobody else can read, in a directory of their own, with nothing else left in it', async () => {
    const { logins, directory } = stage()
    await logins.save(someLogin())
    const files = readdirSync(directory)
    expect(files).toEqual([expect.stringMatching(/^[\da-f]{64}\.json$/)])
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, files[0] ?? '')).mode & 0o777).toBe(0o600)
  })

  test('are one for each address and issuer: a new one takes the place of the old', async () => {
    const { logins, directory } = stage()
    await logins.save(someLogin())
    await logins.save(someLogin({ accessToken: 'newer' }))
    expect(readdirSync(directory)).toHaveLength(1)
    expect((await logins.find(MCP))?.login.accessToken).toBe('newer')
  })

  test('of several the one for the nearest address is taken, and of these the newest', async () => {
    const { logins } = stage()
    await logins.save(someLogin({ resource: 'https://mcp.example.com/', accessToken: 'root', obtainedAtMs: 1_900_000 }))
    await logins.save(someLogin({ issuer: 'https://old.example', tokenEndpoint: 'https://old.example/token', accessToken: 'old', obtainedAtMs: 1 }))
    await logins.save(someLogin({ accessToken: 'new' }))
    expect((await logins.find(MCP))?.login.accessToken).toBe('new')
    expect((await logins.find(at('https://mcp.example.com/other')))?.login.accessToken).toBe('root')
  })

  test('are none where there is no directory', async () => {
    const { logins } = stage()
    expect(await logins.find(MCP)).toBeUndefined()
    expect(await logins.list()).toEqual({ kept: [], unreadable: [] })
  })

  test('are gone when they are removed, twice too', async () => {
    const { logins, directory } = stage()
    await logins.save(someLogin())
    const { path = '' } = (await logins.find(MCP)) ?? {}
    await logins.remove(path)
    await logins.remove(path)
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('what must not be read is refused, with its path and nothing of what it holds', () => {
  async function kept(): Promise<{ logins: ReturnType<typeof createLogins>; directory: string; path: string }> {
    const { logins, directory } = stage()
    await logins.save(someLogin())
    const { path = '' } = (await logins.find(MCP)) ?? {}
    return { logins, directory, path }
  }
  const changed = (path: string, change: (text: string) => string): void => writeFileSync(path, change(readFileSync(path, 'utf8')), { mode: 0o600 })

  test.each<[string, (path: string, directory: string) => void, string]>([
    ['a file that others can read', (path) => chmodSync(path, 0o640), 'others have access to'],
    ['a directory that others can look into', (_path, directory) => chmodSync(directory, 0o755), 'others have access to'],
    ['a link', (path) => (renameSync(path, `${path}.real`), symlinkSync(`${path}.real`, path)), 'symbolic link'],
    ['half a file', (path) => changed(path, (text) => text.slice(0, 100)), 'is not a login as openmcp writes it'],
    ['no JSON', (path) => changed(path, () => '}'), 'is not a login'],
    ['a file of a later version', (path) => changed(path, (text) => text.replace('"version": 1', '"version": 2')), 'is not a login'],
    ['more than a login', (path) => changed(path, (text) => text.replace('{', '{"more":1,')), 'is not a login'],
    [
      'a login for another address',
      (path) => changed(path, (text) => text.replace('"address": "https://mcp.example.com/mcp"', '"address": "https://mcp.example.com/mcp/admin"')),
      'is not a login',
    ],
    [
      'a login for an address that its resource does not cover',
      (path) => changed(path, (text) => text.replace('/mcp",\n  "issuer', '/other",\n  "issuer')),
      'is not a login',
    ],
    ['a login at another issuer', (path) => changed(path, (text) => text.replace('"https://issuer.example"', '"https://evil.example"')), 'is not a login'],
    [
      'tokens from another way',
      (path) => changed(path, (text) => text.replace('https://issuer.example/token', 'http://issuer.example/token')),
      'is not a login',
    ],
    ['a token that would break a header', (path) => changed(path, (text) => text.replace('access-canary', 'access\\r\\nx: canary')), 'is not a login'],
    ['a time that is none', (path) => changed(path, (text) => text.replace('1000000', '"now"')), 'is not a login'],
    ['a file that is very long', (path) => changed(path, (text) => text.padEnd(100_000)), 'is not a file of openmcp'],
  ])('%s', async (_what, spoil, words) => {
    const { logins, directory, path } = await kept()
    spoil(path, directory)
    const refusal: unknown = await logins.find(MCP).catch((thrown: unknown) => thrown)
    expect(refusal).toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining(words) })
    expect(String(refusal)).not.toContain('canary')
  })

  test('and does not stand in the way of another that is whole', async () => {
    const { logins, path } = await kept()
    const other = someLogin({ resource: 'https://other.example/mcp' })
    await logins.save(other)
    chmodSync(path, 0o644)
    expect((await logins.find(at('https://other.example/mcp')))?.login).toEqual(other)
    await expect(logins.find(MCP)).rejects.toMatchObject({ code: 'keys_unsafe' })
    expect(await logins.list()).toMatchObject({ kept: [{ login: other }], unreadable: [{ path, error: { code: 'keys_unsafe' } }] })
  })

  test('a file of another name is none of ours', async () => {
    const { logins, directory, path } = await kept()
    renameSync(path, join(directory, 'copy.json'))
    expect(await logins.find(MCP)).toBeUndefined()
  })
})

describe('the text of a login', () => {
  test.each([
    someLogin(),
    someLogin({ refreshToken: undefined, expiresAtMs: undefined }),
    someLogin({ client: { id: 'a', secret: 'b', auth: 'client_secret_basic' }, revocationEndpoint: 'https://issuer.example/revoke' }),
    someLogin({ tokenType: 'DPoP', dpopJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' } }),
  ])('says all of it (%#)', (login) => {
    expect(parseLogin(textOf(login))).toEqual(JSON.parse(JSON.stringify(login)))
  })

  test('is no login when a bound token has no key, or a key no bound token', () => {
    expect(parseLogin(textOf(someLogin({ tokenType: 'DPoP' })))).toBeUndefined()
    expect(parseLogin(textOf(someLogin({ dpopJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' } })))).toBeUndefined()
  })
})

describe('a lock', () => {
  function lockAt(): string {
    const directory = ownDirectory()
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return join(directory, 'x.lock')
  }
  const left = (path: string, holder: object): void =>
    writeFileSync(path, JSON.stringify({ id: '00000000-0000-4000-8000-000000000000', host: hostname(), pid: process.pid, sinceMs: now(), ...holder }), {
      mode: 0o600,
    })

  test('lets one in after the other, and leaves nothing behind', async () => {
    const path = lockAt()
    const seen: string[] = []
    const act = (name: string) => async (): Promise<void> => {
      seen.push(`${name} in`)
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(`${name} out`)
    }
    await Promise.all(['a', 'b', 'c'].map((name) => alone(path, { now }, act(name))))
    expect(seen).toHaveLength(6)
    for (let n = 0; n < 6; n += 2) expect(seen[n + 1]).toBe(seen[n]?.replace('in', 'out'))
    expect(existsSync(path)).toBe(false)
  })

  test('is let go by who fails', async () => {
    const path = lockAt()
    await expect(alone(path, { now }, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await alone(path, { now }, async () => 'in')).toBe('in')
  })

  test.each<[string, object]>([
    // Above the highest number that Linux gives a process.
    ['of a process that is gone', { pid: 2 ** 22 + 1 }],
    ['that is older than any login takes', { sinceMs: now() - 121_000, host: 'elsewhere' }],
  ])('%s is taken away', async (_what, holder) => {
    const path = lockAt()
    left(path, holder)
    expect(await alone(path, { now }, async () => 'in')).toBe('in')
  })

  test.each<[string, object]>([
    ['of a process that runs', {}],
    ['of another machine, which cannot be asked', { pid: 2 ** 22 + 1, host: 'elsewhere' }],
  ])('%s is waited for, and not for ever', async (_what, holder) => {
    const path = lockAt()
    left(path, holder)
    const refusal = alone(path, { now, waitMs: 100 }, async () => 'in')
    await expect(refusal).rejects.toMatchObject({ code: 'login_failed', hint: `if none is running, remove ${path}` })
    unlinkSync(path)
    expect(await alone(path, { now }, async () => 'in')).toBe('in')
  })
})

describe('a login of one caller', () => {
  const holder = { server: 'far', caller: 'did:key:ann' }
  const held = { ...holder, sinceMs: 5 }

  test.each([
    ['another caller', { ...holder, caller: 'did:key:bob' }],
    ['another server', { ...holder, server: 'near' }],
    ['all', undefined],
  ])('that is carried to where the logins of %s are opens nothing there', async (_whose, other) => {
    const directory = ownDirectory()
    const [own, others] = [join(directory, 'own'), join(directory, 'others')]
    await createLogins({ directory: own, holder, now }).save(someLogin({ holder: held }))
    const [file = ''] = readdirSync(own)
    mkdirSync(others, { mode: 0o700 })
    renameSync(join(own, file), join(others, file))
    await expect(createLogins({ directory: others, holder: other, now }).find(MCP)).rejects.toMatchObject({ code: 'keys_unsafe' })
  })

  test('is kept where it is theirs, and nowhere else', async () => {
    const directory = ownDirectory()
    const logins = createLogins({ directory, holder, now })
    await expect(logins.save(someLogin())).rejects.toMatchObject({ code: 'internal' })
    await expect(createLogins({ directory, now }).save(someLogin({ holder: held }))).rejects.toMatchObject({ code: 'internal' })
    await logins.save(someLogin({ holder: held }))
    expect((await logins.find(MCP))?.login.holder).toEqual(held)
  })
})
