// Callers by plain HTTP who want more than they may: other tools, other servers, what others have open, or to come in at all.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { SecurityOptions } from '../../src/openmcp.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { holder, proofKey, type Holder } from '../support/did.ts'
import { at } from '../support/json.ts'
import { bearer, secured, toolServer, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { upstream, type Received, type Upstream } from '../support/upstream.ts'
import { ask, open, openSocket, type Answer, type Asked } from '../support/wire.ts'
import { many } from './hostile.ts'

type Answers = Parameters<typeof upstream>[0]

interface Stage {
  s: Secured
  behind: { git: Upstream; mail: Upstream }
  ann: Holder
  /** Of Ann, with a token for all that there is. */
  asked(path: string, how?: Asked): Promise<Answer>
  /** A token of hers for what is below this path. */
  token(path: string): Promise<string>
  /** Tools that were called, and where. */
  called(): string[]
}

const SERVES = { prompts: true, resources: true }

/** A server at the root and two named ones, all as plain HTTP, and what Ann may. */
async function stage(
  may: Partial<SecurityOptions['trust']['identities'][number]> = {},
  { answer = toolServer, security = {} }: { answer?: Answers; security?: Partial<Omit<SecurityOptions, 'trust'>> } = {},
): Promise<Stage> {
  const behind = { git: await upstream(answer), mail: await upstream(answer) }
  onTestFinished(async () => void (await Promise.all(Object.values(behind).map(({ stop }) => stop()))))
  const servers = Object.entries(behind).map(([name, { origin }]): NamedServer => {
    const url = new URL('/mcp', origin)
    return { name, target: { kind: 'remote', urls: [url], transport: 'http', headers: {} }, isolation: 'session', limits: DEFAULT_LIMITS, openapi: SERVES }
  })
  const ann = await holder()
  const s = await secured({ trusted: [{ id: ann.did, ...may }], security, answer, options: { servers, openapi: SERVES } })
  const token = (path: string): Promise<string> => s.token(ann, { form: { resource: s.base + path } })
  const headers = bearer(await token(''))
  return {
    s,
    behind,
    ann,
    token,
    asked: (path, how = {}) => ask(new URL(s.base + path), { ...how, headers: { ...headers, ...how.headers } }),
    called: () => Object.entries({ root: s.upstream, ...behind }).flatMap(([name, one]) => callsOf(one).map((tool) => `${name} ${String(tool)}`)),
  }
}

function callsOf({ received }: Upstream): unknown[] {
  return received.filter(({ body }) => body['method'] === 'tools/call').map(({ body }) => at(body, 'params', 'name'))
}

const sessionsAt = ({ received }: Upstream): readonly Received[] => received.filter(({ body }) => body['method'] === 'initialize')

const told = ({ status, text, headers: { date: _date, ...rest } }: Answer): unknown => ({ status, text, rest })

const JSON_TYPE = { 'content-type': 'application/json' }

describe('a caller that may use one tool of one server', () => {
  const ONE = { servers: ['git'], tools: ['echo'] }
  const SPELLED = [
    'secret',
    'se%63ret',
    '~73ecret',
    '~73~65~63~72~65~74',
    'SECRET',
    'Secret',
    '%c5%bfecret',
    'secret%00',
    'secret%20',
    'secret%0a',
    'secret%e2%80%8b',
    '%ef%bd%93ecret',
    '%d1%95ecret',
    './secret',
    '.%2fsecret',
    '%2e%2f~73ecret',
    'secret/',
    'secret;x',
    'secret%3fx',
    'echo/../secret',
    'echo%2f..%2fsecret',
    '%73%65%63%72%65%74',
    '~73~65cret%00',
    'secret~00',
    '__proto__',
    'constructor',
    '%ff',
    '~FF',
  ]

  test.each(['/servers/git/tools/', '/git/', '/servers/g%69t/tools/', '/servers/git//tools/', '/servers/./git/tools/', '/x/../git/', '//git/', '/GIT/'])(
    'calls no other below %s, however it is spelled',
    async (below) => {
      const { s, called, token } = await stage(ONE)
      const { host, origin } = new URL(s.base)
      const credential = `Authorization: Bearer ${await token('')}\r\n`
      for (const name of SPELLED) {
        const socket = await openSocket(new URL(origin))
        socket.write(`POST ${below}${name} HTTP/1.1\r\nHost: ${host}\r\n${credential}Content-Length: 0\r\nConnection: close\r\n\r\n`)
        await until('the answer', () => socket.isClosed())
        expect([name, /^HTTP\/1.1 (\d+)/.exec(socket.text())?.[1]]).toEqual([name, expect.stringMatching(/^40[04]$/)])
      }
      expect(called()).toEqual([])
    },
  )

  test('hears of a hidden tool, of a hidden server, and of none of that name the same', async () => {
    const { s, behind, asked, called } = await stage(ONE)
    const hows: Asked[] = [
      { body: {} },
      { body: { a: 1 }, headers: { accept: 'text/event-stream' } },
      { body: '[', headers: JSON_TYPE },
      { body: 'x', headers: { 'content-type': 'text/plain' } },
      ...['GET', 'PUT', 'DELETE', 'OPTIONS'].map((method) => ({ method })),
    ]
    const pairs = [
      ['/servers/git/tools/secret', '/servers/git/tools/nothing'],
      ['/git/secret', '/git/nothing'],
      ['/mail/echo', '/none/echo'],
      ...['/mail/openapi.json', '/servers/mail/openapi.json'].map((path) => [path, path.replace('mail', 'none')]),
      ...['/tools/echo', '/tools/secret', '/prompts/a', '/resources/a'].map((place) => [`/servers/mail${place}`, `/servers/none${place}`]),
    ] as const
    // What is in flight at a server that the caller may not use is cut whenever somebody looks for that: then it is asked again.
    const again = (path: string, how: Asked): Promise<Answer> => asked(path, how).catch(() => again(path, how))
    for (const how of hows) {
      for (const [hidden = '', none = ''] of pairs) expect([hidden, how, told(await again(hidden, how))]).toEqual([hidden, how, told(await again(none, how))])
    }
    expect([called(), sessionsAt(behind.mail), s.reached()]).toEqual([[], [], []])
  })

  test('is told by no document of anything else', async () => {
    const { asked } = await stage(ONE)
    for (const path of ['/servers/git/openapi.json', '/git/openapi.json', '/openapi.json']) {
      const { status, text } = await asked(path)
      expect([path, status, /secret|mail/.exec(text)]).toEqual([path, status, null])
    }
    const etag = (await asked('/servers/git/openapi.json')).headers.etag
    expect((await asked('/servers/git/openapi.json', { headers: { 'if-none-match': String(etag) } })).status).toBe(304)
    expect((await asked('/servers/mail/openapi.json', { headers: { 'if-none-match': '*' } })).status).toBe(404)
  })

  test('is given no other method by a header or a query', async () => {
    const { asked, called } = await stage(ONE)
    for (const header of ['x-http-method-override', 'x-http-method', 'x-method-override'])
      expect((await asked('/servers/git/tools/echo', { headers: { [header]: 'POST' } })).status).toBe(405)
    expect((await asked('/servers/git/tools/echo?_method=POST')).status).toBe(405)
    expect((await asked('/servers/git/tools/echo', { body: {} })).status).toBe(200)
    expect(called()).toEqual(['git echo'])
  })
})

test('a token for one server opens neither another, nor the root, nor the document of all', async () => {
  const { s, token, called } = await stage()
  const statusOf = async (credential: string, path: string): Promise<number> =>
    (await ask(new URL(s.base + path), { headers: bearer(credential), ...(!path.endsWith('.json') && { body: {} }) })).status
  const forGit = await token('/servers/git/mcp')
  const forRoot = await token('/mcp')
  const [ofGit, ofMail, ofRoot] = [
    ['/servers/git/tools/echo', '/git/echo', '/servers/git/openapi.json', '/git/openapi.json'],
    ['/servers/mail/tools/echo', '/mail/echo', '/servers/mail/openapi.json', '/mail/openapi.json', '/servers/none/tools/echo', '/none/echo'],
    ['/tools/echo', '/echo', '/openapi.json'],
  ]
  for (const path of [...ofMail, ...ofRoot]) expect([path, await statusOf(forGit, path)]).toEqual([path, 401])
  for (const path of [...ofMail, ...ofGit]) expect([path, await statusOf(forRoot, path)]).toEqual([path, 401])
  expect(called()).toEqual([])
  for (const path of ofGit) expect([path, await statusOf(forGit, path)]).toEqual([path, 200])
  for (const path of ofRoot) expect([path, await statusOf(forRoot, path)]).toEqual([path, 200])
})

test('tools that the operator switched off are not there, for whoever may use all others', async () => {
  const { s, behind, asked, called } = await stage()
  const { origin } = behind.git
  const git = { kind: 'remote', urls: [new URL('/mcp', origin)], transport: 'http', headers: {} } as const
  const one = (name: string, tools: NamedServer['tools']): NamedServer => ({
    name,
    target: git,
    isolation: 'session',
    limits: DEFAULT_LIMITS,
    openapi: SERVES,
    ...(tools && { tools }),
  })
  await s.apply([one('allowed', { allow: ['e*'] }), one('blocked', { block: ['*cret'] }), one('none', { allow: [] })])
  for (const [name, of] of [
    ['allowed', 'echo'],
    ['blocked', 'echo'],
  ] as const) {
    for (const below of [`/servers/${name}/tools/`, `/${name}/`]) {
      for (const spelled of ['secret', 'se%63ret', '~73ecret'])
        expect(told(await asked(below + spelled, { body: {} }))).toEqual(told(await asked(`${below}nothing`, { body: {} })))
      expect((await asked(below + of, { body: {} })).status).toBe(200)
    }
    for (const path of [`/servers/${name}/openapi.json`, `/${name}/openapi.json`]) expect((await asked(path)).text).not.toContain('secret')
  }
  expect((await asked('/none/echo', { body: {} })).status).toBe(404)
  expect(called()).toEqual(many(4, () => 'git echo'))
})

test('of all servers as one a caller finds, and calls, what they may at each, by whatever name', async () => {
  const behind = { git: await upstream(toolServer), mail: await upstream(toolServer) }
  onTestFinished(async () => void (await Promise.all(Object.values(behind).map(({ stop }) => stop()))))
  const servers = Object.entries(behind).map(([name, { origin }]): NamedServer => {
    const url = new URL('/mcp', origin)
    return { name, target: { kind: 'remote', urls: [url], transport: 'http', headers: {} }, isolation: 'session', limits: DEFAULT_LIMITS, openapi: SERVES }
  })
  const ann = await holder()
  const s = await secured({
    trusted: [{ id: ann.did, servers: ['git'], tools: ['echo'] }],
    // `undefined` is an option that is not there; the types would have it left out.
    options: { ...({ target: undefined } as object), servers, aggregate: { name: 'all', version: '1' }, openapi: SERVES },
  })
  const headers = bearer(await s.token(ann, { form: { resource: s.base } }))
  const asked = (path: string, how: Asked = {}): Promise<Answer> => ask(new URL(s.base + path), { ...how, headers: { ...headers, ...how.headers } })
  const document = await asked('/openapi.json')
  expect([document.status, /secret|mail/.exec(document.text)]).toEqual([200, null])
  const paths = Object.keys(at(document.json, 'paths') ?? {})
  expect(paths.length).toBe(1)
  const [path = ''] = paths
  const none = told(await asked('/tools/nothing', { body: {} }))
  for (const hidden of [
    path.replace('echo', 'secret'),
    path.replace('git', 'mail'),
    '/tools/secret',
    '/tools/git',
    '/tools/git__secret',
    '/tools/mail__echo',
    '/tools/mail.echo',
  ])
    expect([hidden, told(await asked(hidden, { body: {} }))]).toEqual([hidden, none])
  expect([callsOf(behind.git), callsOf(behind.mail)]).toEqual([[], []])
  expect((await asked(path, { body: {} })).status).toBe(200)
  expect([callsOf(behind.git), sessionsAt(behind.mail)]).toEqual([['echo'], []])
})

test('a token bound to a key opens a tool with a proof for that tool, once, and with no other', async () => {
  const { s, ann, called } = await stage()
  const key = await proofKey()
  const token = await s.token(ann, { key, form: { resource: s.base } })
  const url = (path: string): string => s.base + path
  const path = '/servers/git/tools/echo'
  const shown = async (proof: string | undefined, scheme = 'DPoP'): Promise<number> =>
    (await ask(new URL(url(path)), { headers: { authorization: `${scheme} ${token}`, ...(proof && { dpop: proof }) }, body: {} })).status
  const good = await key.proof({ method: 'POST', url: url(path), token })
  const wrong = [
    undefined,
    await key.proof({ method: 'POST', url: url('/servers/git/tools/secret'), token }),
    await key.proof({ method: 'POST', url: url('/git/echo'), token }),
    await key.proof({ method: 'POST', url: s.url.href, token }),
    await key.proof({ method: 'GET', url: url(path), token }),
    await (await proofKey()).proof({ method: 'POST', url: url(path), token }),
  ]
  for (const proof of wrong) expect(await shown(proof)).toBe(401)
  expect([await shown(good, 'Bearer'), called()]).toEqual([401, []])
  expect([await shown(good), await shown(good), called()]).toEqual([200, 401, ['git echo']])
})

test('a stranger reaches nothing, whatever they show and however they ask', async () => {
  const { s, called, behind } = await stage({}, { security: { apiKeys: ['the-key-of-the-operator-0123456789'] } })
  const shown: Readonly<Record<string, string>>[] = [
    {},
    ...['Bearer', 'Bearer x', 'Basic eDp0aGUta2V5LW9mLXRoZS1vcGVyYXRvci0wMTIzNDU2Nzg5', 'the-key-of-the-operator-0123456789', 'DPoP x'].map(
      (authorization) => ({ authorization }),
    ),
    { 'x-api-key': 'x' },
    { cookie: 'token=the-key-of-the-operator-0123456789' },
    { 'x-forwarded-user': 'admin', 'x-forwarded-for': '127.0.0.1', 'x-original-url': '/healthz' },
  ]
  const paths = ['/tools/echo', '/echo', '/git/echo', '/servers/git/tools/echo', '/openapi.json', '/git/openapi.json', '/servers/git/openapi.json']
  const all = [
    ...paths,
    '/prompts/a',
    '/servers/git/resources/a',
    '/tools/echo?access_token=the-key-of-the-operator-0123456789',
    '/tools//echo',
    '//tools/echo',
  ]
  for (const headers of shown) {
    for (const path of all) {
      for (const method of ['POST', 'GET', 'PUT', 'HEAD']) {
        const { status, text } = await ask(new URL(s.base + path), { method, headers, ...(method === 'POST' && { body: {} }) })
        expect([path, method, headers, status]).toEqual([path, method, headers, expect.toSatisfy((one: number) => [400, 401, 404].includes(one))])
        expect(text).not.toContain('operator')
      }
    }
  }
  expect([called(), s.reached(), sessionsAt(behind.git)]).toEqual([[], [], []])
  const { status } = await ask(new URL(`${s.base}/git/echo`), { headers: { 'x-api-key': 'the-key-of-the-operator-0123456789' }, body: {} })
  expect([status, called()]).toEqual([200, ['git echo']])
})

/** Calls of `hold` have no answer. */
const holding: Answers = (received, res) => {
  if (at(received.body, 'params', 'name') === 'echo' && at(received.body, 'params', 'arguments', 'hold') === true) return
  toolServer(received, res)
}

describe('what is open', () => {
  test.each(['application/json', 'text/event-stream'])(
    'of a token that was taken back ends (%s), and what its owner has open by another goes on',
    async (accept) => {
      const { s, behind, token } = await stage({}, { answer: holding })
      const [stolen, own] = [await token(''), await token('')]
      const hold = (credential: string): ReturnType<typeof open> =>
        open(new URL(`${s.base}/git/echo`), { headers: { ...bearer(credential), accept }, body: { hold: true } })
      const over: string[] = []
      const held = [stolen, own].map((credential, index) =>
        hold(credential).then(
          async (stream) => {
            await stream.whole()
            over.push(['stolen', 'own'][index] ?? '')
          },
          () => over.push(['stolen', 'own'][index] ?? ''),
        ),
      )
      await until('both calls', () => callsOf(behind.git).length === 2)
      expect((await s.post('/revoke', { token: stolen })).status).toBe(200)
      await held[0]
      expect(over).toEqual(['stolen'])
      const cancelled = (): unknown[] => behind.git.received.filter(({ body }) => body['method'] === 'notifications/cancelled')
      await until('its cancellation', () => cancelled().length === 1)
      expect((await ask(new URL(`${s.base}/git/echo`), { headers: bearer(own), body: {} })).status).toBe(200)
      expect((await ask(new URL(`${s.base}/git/echo`), { headers: bearer(stolen), body: {} })).status).toBe(401)
      expect(over).toEqual(['stolen'])
    },
  )

  test('ends for whoever may not use that tool any more, or is not trusted', async () => {
    const { s, ann, behind, asked } = await stage({}, { answer: holding })
    const call = asked('/git/echo', { body: { hold: true } }).then(
      ({ status }) => status,
      () => 'cut',
    )
    await until('the call', () => callsOf(behind.git).length === 1)
    await s.configure({ identities: [{ id: ann.did, servers: ['mail'] }], issuers: [], selfIssued: true })
    expect(['cut', 0, 502, 503]).toContain(await call)
    expect((await asked('/git/echo', { body: {} })).status).toBe(404)
    expect((await asked('/mail/echo', { body: {} })).status).toBe(200)
  })
})

test('what one caller is told is kept for no other', async () => {
  const { asked } = await stage()
  for (const path of ['/openapi.json', '/servers/git/openapi.json', '/git/openapi.json']) {
    const { headers } = await asked(path)
    expect([headers['cache-control'], headers.vary]).toEqual(['private, no-cache', expect.stringContaining('Authorization')])
  }
})
