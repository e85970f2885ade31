// The page of operations of the built program, in front of real servers.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { at } from '../support/json.ts'
import { nodeHome } from '../support/node-home.ts'
import { listening, serve, type Proxy } from '../support/openmcp.ts'
import { everything } from '../support/servers.ts'
import { strippingProxy, type StrippingProxy } from '../support/stripping-proxy.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask } from '../support/wire.ts'
import { logIn, operationAt, pathsOn, SOME_LOOKS, THEIRS, tryIt, unexpected } from './docs-stage.ts'
import { problemsOf } from './look.ts'
import { alertOn, chromium, SKIPPED, visits, wallet, WALLET } from './visit.ts'

const PREFIXED = '/pre'
const OUTSIDE = '/outside'

describe.skipIf(chromium.missing !== undefined)(`the page of operations of a program that runs${SKIPPED}`, () => {
  const { visit } = visits()
  let one: Proxy
  let several: Proxy
  let outside: StrippingProxy
  let directory: string
  let config: string

  beforeAll(async () => {
    const { served } = await everything('stdio child')
    const [command = '', ...args] = served.command ?? []
    directory = await mkdtemp(join(tmpdir(), 'openmcp-'))
    config = join(directory, 'config.json')
    const openapi = { prompts: true, resources: true }
    const shapes = { command: process.execPath, args: [fileURLToPath(new URL('../support/shapes-server.mjs', import.meta.url))] }
    await writeFile(config, JSON.stringify({ mcpServers: { everything: { command, args, openapi }, shapes } }))
    // Whoever is told of it has to listen first.
    const behind = new URL('http://127.0.0.1:1')
    outside = await strippingProxy(OUTSIDE, behind)
    const { origin } = new URL(outside.base)
    ;[one, several] = await Promise.all([
      serve({ options: ['--openapi'], ...served }),
      listening(['run', '--openapi', '-p', '0', '--path-prefix', PREFIXED, '--root-path', OUTSIDE, '--allow-origin', origin, '--config', config]),
    ])
    behind.port = several.url.port
  })
  afterAll(async () => {
    await Promise.all([one.stop(), several.stop(), outside.stop()])
    await rm(directory, { recursive: true, force: true })
  })

  test('lists every tool, and a person tries one and sees its answer', async () => {
    const { page, complaints } = await visit(one.at('/docs'))
    const { json } = await ask(one.at('/openapi.json'))
    const paths = Object.keys(at(json, 'paths') ?? {})
    expect(paths.length).toBeGreaterThan(10)
    expect(await pathsOn(page)).toEqual(paths)
    expect(await page.title()).toBe('Everything Reference Server')
    expect(await tryIt(page, '/tools/echo', { message: 'from the page' })).toEqual({ status: '200', shown: '"Echo: from the page"' })
    expect((await tryIt(page, '/tools/get-tiny-image')).shown).toContain('data:image/png;base64,')
    expect(complaints).toEqual([])
  })

  test('says which arguments do not fit, and where', async () => {
    const { page } = await visit(one.at('/docs'))
    const { status, shown } = await tryIt(page, '/tools/get-sum', { a: 'one', b: 2 })
    expect(status).toMatch(/^422/)
    expect(shown).toContain('"path": "/a"')
  })

  test('tells how far a call is, and at last what it gave', async () => {
    const { page } = await visit(one.at('/docs'))
    const told = page
      .locator('#status')
      .filter({ hasText: /^[1-3] of 3/ })
      .waitFor()
    const { shown } = await tryIt(page, '/tools/trigger-long-running-operation', { duration: 1.5, steps: 3 })
    await told
    expect(shown).toContain('Long running operation completed')
    expect(await page.locator('#status').innerText()).toBe('')
  })

  test('of several servers it has those of each, and the way to a page of its own', async () => {
    const { page, context, complaints } = await visit(`${outside.base}${PREFIXED}/docs`)
    await page.locator('.opblock').first().waitFor()
    const problems = await problemsOf(page, 'docs-several')
    expect(problems.filter((problem) => !THEIRS.test(problem))).toEqual([])
    expect(await tryIt(page, '/servers/everything/tools/echo', { message: 'to one' })).toEqual({ status: '200', shown: '"Echo: to one"' })
    expect(await tryIt(page, '/servers/shapes/tools/echo', { text: 'to another' })).toEqual({ status: '200', shown: '"to another"' })
    const failed = await tryIt(page, '/servers/shapes/tools/failing')
    expect(failed.status).toMatch(/^500/)
    expect(failed.shown).toContain('"code": "tool_failed"')
    const [ofItsOwn] = await Promise.all([context.waitForEvent('page'), page.locator('.opblock-tag[data-tag="shapes"] a[target]').click()])
    expect(new URL(ofItsOwn.url()).pathname).toBe(`${OUTSIDE}${PREFIXED}/servers/shapes/docs`)
    expect(complaints).toEqual([])
  })

  test.each([
    ['/servers/everything/docs', '/tools/echo', { message: 'here' }, '"Echo: here"'],
    ['/everything/docs', '/echo', { message: 'here' }, '"Echo: here"'],
    ['/servers/shapes/docs', '/tools/echo', { text: 'here' }, '"here"'],
  ])('%s is of one of them, also behind a proxy that takes a path off', async (place, path, body, shown) => {
    const { page, complaints } = await visit(outside.base + PREFIXED + place)
    expect(await tryIt(page, path, body)).toEqual({ status: '200', shown })
    expect(complaints).toEqual([])
    expect(outside.sent.filter((sent) => !sent.startsWith(`${PREFIXED}/`))).toEqual([])
  })

  test('prompts and resources stand beside the tools', async () => {
    const { page } = await visit(several.at(`${PREFIXED}/servers/everything/docs`))
    const tags = page.locator('.opblock-tag')
    await tags.first().waitFor()
    expect(await tags.evaluateAll((all: { dataset: { tag: string } }[]) => all.map(({ dataset }) => dataset.tag))).toEqual(['Tools', 'Prompts', 'Resources'])
    const prompt = operationAt(page, '/prompts/args-prompt')
    await prompt.locator('.opblock-summary-control').click()
    await prompt.getByPlaceholder('city').fill('Vienna')
    await prompt.getByRole('button', { name: 'Execute' }).click()
    await prompt.locator('.live-responses-table').getByText('Vienna').first().waitFor()
  })

  test('of several guarded servers those are called that a person logged in for', async () => {
    const home = await nodeHome()
    await home.run('trust', 'add', wallet.did)
    const proxy = await forThisTest(listening(['run', '--openapi', '--security', '-p', '0', '--config', config], { env: home.env }))
    const { page, complaints } = await visit(proxy.at('/docs'), WALLET)
    await logIn(page)
    expect((await tryIt(page, '/servers/everything/tools/echo', { message: 'to one' })).shown).toBe('"Echo: to one"')
    expect((await tryIt(page, '/servers/shapes/tools/echo', { text: 'to another' })).shown).toBe('"to another"')
    await page.goto(proxy.at('/shapes/docs').href)
    await logIn(page)
    expect((await tryIt(page, '/echo', { text: 'to one alone' })).shown).toBe('"to one alone"')
    expect(unexpected(complaints)).toEqual([])
  })

  test('of a server that is not there it says so', async () => {
    const { page } = await visit(several.at(`${PREFIXED}/servers/nobody/docs`))
    expect(await alertOn(page)).toContain('no such server')
  })

  test.each(SOME_LOOKS)('everybody can use it: %s, %d wide', async (colorScheme, width) => {
    const { page } = await visit(one.at('/docs'), { colorScheme, viewport: { width, height: 844 } })
    await tryIt(page, '/tools/get-sum', { a: 'one', b: 2 })
    const problems = await problemsOf(page, `docs-tried-${colorScheme}-${width}`)
    expect(problems.filter((problem) => !THEIRS.test(problem))).toEqual([])
  })
})
