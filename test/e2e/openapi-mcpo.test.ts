// What people who come from mcpo rely on: its routes, shapes and statuses, as it really answers, and as openmcp does in its place. Where that is
// another answer, docs/migrating.md says why.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { at, jsonOf } from '../support/json.ts'
import { FIRST_OPEN_WEBUI, OPEN_WEBUI } from '../support/open-webui.ts'
import { listening, typed } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { findPythonMcpo } from '../support/python.ts'
import { freePort } from '../support/servers.ts'
import { strippingProxy } from '../support/stripping-proxy.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { blocksOf, section, tableOf } from './documents.ts'

const SHAPES = fileURLToPath(new URL('../support/shapes-server.mjs', import.meta.url))
const COMMAND = [process.execPath, SHAPES]
const CONFIG = {
  mcpServers: {
    shapes: { command: process.execPath, args: [SHAPES], disabledTools: ['hidden'] },
    other: { command: process.execPath, args: [SHAPES] },
  },
}
const KEY = 'a-key-of-the-operator-of-this-server'

interface Door {
  readonly base: string
  stop(): Promise<unknown>
}

/** How each of them is started with the same words. */
interface Program {
  readonly name: 'mcpo' | 'openmcp'
  readonly missing?: string | undefined
  start(words: readonly string[]): Promise<Door>
}

const python = findPythonMcpo()
const MCPO: Program = {
  name: 'mcpo',
  missing: python.missing,
  async start(words) {
    const base = `http://127.0.0.1:${await freePort()}`
    const program = startProgram(join(dirname(python.interpreter), 'mcpo'), [
      '--host',
      '127.0.0.1',
      '--port',
      new URL(base).port,
      '--log-level',
      'ERROR',
      ...words,
    ])
    try {
      await until('an answer of mcpo', async () => (await fetch(`${base}/docs`).catch(() => undefined)) !== undefined, 30_000)
    } catch (error) {
      await program.stop()
      throw error
    }
    return { base, stop: program.stop }
  },
}
const OPENMCP: Program = {
  name: 'openmcp',
  async start(words) {
    const program = await listening(['--as', 'mcpo', '--port', '0', ...words])
    return { base: program.url.origin, stop: program.stop }
  },
}

/** Started with two servers in a file. */
async function configured(start: Program['start'], ...words: readonly string[]): Promise<Door> {
  const folder = await mkdtemp(join(tmpdir(), 'openmcp-mcpo-'))
  const path = join(folder, 'config.json')
  await writeFile(path, JSON.stringify(CONFIG))
  const { base, stop } = await start([...words, '--config', path])
  const whole = async (): Promise<void> => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { base, stop: whole }
}

test.each(tableOf(section('docs/migrating.md', "mcpo's answers")).map(([what = '']) => what))('a test is called as docs/migrating.md tells of %s', (what) => {
  expect(readFileSync(import.meta.filename, 'utf8')).toContain(`test('${what}', `)
})

test('the file that docs/openapi.md shows for sessions of Open WebUI is one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'openmcp-mcpo-'))
  const path = join(folder, 'config.json')
  await writeFile(path, blocksOf(section('docs/openapi.md', 'Open WebUI'), 'json')[0] ?? '', { mode: 0o600 })
  const env = { WEBUI_SECRET_KEY: 'of an Open WebUI, and long enough', OPENMCP_HOME: folder }
  expect(await typed(['config', 'validate', path], { env })).toMatchObject({ code: 0, stdout: 'git', stderr: '' })
  await rm(folder, { recursive: true })
})

test('what docs/openapi.md lets people paste is a document that Open WebUI reads', async () => {
  const { base } = await forThisTest(configured(OPENMCP.start, '--api-key', KEY))
  const [line = ''] = blocksOf(section('docs/openapi.md', 'Open WebUI'), 'bash')
  const command = line.replace('http://127.0.0.1:8000', base).replace('/git/', '/shapes/').replace('KEY', KEY)
  const shell = startProgram('bash', ['--norc', '-euo', 'pipefail', '-c', command])
  expect(await shell.ended).toMatchObject({ code: 0 })
  const tools = await OPEN_WEBUI.tools({ url: `${base}/shapes`, pasted: JSON.parse(shell.stdout.join('\n')) })
  expect(tools.map(({ name }) => name)).toContain('tool_echo_post')
})

const post = (url: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, ...(body !== undefined && { body: JSON.stringify(body) }) })
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
const statusOf = async (url: string, options?: RequestInit): Promise<number> => (await fetch(url, { redirect: 'manual', ...options })).status

