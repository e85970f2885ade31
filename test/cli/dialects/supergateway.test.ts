import { describe, expect, test } from 'vitest'
import { refusalOf, translated, wordsOf } from './translated.ts'

describe('examples of supergateway', () => {
  test.each([
    ['--stdio "uvx mcp-server-git"', 'run -p 8000 -- uvx mcp-server-git'],
    [
      '--stdio "npx -y @modelcontextprotocol/server-filesystem ./my-folder" --port 8000 --baseUrl http://localhost:8000 --ssePath /sse --messagePath /message',
      'run -p 8000 --public-url http://localhost:8000 -- npx -y @modelcontextprotocol/server-filesystem ./my-folder',
    ],
    ['--sse https://mcp.example.app', 'run --transport sse https://mcp.example.app'],
    [
      '--sse https://mcp.example.app --oauth2Bearer some-access-token --header "X-My-Header: another-header-value"',
      "run --transport sse -H 'X-My-Header: another-header-value' -H 'Authorization: Bearer some-access-token' https://mcp.example.app",
    ],
    ['--streamableHttp https://mcp-server.example.com/mcp', 'run --transport http https://mcp-server.example.com/mcp'],
    [
      '--stdio "npx -y @modelcontextprotocol/server-filesystem ./my-folder" --outputTransport streamableHttp --port 8000',
      'run -p 8000 --stateless -- npx -y @modelcontextprotocol/server-filesystem ./my-folder',
    ],
    ['--stdio x --outputTransport streamableHttp --stateful --sessionTimeout 60000 --port 8000', 'run -p 8000 --idle 60 -- x'],
    ['--stdio x --port 1 --healthEndpoint /healthz --healthEndpoint /readyz', 'run -p 1 -- x'],
    ['--stdio x --cors https://a.example https://b.example', 'run -p 8000 --allow-origin https://a.example --allow-origin https://b.example -- x'],
    ['--stdio x --ssePath /a/sse --messagePath /a/message', 'run -p 8000 --path-prefix /a -- x'],
    ['--stdio x --logLevel none', 'run -p 8000 --log-level error -- x'],
    ['--stdio x --outputTransport stdio', 'run -- x'],
    ['--streamable-http https://h/mcp --output-transport sse --port 1', 'run -p 1:https://h/mcp --transport http'],
  ])('%s', (typed, canonical) => {
    expect(translated(typed)?.argv).toEqual(wordsOf(canonical))
  })
})

test.each([
  ['--stdio x --cors', '--cors is left out: every web page would be let in'],
  ['--stdio x --header A:b', '--header is left out: supergateway puts it onto its answers'],
  ['--sse https://h --port 8000', '--port is left out: nothing listens'],
  ['--stdio x --protocolVersion 2024-11-05', '--protocolVersion is left out'],
  ['--stdio x', 'loopback'],
])('%s says what is different', (typed, why) => {
  expect(translated(typed)?.warnings.join('\n')).toContain(why)
})

test.each([
  ['--stdio x --oauth2Bearer t', '--oauth2Bearer asks nobody for a token'],
  ['--stdio x --outputTransport ws', 'openmcp serves no WebSockets'],
  ['--stdio x --sse https://h', 'one of --stdio, --sse and --streamableHttp says what is served'],
  [`--stdio 'x | y'`, 'starts programs without one'],
  [`--stdio 'x $HOME'`, 'starts programs without one'],
  [`--stdio 'x "'`, 'a quote is open at its end'],
  ['--stdio x --cors /example\\\\.com$/', 'origins are named, and not matched by a pattern'],
  ['--stdio x --healthEndpoint /ping', 'there is nothing at that path here'],
  ['--stdio x --ssePath /events', '--ssePath /events: the path is /sse here'],
  ['--stdio x --sessionTimeout soon', "'soon' is no number of milliseconds"],
  ['--stdio x --port 1 y', "'y' belongs to no option"],
])('%s is refused', (typed, why) => {
  expect(refusalOf(typed)).toContain(why)
})
