import { describe, expect, test } from 'vitest'
import { refusalOf, translated, wordsOf } from './translated.ts'

describe('examples of mcp-proxy and rmcp-proxy', () => {
  test.each([
    ['--port=8080 uvx mcp-server-fetch', 'run -p 8080 -- uvx mcp-server-fetch'],
    ['--sse-port=8080 uvx mcp-server-fetch', 'run -p 8080 -- uvx mcp-server-fetch'],
    ['--host=127.0.0.1 --port=8080 uvx mcp-server-fetch', 'run -p 127.0.0.1:8080 -- uvx mcp-server-fetch'],
    ['--sse-host=0.0.0.0 --sse-port=8080 uvx mcp-server-fetch', 'run -p 0.0.0.0:8080 -- uvx mcp-server-fetch'],
    ['--host ::1 --port 8080 x', 'run -p [::1]:8080 -- x'],
    ['--port=8080 -- uvx mcp-server-fetch --user-agent=YourUserAgent', 'run -p 8080 -- uvx mcp-server-fetch --user-agent=YourUserAgent'],
    [
      "--port=8080 --named-server fetch 'uvx mcp-server-fetch' --named-server fetch2 'uvx mcp-server-fetch'",
      "run -p 8080 --named-server 'fetch=uvx mcp-server-fetch' --named-server 'fetch2=uvx mcp-server-fetch'",
    ],
    [
      "--port 8080 --named-server fetch1 'uvx mcp-server-fetch' --named-server tool2 'my-custom-tool --verbose'",
      "run -p 8080 --named-server 'fetch1=uvx mcp-server-fetch' --named-server 'tool2=my-custom-tool --verbose'",
    ],
    ['--port=8080 --named-server-config ./servers.json', 'run -p 8080 --config ./servers.json'],
    [
      '--port 8080 --named-server-config /path/to/servers.json -- my-default-command --arg1',
      'run -p 8080 --config /path/to/servers.json -- my-default-command --arg1',
    ],
    ["--headers Authorization 'Bearer YOUR_TOKEN' http://localhost:8080/sse", "run -H 'Authorization: Bearer YOUR_TOKEN' http://localhost:8080/sse"],
    [
      "-H Authorization 'Bearer YOUR_TOKEN' -H X-A b http://localhost:8080/sse",
      "run -H 'Authorization: Bearer YOUR_TOKEN' -H 'X-A: b' http://localhost:8080/sse",
    ],
    [
      '--port 8080 -e KEY VALUE -e ANOTHER_KEY ANOTHER_VALUE -- my-default-command',
      'run -p 8080 -e KEY=VALUE -e ANOTHER_KEY=ANOTHER_VALUE -- my-default-command',
    ],
    ["--port 8080 --allow-origin='*' -- my-default-command", 'run -p 8080 -- my-default-command'],
    [
      '--port 8080 --allow-origin https://a.example https://b.example -- x',
      'run -p 8080 --allow-origin https://a.example --allow-origin https://b.example -- x',
    ],
    ['--port 8080 python mcp_server.py', 'run -p 8080 -- python mcp_server.py'],
    ['--port 8080 -- npx -y @modelcontextprotocol/server-everything', 'run -p 8080 -- npx -y @modelcontextprotocol/server-everything'],
    ['--port 9090 --transport streamable-http -- python mcp_server.py', 'run -p 9090 -- python mcp_server.py'],
    ['--port 9090 --stateless --debug -- x', 'run -p 9090 --debug --stateless -- x'],
    ['--port 9090 --no-stateless --no-debug --no-pass-environment -- x', 'run -p 9090 -- x'],
    ['--log-level WARNING --cwd /tmp x', 'run --cwd /tmp --log-level warn -- x'],
    ['--port 1 --log-level CRITICAL -- x', 'run -p 1 --log-level error -- x'],
    ['--port 1 --debug --log-level INFO -- x', 'run -p 1 --debug -- x'],
    ['--verify-ssl --transport streamablehttp https://h/mcp', 'run --verify-ssl true --transport streamablehttp https://h/mcp'],
    ['-H A b --verify-ssl=/etc/ca https://h/mcp', "run -H 'A: b' --verify-ssl /etc/ca https://h/mcp"],
    ['-H A b --no-verify-ssl https://h/mcp', "run -H 'A: b' --verify-ssl false https://h/mcp"],
    ['--verify-ssl no https://h/mcp', 'run --verify-ssl false https://h/mcp'],
    ['--port 1 --verify-ssl /etc/ca.pem https://h/mcp', 'run -p 1:https://h/mcp --verify-ssl /etc/ca.pem'],
    [
      '--port 1 --client-id a --client-secret b --token-url https://i/t https://h/mcp',
      'run -p 1:https://h/mcp --client-id a --client-secret b --token-url https://i/t',
    ],
    ['--port 8080 python -- mcp_server.py --flag', 'run -p 8080 -- python mcp_server.py --flag'],
    ['-p 8001:http://127.0.0.1:8000/sse --headers Authorization=x', 'run -p 8001:http://127.0.0.1:8000/sse -H Authorization=x'],
    [
      '--transport streamablehttp --username user --password pass https://h/mcp',
      "run --transport streamablehttp -H 'Authorization: Basic dXNlcjpwYXNz' https://h/mcp",
    ],
    ['--port 8080 -- python -- x', 'run -p 8080 -- python -- x'],
    ['--port 8080 https://h/mcp', 'run -p 8080:https://h/mcp'],
    ['--port 8080 --security --allow-host mcp.example.com -- x', 'run -p 8080 --security --allow-host mcp.example.com -- x'],
  ])('%s', (typed, canonical) => {
    expect(translated(typed)?.argv).toEqual(wordsOf(canonical))
  })

  test.each([
    ['uvx mcp-server-fetch', 'run -p 0 -- uvx mcp-server-fetch'],
    ['-e KEY VALUE uvx mcp-server-fetch', 'run -p 0 -e KEY=VALUE -- uvx mcp-server-fetch'],
    ['http://example.io/sse', 'run http://example.io/sse'],
    ['--transport sse http://localhost:8080/events', 'run --transport sse http://localhost:8080/events'],
  ])('%s, when it is said whose they are', (typed, canonical) => {
    expect(translated(typed, { as: 'mcp-proxy' })?.argv).toEqual(wordsOf(canonical))
    expect(translated(typed, { as: 'rmcp-proxy' })?.argv).toEqual(wordsOf(canonical))
  })
})