describe.each([MCPO, OPENMCP])('$name', ({ name, missing, start }) => {
  const skips = missing !== undefined && process.env['OPENMCP_TEST_REQUIRE_ALL'] !== '1'
  const isOurs = name === 'openmcp'
  const by = <T>(theirs: T, ours: T): T => (isOurs ? ours : theirs)

  describe.skipIf(skips)('with one server', () => {
    let door: Door
    beforeAll(async () => void (door = await start(['--', ...COMMAND])))
    afterAll(() => door?.stop())
    const said = async (tool: string, body?: unknown): Promise<unknown> => (await post(`${door.base}/${tool}`, body)).json()

    test.each<[tool: string, said: unknown]>([
      ['plain', 'plain'],
      ['number', 42],
      ['object', { a: [1, null] }],
      ['two', ['a', { b: 1 }]],
      ['nothing', []],
      ['image', 'data:image/png;base64,AAAA'],
    ])('POST /%s answers with what the tool said', async (tool, answered) => {
      const answer = await post(`${door.base}/${tool}`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/)
      expect(await answer.json()).toEqual(answered)
    })

    test('audio, links and embedded resources', async () => {
      expect(await said('audio')).toEqual(by<unknown>([], 'data:audio/wav;base64,AAAA'))
      expect(await said('link')).toEqual(by<unknown>([], { type: 'resource_link', uri: 'file:///a', name: 'a' }))
      expect(await said('embedded')).toEqual(by<unknown>('Embedded resource not supported yet.', { uri: 'file:///a', text: 'x' }))
    })

    test('what a tool says by its `outputSchema`', async () => {
      expect(await said('structured')).toEqual(by<unknown>('in words', { n: 1 }))
    })

    test('a tool that takes nothing is called with no body, and with an empty one', async () => {
      expect(await said('plain')).toBe('plain')
      expect(await said('plain', {})).toBe('plain')
    })

    test('arguments are the body', async () => {
      expect(await said('echo', { text: 'hi' })).toBe('hi')
      expect(await said('with_options', { a: 'z', c: 'q' })).toEqual({ a: 'z', c: 'q' })
    })

    test('arguments that are not given, and have a default', async () => {
      expect(await said('with_options', { c: 'p' })).toEqual(by<unknown>({ a: 'x', c: 'p' }, { c: 'p' }))
    })

    test('arguments of which the schema says nothing', async () => {
      expect(await said('with_options', { a: 'z', more: 1 })).toEqual(by<unknown>({ a: 'z' }, { a: 'z', more: 1 }))
    })

    test('`null` for an argument that may be left out', async () => {
      expect(await said('with_options', { a: 'z', c: null })).toEqual({ a: 'z' })
      expect(await said('with_options', { a: 'z', b: null })).toEqual(by<unknown>({ a: 'z' }, { a: 'z', b: null }))
      expect((await post(`${door.base}/with_options`, { a: null })).status).toBe(by(422, 200))
    })

    test.each<[string, unknown]>([
      ['of the wrong type', { text: 3 }],
      ['that are missing', {}],
      ['that are no object', [1]],
    ])('arguments %s are 422, with a list of places', async (_what, body) => {
      const answer = await post(`${door.base}/echo`, body)
      expect(answer.status).toBe(422)
      const detail = at(await answer.json(), 'detail')
      const [place, words] = by(['loc', 'msg'], ['path', 'message'])
      expect(isOurs ? at(detail, 'errors', 0) : at(detail, 0)).toMatchObject({ [place ?? '']: expect.anything(), [words ?? '']: expect.any(String) })
    })

    test('arguments that do not fit', async () => {
      expect((await post(`${door.base}/with_options`, { c: 'neither' })).status).toBe(by(200, 422))
    })

    test('a body that is no JSON, or does not say that it is', async () => {
      const sent = (type: string, body: string): Promise<number> => statusOf(`${door.base}/echo`, { method: 'POST', headers: { 'content-type': type }, body })
      expect(await sent('application/json', '{bad')).toBe(by(422, 400))
      expect(await sent('text/plain', '{"text":"a"}')).toBe(by(422, 415))
    })

    test('an error of the server is the status of its code, with its words and data in `detail`', async () => {
      const answer = await post(`${door.base}/refusing`)
      expect(answer.status).toBe(422)
      expect(await answer.json()).toMatchObject({ detail: { message: 'bad arguments', data: { at: 1 } } })
    })

    test('a tool that says that it failed', async () => {
      const answer = await post(`${door.base}/failing`)
      expect(answer.status).toBe(500)
      // mcpo means to tell them as ours does, and catches what it has thrown itself.
      const detail = jsonOf(at(await answer.json(), 'detail'))
      expect(detail['message']).toBe(by('Unexpected error', 'it broke'))
      expect(JSON.stringify(detail)).toContain('it broke')
    })

    test('an unknown tool is 404, another method 405 that names POST', async () => {
      const unknown = await post(`${door.base}/nobody`)
      expect(unknown.status).toBe(404)
      expect(jsonOf(await unknown.json())).toHaveProperty('detail')
      const wrong = await fetch(`${door.base}/echo`)
      expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
    })

    test('`/docs/`, `/redoc`', async () => {
      expect(await statusOf(`${door.base}/docs/`)).toBe(by(307, 404))
      expect(await statusOf(`${door.base}/redoc`)).toBe(by(200, 404))
    })

    test('the document is at /openapi.json, in the form that Open WebUI reads', async () => {
      const answer = await fetch(`${door.base}/openapi.json`)
      expect(answer.status).toBe(200)
      const document = jsonOf(await answer.json())
      expect(document).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./), info: { title: 'shapes', version: '7', description: 'Be nice' } })
      const echo = at(document, 'paths', '/echo', 'post')
      // Its name there is that of the function which a model calls.
      expect(echo).toMatchObject({ operationId: 'tool_echo_post', summary: 'Echo', description: 'does echo' })
      // A body that is told of and not given is not called at all by older ones.
      expect(at(document, 'paths', '/plain', 'post')).not.toHaveProperty('requestBody')
      expect(at(document, 'paths', '/with_options', 'post', 'summary')).toBe('With Options')
    })

    test.each([
      ['as it was', FIRST_OPEN_WEBUI],
      ['as it is', OPEN_WEBUI],
    ])('Open WebUI %s lists what is there, and calls it with arguments and without', async (_when, webUi) => {
      const connection = { url: door.base }
      const echo = (await webUi.tools(connection)).find(({ name: called }) => called === 'tool_echo_post')
      expect(echo).toMatchObject({ description: 'does echo', properties: { text: { type: 'string' } }, required: ['text'] })
      expect(await webUi.call(connection, 'tool_echo_post', { text: 'hi' })).toBe('hi')
      expect(await webUi.call(connection, 'tool_plain_post', {})).toBe('plain')
    })

    test('the page is at /docs', async () => {
      const answer = await fetch(`${door.base}/docs`, { headers: { accept: 'text/html' } })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^text\/html\b/)
    })

    test('a server that ends under a call', async () => {
      expect((await post(`${door.base}/leaving`)).status).toBe(by(500, 502))
      expect((await post(`${door.base}/plain`)).status).toBe(200)
    })
  })

  describe.skipIf(skips)('with a configuration', () => {
    let door: Door
    beforeAll(async () => {
      door = await configured(start)
      await until('its servers', async () => (await fetch(`${door.base}/shapes/openapi.json`)).ok)
    })
    afterAll(() => door?.stop())

    test('each server has its tools, its document and its page below its name', async () => {
      expect(await (await post(`${door.base}/shapes/echo`, { text: 'hi' })).json()).toBe('hi')
      const document: unknown = await (await fetch(`${door.base}/shapes/openapi.json`)).json()
      expect(Object.keys(jsonOf(at(document, 'paths')))).toContain('/echo')
      expect(at(document, 'servers', 0, 'url')).toBe('/shapes')
      for (const webUi of [FIRST_OPEN_WEBUI, OPEN_WEBUI]) expect(await webUi.call({ url: `${door.base}/shapes` }, 'tool_echo_post', { text: 'hi' })).toBe('hi')
      expect(await statusOf(`${door.base}/shapes/docs`)).toBe(200)
    })

    test('the document at the root, of several servers', async () => {
      const document: unknown = await (await fetch(`${door.base}/openapi.json`)).json()
      expect(JSON.stringify(document)).toContain('/shapes/docs')
      expect(JSON.stringify(document)).toContain('/other/docs')
      expect(Object.keys(jsonOf(at(document, 'paths'))).includes('/servers/shapes/tools/echo')).toBe(isOurs)
    })

    test('a tool that is disabled is not there', async () => {
      expect((await post(`${door.base}/shapes/hidden`)).status).toBe(404)
      expect(await (await post(`${door.base}/other/hidden`)).json()).toBe('hidden')
      const document: unknown = await (await fetch(`${door.base}/shapes/openapi.json`)).json()
      expect(jsonOf(at(document, 'paths'))).not.toHaveProperty('/hidden')
    })

    test('an unknown server is 404', async () => {
      expect(await statusOf(`${door.base}/nobody/openapi.json`)).toBe(404)
      expect((await post(`${door.base}/nobody/echo`, { text: 'hi' })).status).toBe(404)
    })
  })

  describe.skipIf(skips)('with --api-key', () => {
    let door: Door
    beforeAll(async () => void (door = await start(['--api-key', KEY, '--', ...COMMAND])))
    afterAll(() => door?.stop())

    test('a call without it is 401 with a challenge, with it 200', async () => {
      const without = await post(`${door.base}/plain`)
      expect(without.status).toBe(401)
      expect(without.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect((await post(`${door.base}/plain`, undefined, bearer(KEY))).status).toBe(200)
      expect(await OPEN_WEBUI.call({ url: door.base, auth: { bearer: KEY } }, 'tool_echo_post', { text: 'hi' })).toBe('hi')
    })

    test('a key that is none', async () => {
      expect((await post(`${door.base}/plain`, undefined, bearer('another'))).status).toBe(by(403, 401))
    })

    test('`openapi.json`, with `--api-key`', async () => {
      expect(await statusOf(`${door.base}/openapi.json`)).toBe(by(200, 401))
      expect(await statusOf(`${door.base}/openapi.json`, { headers: bearer(KEY) })).toBe(200)
    })
  })

  describe.skipIf(skips)('with --api-key and --strict-auth', () => {
    let door: Door
    beforeAll(async () => void (door = await start(['--api-key', KEY, '--strict-auth', '--', ...COMMAND])))
    afterAll(() => door?.stop())

    test('the document is 401 without it, and there with it', async () => {
      expect(await statusOf(`${door.base}/openapi.json`)).toBe(401)
      expect(await statusOf(`${door.base}/openapi.json`, { headers: bearer(KEY) })).toBe(200)
    })

    test('HTTP Basic, with `mcpo --strict-auth`', async () => {
      const headers = { authorization: `Basic ${Buffer.from(`any:${KEY}`).toString('base64')}` }
      expect(await statusOf(`${door.base}/openapi.json`, { headers })).toBe(by(200, 401))
      expect((await post(`${door.base}/plain`, undefined, headers)).status).toBe(401)
    })
  })

  describe.skipIf(skips)('with --path-prefix', () => {
    let door: Door
    beforeAll(async () => {
      door = await configured(start, '--path-prefix', '/pre')
      await until('its servers', async () => (await fetch(`${door.base}/pre/shapes/openapi.json`)).ok)
    })
    afterAll(() => door?.stop())

    test('servers are below it', async () => {
      expect(await (await post(`${door.base}/pre/shapes/echo`, { text: 'hi' })).json()).toBe('hi')
      expect((await post(`${door.base}/shapes/echo`, { text: 'hi' })).status).toBe(404)
      expect(await statusOf(`${door.base}/pre/shapes/docs`)).toBe(200)
      expect(await OPEN_WEBUI.call({ url: `${door.base}/pre/shapes` }, 'tool_echo_post', { text: 'hi' })).toBe('hi')
    })

    test('`/openapi.json` and `/docs` at the root, with `--path-prefix`', async () => {
      for (const path of ['/openapi.json', '/docs']) {
        expect(await statusOf(door.base + path)).toBe(by(200, 404))
        expect(await statusOf(`${door.base}/pre${path}`)).toBe(by(404, 200))
      }
    })
  })

  describe.skipIf(skips)('with --root-path, behind a proxy that takes it off', () => {
    let door: Door
    beforeAll(async () => void (door = await start(['--root-path', '/api', '--', ...COMMAND])))
    afterAll(() => door?.stop())

    test('tools and their document are where that says, and so is the page', async () => {
      const { base } = await forThisTest(strippingProxy('/api', new URL(door.base)))
      const connection = { url: base }
      expect(await OPEN_WEBUI.verify(connection)).toMatchObject({ servers: [{ url: '/api' }] })
      expect(await OPEN_WEBUI.call(connection, 'tool_echo_post', { text: 'hi' })).toBe('hi')
      const page = await fetch(`${base}/docs`)
      expect(page.status).toBe(200)
      // mcpo's is of another site.
      const parts = isOurs ? [...(await page.text()).matchAll(/(?:src|href)="([^":#]+)"/g)].map(([, part = '']) => new URL(part, page.url)) : []
      expect(parts.length > 1).toBe(isOurs)
      for (const part of parts) expect([part.href.startsWith(`${base}/docs`), await statusOf(part.href)]).toEqual([true, 200])
    })

    test('paths below `--root-path`', async () => {
      expect((await post(`${door.base}/api/plain`)).status).toBe(by(200, 404))
    })
  })
})
