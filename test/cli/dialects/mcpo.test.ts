import { describe, expect, test } from 'vitest'
import { refusalOf, translated, wordsOf } from './translated.ts'

/** The words in ours, without those that all have: tools are plain HTTP, and those of the one server are told of as mcpo does it. */
function served(...typed: Parameters<typeof translated>): string[] | undefined {
  const said = translated(...typed)?.argv.join('\n') ?? ''
  const own = said.includes('--config') ? '\n--openapi' : '\n--openapi\n--openapi-form\nmcpo'
  expect(said).toContain(own)
  return said.replace(own, '').split('\n')
}

test('what could be of another proxy as well serves no more than that would', () => {
  expect(translated('--port 8080 --root-path /a -- x')?.argv).toContain('--openapi')
  expect(translated('--port 8080 --config f')?.argv).not.toContain('--openapi')
  expect(translated('--port 8080 --config f', { as: 'mcpo' })?.argv).toContain('--openapi')
})

describe('examples of mcpo', () => {
  test.each([
    ['--port 8000 --api-key top-secret -- your_mcp_server_command', 'run -p 8000 --security --api-key top-secret -- your_mcp_server_command'],
    [
      '--port 8000 --api-key top-secret --server-type sse -- http://127.0.0.1:8001/sse',
      'run -p 8000:http://127.0.0.1:8001/sse --security --api-key top-secret --transport sse',
    ],
    [
      `--port 8000 --server-type sse --header '{"Authorization": "Bearer token", "X-Custom-Header": "value"}' -- http://127.0.0.1:8001/sse`,
      "run -p 8000:http://127.0.0.1:8001/sse -H 'Authorization: Bearer token' -H 'X-Custom-Header: value' --transport sse",
    ],
    [
      '--port 8000 --api-key k --server-type streamable-http -- http://127.0.0.1:8002/mcp',
      'run -p 8000:http://127.0.0.1:8002/mcp --security --api-key k --transport http',
    ],
    [
      '--port 8000 --api-key k -- uvx mcp-server-time --local-timezone=America/New_York',
      'run -p 8000 --security --api-key k -- uvx mcp-server-time --local-timezone=America/New_York',
    ],
    ['--port 8000 --root-path /api/mcpo --api-key k -- cmd', 'run -p 8000 --security --api-key k --root-path /api/mcpo -- cmd'],
    ['--config /path/to/config.json --hot-reload', 'run -p 8000 --config /path/to/config.json'],
    ['-c f.json -k key -t c.pem -K k.pem', 'run -p 8000 --config f.json --tls-cert c.pem --tls-key k.pem --security --api-key key'],
    ['-p 9000 -n Title -d Words --env-path .env -e A=b -- x', 'run -p 9000 --env-file .env -e A=b -- x'],
    [
      '--port 1 --strict-auth --cors-allow-origins https://a.example --cors-allow-origins https://b.example -- x',
      'run -p 1 --allow-origin https://a.example --allow-origin https://b.example -- x',
    ],
    ['--port 1 --root-path /a/ --path-prefix /b/ --strict-auth -- x', 'run -p 1 --root-path /a --path-prefix /b -- x'],
    ['--host 0.0.0.0 --port 1 -k key -- x', 'run -p 0.0.0.0:1 --security --api-key key -- x'],
  ])('%s', (typed, canonical) => {
    expect(served(typed)).toEqual(wordsOf(canonical))
  })

  test.each([
    ['-h 127.0.0.1 -- x', 'run -p 127.0.0.1:8000 -- x'],
    ['--port 1 --version 2 --name Title --config f', 'run -p 1 --config f'],
    ['-- x', 'run -p 8000 -- x'],
  ])('%s, when it is said whose they are', (typed, canonical) => {
    expect(served(typed, { as: 'mcpo' })).toEqual(wordsOf(canonical))
  })
})

test('CONNECTION_TIMEOUT is how long connecting may take', () => {
  expect(served('-k key -- x', { env: { CONNECTION_TIMEOUT: '7' } })).toEqual(wordsOf('run -p 8000 --security --api-key key --connect-timeout 7 -- x'))
})

test('that it is served to this machine alone is said', () => {
  expect(translated('-k key -- x')?.warnings.join('\n')).toMatch(/loopback.*--host/)
  expect(translated('--host 0.0.0.0 -k key -- x')?.warnings.join('\n')).not.toContain('loopback')
  // Nothing says that this is mcpo.
  expect(translated('--port 8080 --config f')?.warnings).toEqual([])
  expect(translated('-n Title -- x')?.warnings[0]).toContain('-n is left out')
  expect(translated("-k key --cors-allow-origins '*' -- x")?.warnings[0]).toContain('--cors-allow-origins * is left out')
})

test.each([
  ["--port 1 --header '{broken' -- http://h/mcp", '--header holds no JSON object of texts'],
  ["--port 1 --header '[1]' --strict-auth -- http://h/mcp", '--header holds no JSON object of texts'],
  ['--type carrier-pigeon -- x', "--type: 'carrier-pigeon' is none of its choices"],
  ['--type sse -- http://h/sse more', "one word too many behind the upstream: 'more'"],
])('%s is refused, and nothing of a secret is repeated', (typed, why) => {
  expect(refusalOf(typed)).toContain(why)
})
