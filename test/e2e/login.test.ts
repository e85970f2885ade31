// The first minutes of somebody who secures a server: the link, the token, the client that has a name and no token.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { initializeMessage, serve, serveOnStdio, typed, type Proxy } from '../support/openmcp.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask } from '../support/wire.ts'

const SERVER = [process.execPath, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js']

function home(): { env: Record<string, string>; file: (name: string, text: string) => string } {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return {
    env: { OPENMCP_HOME: join(directory, 'home') },
    file(name, text) {
      writeFileSync(join(directory, name), text)
      return join(directory, name)
    },
  }
}

const secure = (env: Record<string, string>, ...options: string[]): Promise<Proxy> =>
  forThisTest(serve({ options: ['--security', ...options], command: SERVER, env }))

describe('a server that is secured', () => {
  test('prints one link, which makes the identity of whoever redeems it first one that is trusted', async () => {
    const [node, ann] = [home(), home()]
    const proxy = await secure(node.env)
    const [, command = '', resource = '', link = ''] = await proxy.says(/(openmcp token (\S+) --enrol '(\S+#enrol=\S+)')$/)
    expect({ command, resource }).toEqual({ command: `openmcp token ${proxy.url.href} --enrol '${link}'`, resource: proxy.url.href })
    expect((await ask(proxy.url, { body: initializeMessage(1) })).status).toBe(401)
    const { code, stdout, stderr } = await typed(['token', resource, '--enrol', link], { env: ann.env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('there was no identity yet; made default: did:key:') })
    const { status, text } = await ask(proxy.url, { headers: { authorization: `Bearer ${stdout}` }, body: initializeMessage(1) })
    expect({ status, text }).toEqual({ status: 200, text: expect.stringContaining('everything') })
    expect([...proxy.stdout, ...proxy.stderr].join('\n')).not.toContain(stdout)
  })

  test('is reached on stdio by an identity that is trusted while it runs, with no token in any configuration', async () => {
    const [node, ann] = [home(), home()]
    const proxy = await secure(node.env)
    const { stdout: did } = await typed(['id', 'create', 'ann'], { env: ann.env })
    expect(await typed(['trust', 'add', did], { env: node.env })).toMatchObject({ code: 0, stderr: `openmcp: trusted: ${did} (scope mcp, all tools)` })
    await expect.poll(async () => (await typed(['token', proxy.url.href], { env: ann.env })).code, { timeout: 15_000 }).toBe(0)
    const client = await forThisTest(serveOnStdio({ upstream: proxy.url.href, options: ['--id', 'ann'], env: ann.env }))
    client.send(initializeMessage(1))
    expect(await client.answerTo(1)).toMatchObject({ result: { serverInfo: { name: expect.stringContaining('everything') } } })
  })

  test('reads its configuration, and starts not at all when there is a mistake in it', async () => {
    const [node, ann] = [home(), home()]
    const { stdout: did } = await typed(['id', 'create', 'ann', '--curve', 'P-256'], { env: ann.env })
    const good = node.file('good.json', `{ "trust": { "identities": [{ "id": "${did}", "tools": ["echo"] }] }, "security": { "dpop": "required" } } // ann`)
    const proxy = await secure(node.env, '--config', good)
    expect(await typed(['token', proxy.url.href], { env: ann.env })).toMatchObject({ code: 1, stderr: expect.stringContaining('hint: add --dpop') })
    expect(await typed(['token', proxy.url.href, '--dpop'], { env: ann.env })).toMatchObject({ code: 0 })
    const bad = node.file('bad.json', '{ "trust": { "identity": [] } }')
    expect(await typed(['run', '--security', '--config', bad, '-p', '0', ...SERVER], { env: node.env })).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('trust.identity: is not known; there is identities, issuers, openWebUi, selfIssued, any'),
    })
  })

  test('keeps its keys and its trust when it is started again, and prints no link then', async () => {
    const [node, ann] = [home(), home()]
    const { stdout: did } = await typed(['id', 'create', 'ann'], { env: ann.env })
    await typed(['trust', 'add', did], { env: node.env })
    const first = await secure(node.env)
    const { stdout: before } = await typed(['id', 'show'], { env: node.env })
    expect(before).toMatch(/^tokens active \S+\nseal active \S+\napi-keys active \S+$/)
    await first.stop()
    const second = await secure(node.env)
    expect(await typed(['id', 'show'], { env: node.env })).toMatchObject({ stdout: before })
    expect(await typed(['token', second.url.href], { env: ann.env })).toMatchObject({ code: 0 })
    expect(second.stderr.join('\n')).not.toContain('enrol')
  })
})