test('without a port a program is served on our stdio, unless it is said whose words they are', () => {
  const env = { HOME: '/h' }
  expect(translated('--pass-environment x', { env })?.argv).toEqual(wordsOf('run --pass-env HOME -- x'))
  expect(translated('--pass-environment x', { env, as: 'mcp-proxy' })?.argv).toEqual(wordsOf('run -p 0 --pass-env HOME -- x'))
})

test('the whole environment is handed on by name, without what is our own, and that is said', () => {
  const translation = translated('--port 1 --pass-environment -- x', { env: { HOME: '/h', OPENMCP_API_KEY: 'k', TOKEN: 't' } })
  expect(translation?.argv).toEqual(wordsOf('run -p 1 --pass-env HOME --pass-env TOKEN -- x'))
  expect(translation?.warnings).toEqual([expect.stringContaining('hands on all 2 variables')])
})

test('SSE_URL is the upstream when nothing else is', () => {
  const env = { SSE_URL: 'http://h:1/sse' }
  expect(translated('', { env })?.argv).toEqual(['run', 'http://h:1/sse'])
  expect(translated('-H A b', { env })?.argv).toEqual(['run', '-H', 'A: b', 'http://h:1/sse'])
  expect(translated('--port 1 -- x', { env })?.argv).toEqual(wordsOf('run -p 1 -- x'))
  expect(translated('--named-server-config f --port 1', { env })?.argv).toEqual(wordsOf('run -p 1 --config f'))
  expect(translated('-p 99999', { env })).toBeUndefined()
})

test('a COMMAND is never taken for a value', () => {
  expect(refusalOf('-e KEY uvx mcp-server-fetch')).toContain('-e KEY: is the word behind it its value, or the COMMAND?')
  expect(refusalOf('--port 1 -H KEY uvx mcp-server-fetch')).toContain('its value, or the COMMAND?')
  expect(translated('--port 1 --allow-origin https://a.example uvx')?.argv).toEqual(wordsOf('run -p 1 --allow-origin https://a.example -- uvx'))
  expect(translated('--port 1 --allow-origin https://a.example https://b.example')?.argv).toEqual(
    wordsOf('run -p 1 --allow-origin https://a.example --allow-origin https://b.example'),
  )
  expect(translated('--port 1 --verify-ssl ./server x')?.argv).toEqual(wordsOf('run -p 1 --verify-ssl true -- ./server x'))
  expect(translated('--port 1 --verify-ssl uvx x')?.argv).toEqual(wordsOf('run -p 1 --verify-ssl true -- uvx x'))
})

test.each([
  ['--port 1 --sse-port 2 x', '--sse-port 2 and 1 are two ports to listen on'],
  ['--host 127.0.0.1 https://h/mcp', 'this means one thing to mcp-proxy and another to mcp-remote'],
  ['--username user https://h/mcp', '--username and --password go together'],
  ['--username u --password hunter2 --digest https://h/mcp', '--digest: openmcp speaks Basic, and no Digest'],
  ['--port 1 https://h/mcp more', "one word too many behind the upstream: 'more'"],
  ['--port 1 --transport sse --transport streamablehttp https://h', '--transport is given more than once'],
])('%s is refused', (typed, why) => {
  expect(refusalOf(typed)).toContain(why)
})

test.each([
  ["--port 1 --allow-origin '*' -- x", '--allow-origin * is left out: every web page would be let in'],
  ['--port 1 https://h/mcp', 'mcp-proxy speaks stdio before a URL'],
  ['--port 1 --username u --password p -- x', '--password is left out: it is for a URL'],
  ['--port 1 --transport sse -- x', '--transport is left out: Streamable HTTP and SSE are served at once'],
  ['--port 1 --named-server a b --named-server-config f', 'here the servers of both are served'],
])('%s says what is different', (typed, why) => {
  expect(translated(typed)?.warnings.join('\n')).toContain(why)
})
