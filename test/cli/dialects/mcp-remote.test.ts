import { describe, expect, test } from 'vitest'
import { refusalOf, translated, wordsOf } from './translated.ts'

const URL = 'https://remote.mcp.server/sse'

describe('examples of mcp-remote', () => {
  test.each([
    [`${URL} 9696`, `run ${URL}`],
    [`${URL} --host 127.0.0.1 --silent`, `run --log-level error ${URL}`],
    ['http://internal-service.vpc/sse --allow-http', 'run http://internal-service.vpc/sse'],
    [`${URL} --transport sse-only`, `run --transport sse ${URL}`],
    [`${URL} --transport http-first`, `run ${URL}`],
    [`${URL} --enable-proxy --debug`, `run --debug ${URL}`],
    [`${URL} --ignore-tool 'delete*' --ignore-tool 'remove*'`, `run --block-tool 'delete*' --block-tool 'remove*' ${URL}`],
    [`${URL} --auth-timeout 60`, `run ${URL}`],
    [`${URL} --connect-timeout 30 --body-timeout 0`, `run --connect-timeout 30 --timeout 0 ${URL}`],
    [`${URL} --protocol auto`, `run ${URL}`],
    [`${URL} --header-file /h --disable-cookies`, `run --header-file /h ${URL}`],
    [`--transport http-only ${URL}`, `run --transport http ${URL}`],
  ])('%s', (typed, canonical) => {
    expect(translated(typed)?.argv).toEqual(wordsOf(canonical))
  })

  test.each([
    [URL, `run ${URL}`],
    [`${URL} --header 'A: b' --debug`, `run -H 'A: b' --debug ${URL}`],
    [`${URL} --host 127.0.0.1`, `run ${URL}`],
  ])('%s, when it is said whose they are', (typed, canonical) => {
    expect(translated(typed, { as: 'mcp-remote' })?.argv).toEqual(wordsOf(canonical))
  })
})

describe('what is filled in', () => {
  test('comes from the environment, and stays off the command line', () => {
    const typed = `${URL} --header 'Authorization: Bearer \${AUTH_TOKEN}' --header 'X-Two:\${TWO}' --header 'X-Plain: p'`
    expect(translated(typed, { env: { AUTH_TOKEN: 'hunter2', TWO: '2' } })).toEqual({
      argv: wordsOf(`run -H 'X-Plain: p' ${URL}`),
      env: { OPENMCP_HEADER: 'Authorization: Bearer hunter2\nX-Two: 2' },
      warnings: [],
    })
  })

  test('stands beside what is set there already', () => {
    const env = { A: 'a', OPENMCP_HEADER: 'X-B: b' }
    expect(translated(`${URL} --header 'X-A: \${A}'`, { env })?.env).toEqual({ OPENMCP_HEADER: 'X-B: b\nX-A: a' })
  })

  test('must be set, and can make no other header', () => {
    expect(refusalOf(`${URL} --header 'A: \${NOPE}'`)).toContain('${NOPE} is not set')
    expect(refusalOf(`${URL} --header 'A: \${B}'`, { env: { B: 'x\nHost: evil' } })).toContain('holds a line end')
  })
})

describe('a client that logs in for itself', () => {
  test('is the client of run, and its secret stays off the command line', () => {
    const info = `'{"client_id":"my-client","client_secret":"\${MCP_CLIENT_SECRET}"}'`
    const typed = `${URL} --client-credentials --token-endpoint https://i/t --static-oauth-client-info ${info} --static-oauth-client-metadata '{"scope":"a b"}' --resource https://r/`
    expect(translated(typed, { env: { MCP_CLIENT_SECRET: 'hunter2' } })).toEqual({
      argv: wordsOf(`run --token-url https://i/t --resource https://r/ --oauth-scope 'a b' --client-id my-client ${URL}`),
      env: { OPENMCP_CLIENT_SECRET: 'hunter2' },
      warnings: [],
    })
  })

  test('may stand in a file', () => {
    const files = { 'c.json': '{"client_id":"c","client_secret":"hunter2"}' }
    expect(translated(`${URL} --client-credentials --static-oauth-client-info @c.json`, { files })).toEqual({
      argv: wordsOf(`run --client-id c ${URL}`),
      env: { OPENMCP_CLIENT_SECRET: 'hunter2' },
      warnings: [],
    })
    expect(refusalOf(`${URL} --client-credentials --static-oauth-client-info @no.json`)).toContain('cannot read no.json')
  })

  test('is typed in its own place when its secret was', () => {
    expect(translated(`${URL} --client-credentials --static-oauth-client-info '{"client_id":"c","client_secret":"s3"}'`)?.argv).toEqual(
      wordsOf(`run --client-id c --client-secret s3 ${URL}`),
    )
  })
})

test('a client of people is one of their login', () => {
  const warnings = translated(`${URL} --static-oauth-client-info @c.json`, {
    files: { 'c.json': '{"client_id":"c","client_secret":"hunter2"}' },
  })?.warnings.join()
  expect(warnings).toBe(
    `--static-oauth-client-info is left out: a person logs in once, before, with: openmcp login ${URL} --client-id c --client-secret-file FILE`,
  )
})

test.each([
  [`${URL} 9696`, 'the port 9696 is left out'],
  [`${URL} --static-oauth-client-metadata '{"scope":"a b"}'`, "--scope 'a b'"],
  [
    `${URL} --device-code --resource https://r/ --auth-timeout 60`,
    `a person logs in once, before, with: openmcp login ${URL} --resource https://r/ --timeout 60 --device`,
  ],
  [`${URL} --disable-resource-parameter`, `openmcp login ${URL} --resource none`],
  [`${URL} --client-metadata-url https://c.example/c.json`, `openmcp login ${URL} --client-metadata-url https://c.example/c.json`],
  [`${URL} --transport sse-first`, 'Streamable HTTP is tried first here'],
])('%s says what is different', (typed, why) => {
  expect(translated(typed)?.warnings.join('\n')).toContain(why)
})

test.each([
  ['http://internal-service.vpc/sse --silent', 'what is said to internal-service.vpc would go unencrypted'],
  [`${URL} --use-id-token`, 'an ID token says who logged in'],
  [`${URL} --authorize-param prompt=consent`, 'openmcp login asks for what the standard has'],
  [`${URL} --silent 9696 more`, "one word too many behind the upstream: 'more'"],
  [`${URL} --client-credentials`, '--client-credentials needs a client'],
  [`${URL} --client-credentials --static-oauth-client-info hunter2`, '--static-oauth-client-info holds no JSON object'],
])('%s is refused', (typed, why) => {
  expect(refusalOf(typed)).toContain(why)
  expect(refusalOf(typed)).not.toContain('hunter2')
})

test('a COMMAND with an option of mcp-remote is a COMMAND', () => {
  expect(translated('--silent npx thing')).toBeUndefined()
})

test('a resource is for whoever gets the token: without a client of its own, that is a person', () => {
  const IN_LOGIN = `is left out: a person logs in once, before, with: openmcp login ${URL} --resource`
  expect(translated(`${URL} --resource https://tenant/`)).toMatchObject({
    argv: wordsOf(`run ${URL}`),
    warnings: [`--resource ${IN_LOGIN} https://tenant/`],
  })
  expect(translated(`${URL} --disable-resource-parameter`)).toMatchObject({
    argv: wordsOf(`run ${URL}`),
    warnings: [`--disable-resource-parameter ${IN_LOGIN} none`],
  })
})
