// Tools by plain HTTP lie at any path that is free: nothing of ours is behind one of them.
import { createServer } from 'node:http'
import type { Response } from 'express'
import { expect, onTestFinished, test } from 'vitest'

import { OUR_FOLDERS, OUR_PAGES, type OpenApiDoors } from '../../src/http/plain-routes.ts'
import { segmentOf } from '../../src/openapi/segment.ts'
import { at } from '../support/json.ts'
import { onLoopback } from '../support/loopback.ts'
import { ask } from '../support/wire.ts'
import { child, running } from '../openmcp/stage.ts'
import { wholeApp } from '../security/whole-app.ts'

const A_TOOL = 299
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/** With tools of every name at servers of every name. */
function everywhere(): OpenApiDoors {
  const door = (_name: unknown, _req: unknown, res: Response): void => void res.status(A_TOOL).end()
  const says = (): { status: number; text: string } => ({ status: 404, text: '{}' })
  return { isOn: () => true, says, tool: door, prompt: door, resource: door, document: door, documentAsMcpo: door, isTool: () => Promise.resolve(false) }
}

async function served(openapi?: OpenApiDoors): Promise<{ routes: readonly string[]; status(method: string, path: string): Promise<number> }> {
  const { app, routes } = wholeApp({ pathPrefix: '', openapi })
  // Its type says what express wants of a request, which every one has.
  const { host, stop } = await onLoopback(createServer((req, res) => void app(req, res)))
  onTestFinished(stop)
  return { routes, status: async (method, path) => (await ask(new URL(`http://${host}${path}`), { method, ...(method === 'POST' && { body: {} }) })).status }
}

test('no path of ours is a tool, whatever servers and tools are called', async () => {
  const [plain, without] = await Promise.all([served(everywhere()), served()])
  const named = without.routes.flatMap((route) => ['mcp', 'openapi.json', 'name'].map((name) => route.replaceAll(/:\w+/g, name)))
  const asked = [...new Set(named)].flatMap((path) => METHODS.map((method) => ({ method, path })))
  const shadowed = await Promise.all(
    asked.map(async ({ method, path }) => {
      const before = await without.status(method, path)
      const now = before === 404 ? before : await plain.status(method, path)
      return now === before ? [] : [`${method} ${path}: ${now} instead of ${before}`]
    }),
  )
  expect(asked.length).toBeGreaterThan(200)
  expect(shadowed.flat()).toEqual([])
})

test('a name that a path of ours begins with is no server there, and each such name is known', async () => {
  const { routes, status } = await served(everywhere())
  const folders = routes.flatMap((route) => /^\/([^/:]+)\/./.exec(route)?.[1] ?? [])
  expect([...OUR_FOLDERS].toSorted()).toEqual([...new Set(folders)].toSorted())
  const found = await Promise.all([...OUR_FOLDERS, 'name'].map(async (name) => [name, await status('POST', `/${name}/anything-else`)]))
  expect(found.filter(([, answer]) => answer === A_TOOL)).toEqual([
    ['tools', A_TOOL],
    ['name', A_TOOL],
  ])
})

test('each path where a tool of its name is not in the form of mcpo is known', async () => {
  const { routes, status } = await served(everywhere())
  const pages = [...new Set(routes.flatMap((route) => /^\/([^/:]+)$/.exec(route)?.[1] ?? []))]
  const answers = await Promise.all(pages.map(async (name) => ({ name, answer: await status('POST', `/${name}`) })))
  expect([...OUR_PAGES].toSorted()).toEqual(answers.flatMap(({ name, answer }) => (answer === A_TOOL ? [] : [name])).toSorted())
  for (const name of OUR_PAGES) expect([name, await status('POST', `/${segmentOf(name, OUR_PAGES)}`)]).toEqual([name, A_TOOL])
})

test('a server of such a name is told of at the start and when it comes later, and is where ours are', async () => {
  const log: string[] = []
  const servers = ['keys', 'git'].map((name) => ({ ...child(name), openapi: {} }))
  const { at: under, proxy } = await running([...servers, child('oauth')], log)
  const warnings = (): string[] => log.filter((line) => line.includes('where mcpo has them'))
  expect(warnings()).toEqual([expect.stringContaining('the tools of the server keys are not at /keys/TOOL')])
  expect((await ask(under('/keys/echo'), { body: {} })).status).toBe(404)
  expect((await ask(under('/git/echo'), { body: { a: 1 } })).json).toEqual({ a: 1 })
  expect((await ask(under('/servers/keys/tools/echo'), { body: { a: 1 } })).json).toEqual({ a: 1 })
  await proxy.apply([{ ...child('docs'), openapi: {} }])
  expect(warnings().at(-1)).toContain('the server docs')
})

test('where mcpo has a tool another method is refused with the one that there is, and beside it there is nothing', async () => {
  const { at: under } = await running([{ ...child('git'), openapi: {} }])
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const answer = await ask(under('/git/echo'), { method })
    expect([method, answer.status, answer.headers.allow, at(answer.json, 'detail', 'code')]).toEqual([method, 405, 'POST', 'method_not_allowed'])
  }
  for (const path of ['/git/nothing', '/nobody/echo', '/echo', '/favicon.ico']) {
    const answer = await ask(under(path), { method: 'GET' })
    expect([path, answer.status, at(answer.json, 'detail', 'code')]).toEqual([path, 404, 'not_found'])
  }
})
