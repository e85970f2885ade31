// Logins at a server whose issuer is oidc-provider, by the built program: one for all processes, renewed once, and never shown twice.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { at } from '../support/json.ts'
import { GRANTS, MACHINE, follow, oidcUpstream, type OidcUpstream } from '../support/oidc-upstream.ts'
import { INITIALIZED, PROGRAM, callMessage, initializeMessage, onStdio, serveOnStdio, typed, type StdioProxy } from '../support/openmcp.ts'
import { startProgram, type Program } from '../support/program.ts'
import { forThisTest } from '../support/tidy.ts'

interface Stage {
  upstream: OidcUpstream
  env: Record<string, string>
  file(name: string, text: string): string
}

async function staged(): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return {
    upstream: await forThisTest(oidcUpstream()),
    env: { OPENMCP_HOME: join(directory, 'home'), BROWSER: 'none' },
    file(name, text) {
      mkdirSync(directory, { recursive: true })
      writeFileSync(join(directory, name), text)
      return join(directory, name)
    },
  }
}

/** `openmcp login`, in front of which somebody waits for words. */
async function loggingIn({ upstream, env }: Stage, ...args: string[]): Promise<Program> {
  return forThisTest(startProgram(process.execPath, [PROGRAM, 'login', upstream.url.href, ...args], { env }))
}

async function loggedIn(stage: Stage, ...args: string[]): Promise<void> {
  const login = await loggingIn(stage, ...args)
  const [address = ''] = await login.says(/^http:\S+\/auth\?\S+$/)
  expect(await follow(address)).toContain('Back to the terminal')
  expect(await login.ended).toMatchObject({ code: 0 })
}

async function opened(proxy: StdioProxy): Promise<StdioProxy> {
  proxy.send(initializeMessage('init'))
  expect(await proxy.answerTo('init')).toMatchObject({ result: { serverInfo: { name: 'protected' } } })
  proxy.send(INITIALIZED)
  return proxy
}

async function whoami(proxy: StdioProxy, id: string): Promise<unknown> {
  proxy.send(callMessage(id, 'whoami'))
  return at(await proxy.answerTo(id), 'result', 'content', 0, 'text')
}

describe('a login of a person', () => {
  // Eleven processes, on a machine that does other things too.
  test('is one for five processes: each uses it, one renews it, and nothing is shown twice', async () => {
    const stage = await staged()
    const { upstream, env } = stage
    await loggedIn(stage)
    for (const round of [1, 2]) {
      const proxies = await Promise.all(Array.from({ length: 5 }, () => forThisTest(serveOnStdio({ upstream: upstream.url.href, env })).then(opened)))
      expect(upstream.given).toEqual([GRANTS.code, ...Array<string>(round - 1).fill(GRANTS.renewed)])
      upstream.expire()
      expect(await Promise.all(proxies.map((proxy) => whoami(proxy, 'call')))).toEqual(Array(5).fill('ann'))
      expect(upstream.given).toEqual([GRANTS.code, ...Array<string>(round).fill(GRANTS.renewed)])
      await Promise.all(proxies.map((proxy) => proxy.stop()))
    }
    expect({ tokens: upstream.tokens.size, refused: upstream.refused, revoked: upstream.revoked }).toEqual({ tokens: 3, refused: [], revoked: [] })
  }, 120_000)

  test('is had at another device, with a code', async () => {
    const stage = await staged()
    const login = await loggingIn(stage, '--device')
    const [address = ''] = await login.says(/^http:\S+\/device$/)
    const [code = ''] = await login.says(/^[A-Z-]{9}$/)
    await follow(address, code)
    expect(await login.ended).toMatchObject({ code: 0 })
    const proxy = await opened(await forThisTest(serveOnStdio({ upstream: stage.upstream.url.href, env: stage.env })))
    expect(await whoami(proxy, 'call')).toBe('ann')
    stage.upstream.expire()
    expect(await whoami(proxy, 'again')).toBe('ann')
    expect(stage.upstream.given).toEqual([GRANTS.device, GRANTS.renewed])
  })

  test('that may too little says which one may do both, and that one counts as soon as it is there', async () => {
    const stage = await staged()
    const { upstream, env } = stage
    await loggedIn(stage)
    const proxy = await opened(await forThisTest(serveOnStdio({ upstream: upstream.url.href, env })))
    proxy.send(callMessage('too-much', 'write'))
    const told = String(at(await proxy.answerTo('too-much'), 'error', 'message'))
    const [, scope = ''] = new RegExp(`openmcp login ${upstream.url.href} --scope '([^']+)'`).exec(told) ?? []
    expect(scope.split(' ')).toEqual(expect.arrayContaining(['mcp', 'write']))
    expect(await whoami(proxy, 'still')).toBe('ann')
    await loggedIn(stage, '--scope', scope)
    proxy.send(callMessage('again', 'write'))
    expect(at(await proxy.answerTo('again'), 'result', 'content', 0, 'text')).toBe('written')
    expect(upstream.given).toEqual([GRANTS.code, GRANTS.code])
  })

  test('that is taken back opens nothing any more, and the answer says what to type', async () => {
    const stage = await staged()
    const { upstream, env } = stage
    await loggedIn(stage)
    expect(await typed(['reset', upstream.url.href], { env })).toMatchObject({ code: 0, stderr: expect.not.stringContaining('were not taken back') })
    const proxy = await forThisTest(serveOnStdio({ upstream: upstream.url.href, env }))
    proxy.send(initializeMessage(1))
    expect(await proxy.answerTo(1)).toMatchObject({ error: { message: expect.stringContaining(`openmcp login ${upstream.url.href}`) } })
    expect(upstream.tokens.size).toBe(0)
  })
})

describe('a client with a secret', () => {
  test.each(['found', 'given'])('is let in, where its tokens are given being %s', async (how) => {
    const { upstream, env, file } = await staged()
    const options = ['--client-id', MACHINE.id, '--client-secret-file', file('secret', MACHINE.secret)]
    const where = how === 'given' ? ['--token-url', `${upstream.issuer}/token`, '--oauth-scope', 'mcp'] : []
    const proxy = await opened(await forThisTest(serveOnStdio({ upstream: upstream.url.href, options: [...options, ...where], env })))
    expect(await whoami(proxy, 'call')).toBe(MACHINE.id)
    upstream.expire()
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((id) => whoami(proxy, id)))).toEqual(Array(4).fill(MACHINE.id))
    expect(upstream.given).toEqual([GRANTS.machine, GRANTS.machine])
    expect(proxy.stderr.join('\n')).not.toContain('canary')
  })

  test('is named by a file, for one of its servers', async () => {
    const { upstream, env, file } = await staged()
    const oauth = { grant: 'client_credentials', clientId: MACHINE.id, clientSecret: '${file:secret}' }
    file('secret', MACHINE.secret)
    const config = file('servers.json', JSON.stringify({ aggregate: true, mcpServers: { far: { url: upstream.url.href, oauth } } }))
    const proxy = await forThisTest(onStdio(['run', '--config', config], { env }))
    proxy.send(initializeMessage('init'))
    await proxy.answerTo('init')
    proxy.send(INITIALIZED)
    proxy.send(callMessage('call', 'far__whoami'))
    expect(at(await proxy.answerTo('call'), 'result', 'content', 0, 'text')).toBe(MACHINE.id)
    expect(upstream.given).toEqual([GRANTS.machine])
  })
})
