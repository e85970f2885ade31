// Documents of the servers that tests use, as the door tells them: a strict reader finds nothing, and nothing of a schema is lost.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { OpenMcpOptions } from '../../src/openmcp.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { FAR_REFERENCES, HARD_TOOLS, hardToolServer, publishedTools } from '../support/hard-schemas.ts'
import { at, type Json } from '../support/json.ts'
import { lossesIn, operationsOf, problemsOfDocument } from '../support/openapi-document.ts'
import { everything } from '../support/servers.ts'
import { upstream } from '../support/upstream.ts'
import { ask } from '../support/wire.ts'
import { child, running } from '../openmcp/stage.ts'

const ALL = { prompts: true, resources: true }
const fileOf = (path: string): string => fileURLToPath(new URL(`../../node_modules/@modelcontextprotocol/${path}`, import.meta.url))

function started(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): NamedServer {
  return { ...child(name), target: { kind: 'command', command: process.execPath, args: [...args], env }, openapi: ALL }
}

/** As people run them, each in a folder of its own. */
async function servers(): Promise<NamedServer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'openmcp-servers-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [, ...everythingArgs] = (await everything('stdio child')).served.command ?? []
  return [
    started('everything', everythingArgs),
    started('memory', [fileOf('server-memory/dist/index.js')], { MEMORY_FILE_PATH: join(folder, 'memory.jsonl') }),
    started('filesystem', [fileOf('server-filesystem/dist/index.js'), folder]),
    { ...child('scripted'), openapi: ALL },
  ]
}

async function documentsAt(under: (path: string) => URL, paths: readonly string[]): Promise<Json[]> {
  return Promise.all(
    paths.map(async (path) => {
      const { status, json } = await ask(under(path))
      expect([path, status]).toEqual([path, 200])
      return json
    }),
  )
}

/** Before its paths. Without a word of it: the root. */
function baseOf(document: Json): string {
  const url = at(document, 'servers', 0, 'url')
  return typeof url === 'string' ? url : ''
}

test('of servers that people run, each alone and all of them, and in the form of mcpo', async () => {
  const names = ['everything', 'memory', 'filesystem', 'scripted']
  const { at: under } = await running(await servers())
  const documents = await documentsAt(under, ['/openapi.json', ...names.flatMap((name) => [`/servers/${name}/openapi.json`, `/${name}/openapi.json`])])
  for (const document of documents) {
    expect(await problemsOfDocument(document)).toEqual([])
    expect(operationsOf(document).length).toBeGreaterThan(5)
  }
  const [all] = documents
  expect(at(all, 'tags', 0)).toMatchObject({ name: 'everything', externalDocs: { url: '/servers/everything/docs' } })
  // Whoever follows its paths from its servers is where it says.
  for (const document of documents) {
    const base = baseOf(document)
    const [{ path } = { path: '' }] = operationsOf(document)
    expect([path, (await ask(under(base + path), { method: 'PUT' })).status]).toEqual([path, 405])
  }
})

test('of several servers as one', async () => {
  const { at: under } = await running(await servers(), [], { aggregate: { name: 'openmcp', version: '1' }, openapi: ALL })
  const [document] = await documentsAt(under, ['/openapi.json'])
  expect(await problemsOfDocument(document)).toEqual([])
  expect(operationsOf(document).map(({ path }) => path)).toEqual(expect.arrayContaining(['/tools/everything__echo', '/tools/scripted__echo']))
})

describe.each<[string, Partial<OpenMcpOptions>, string]>([
  ['ours', { openapi: {} }, '/openapi.json'],
  ['ours of a named server', {}, '/servers/hard/openapi.json'],
  ['mcpo’s of a named server', {}, '/hard/openapi.json'],
  ['mcpo’s of one server', { openapi: { form: 'mcpo' } }, '/openapi.json'],
])('of the hard tools in the form that is %s', (_what, options, path) => {
  const open = async (): Promise<{ under(path: string): URL; document: Json }> => {
    const { origin, stop } = await upstream(hardToolServer)
    onTestFinished(stop)
    const target = { kind: 'remote', urls: [new URL('/mcp', origin)], transport: 'http', headers: {} } as const
    const { at: under } = options.openapi ? await running([], [], { ...options, target }) : await running([{ ...child('hard'), target, openapi: {} }])
    return { under, document: (await ask(under(path))).json }
  }
  const operationIn = (document: Json, name: string): ReturnType<typeof operationsOf>[number] | undefined =>
    operationsOf(document).find(({ operation }) => operation['x-mcp-tool'] === name)

  test('everything that the server published is told, and tells the same', async () => {
    const { document } = await open()
    expect(operationsOf(document)).toHaveLength(HARD_TOOLS.length)
    const near = publishedTools().filter(({ name }) => !FAR_REFERENCES.includes(String(name)))
    expect(lossesIn(document, near, (name) => operationIn(document, name)?.operation)).toEqual([])
    expect(await problemsOfDocument(document)).toEqual([])
  })

  test('each is called where it says, and what does not fit is told with its place', async () => {
    const { under, document } = await open()
    const before = baseOf(document)
    for (const { name, good, bad, place = '' } of HARD_TOOLS) {
      const url = under(before + String(operationIn(document, name)?.path))
      const answer = await ask(url, { body: good })
      expect([name, answer.status, name === 'with-an-output' ? good : answer.json]).toEqual([name, 200, good])
      if (bad === undefined) continue
      const refused = await ask(url, { body: bad })
      const errors = at(refused.json, 'detail', 'errors')
      expect([name, refused.status]).toEqual([name, 422])
      expect(Array.isArray(errors) && errors.some((error) => String(at(error, 'path')).startsWith(place))).toBe(true)
    }
  })
})
