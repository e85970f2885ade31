import { describe, expect, test } from 'vitest'
import { refusalOf, translated, wordsOf } from './translated.ts'

describe('examples of mcp-connect', () => {
  test.each([
    ['proxy --endpoint http://remote-server:8080/mcp --debug', 'run --debug http://remote-server:8080/mcp'],
    ['proxy --endpoint https://mcp.context7.com/mcp --auth-token ctx7sk --debug', "run --debug -H 'Authorization: Bearer ctx7sk' https://mcp.context7.com/mcp"],
    ['proxy --endpoint https://your-server.com/mcp --debug --log-level debug', 'run --debug https://your-server.com/mcp'],
    ['proxy --endpoint https://api.example.com/mcp --api-key your-api-key', "run -H 'X-API-Key: your-api-key' https://api.example.com/mcp"],
    [
      'proxy --endpoint http://remote-server:8080/mcp --headers "Authorization:Bearer token123,X-Custom:value"',
      "run -H 'Authorization: Bearer token123' -H 'X-Custom: value' http://remote-server:8080/mcp",
    ],
    [
      'proxy --endpoint http://remote-server:8080/mcp --fallbacks stdio,tcp --timeout 30 --retry-attempts 3 --retry-delay 1000',
      'run --timeout 30 --retry-attempts 3 --retry-delay 1000 http://remote-server:8080/mcp',
    ],
    ['proxy --endpoint http://a/mcp --fallbacks http://b/mcp,http://c/mcp', 'run --fallback http://b/mcp --fallback http://c/mcp http://a/mcp'],
    ['proxy --endpoint "python my-mcp-server.py" --fallbacks tcp', 'run -- python my-mcp-server.py'],
    ['proxy --endpoint localhost:9090 --fallbacks stdio', 'run tcp://localhost:9090'],
    ['proxy --endpoint http://a/mcp --user-agent me/1 --log-level warn', "run -H 'User-Agent: me/1' --log-level warn http://a/mcp"],
    [
      'load-balance --endpoints http://server1:8080/mcp,http://server2:8080/mcp --transport http --timeout 30 --retry-attempts 3 --auth-token t',
      "run --timeout 30 --endpoints http://server1:8080/mcp,http://server2:8080/mcp -H 'Authorization: Bearer t' --retry-attempts 3",
    ],
    ['load-balance --endpoints a:1,b:2 --transport tcp', 'run --endpoints tcp://a:1,tcp://b:2'],
    ['test --endpoint http://remote-server:8080/mcp --transport http', 'test http://remote-server:8080/mcp'],
    [
      'test --endpoint https://api.githubcopilot.com/mcp --transport http --auth-token t',
      "test -H 'Authorization: Bearer t' https://api.githubcopilot.com/mcp",
    ],
    ['test --endpoint localhost:9090 --transport tcp --timeout 10', 'test --timeout 10 tcp://localhost:9090'],
    ['test --endpoint 9090 --transport tcp', 'test tcp://127.0.0.1:9090'],
    ['test --endpoint "python my-server.py" --transport stdio', 'test -- python my-server.py'],
    [
      'auth-proxy --endpoint https://h/mcp --client-id i --client-secret s --token-url https://o/token --scopes read,write',
      "run --client-id i --client-secret s --token-url https://o/token --oauth-scope 'read write' https://h/mcp",
    ],
    ['serve --debug', 'run --debug -p stdio --config openmcp.json --aggregate'],
    ['init --force', 'config init --force'],
    ['generate-config --ide zed', 'config generate --ide zed'],
    ['generate --ide vscode --output settings.json', 'config generate --ide vscode'],
    [
      "config add my-server --url https://my-mcp-server.com/mcp --auth-header 'Authorization: Bearer ${MY_TOKEN}'",
      "config add my-server https://my-mcp-server.com/mcp -H 'Authorization: Bearer ${MY_TOKEN}'",
    ],
  ])('%s', (typed, canonical) => {
    expect(translated(typed)?.argv).toEqual(wordsOf(canonical))
  })

  test('a login of a person is made once, before', () => {
    const translation = translated(
      'auth-proxy --endpoint https://h/mcp --client-id i --client-secret hunter2 --auth-url https://o/authorize --token-url https://o/token --redirect-url http://localhost:8080/callback --scopes read,write --debug',
    )
    expect(translation?.argv).toEqual(wordsOf('run --debug https://h/mcp'))
    expect(translation?.warnings.join('\n')).toContain("openmcp login https://h/mcp --client-id i --client-secret-file FILE --scope 'read write'")
    expect(translation?.warnings.join('\n')).not.toContain('hunter2')
  })

  test('what is in the environment is filled in, and stays off the command line', () => {
    const typed = `proxy --endpoint https://h/mcp --headers '"Authorization: Bearer \${GITHUB_TOKEN}"'`
    expect(translated(typed, { env: { GITHUB_TOKEN: 'hunter2' } })).toEqual({
      argv: wordsOf('run https://h/mcp'),
      env: { OPENMCP_HEADER: 'Authorization: Bearer hunter2' },
      warnings: [],
    })
  })
})

test.each([
  ['proxy --endpoint http://h/mcp --fallbacks stdio,tcp', "would start whatever is called 'mcp-server'"],
  ['proxy --endpoint http://h/mcp --api-key k', '--api-key is what the upstream is sent, as X-API-Key'],
  ['proxy --endpoint http://h/mcp --api-key k --auth-token t', '--api-key is left out'],
  ['proxy --endpoint "python x.py" --auth-token t', '--auth-token is left out: a program has no headers'],
  ['proxy --endpoint tcp://h:1 --retry-attempts 3', '--retry-attempts is left out'],
])('%s says what is different', (typed, why) => {
  expect(translated(typed)?.warnings.join('\n')).toContain(why)
})

test.each([
  ['proxy', '--endpoint says what to connect to'],
  ['proxy http://h/mcp', "'http://h/mcp' belongs to no option"],
  ['proxy --endpoint http://h/mcp --headers a:b,c,d:e', 'can be read in two ways'],
  ['proxy --endpoint http://h/mcp --headers nothing', 'can be read in two ways, or holds no header'],
  ['proxy --endpoint http://h/mcp --nope', '--nope is an option neither of mcp-connect nor of openmcp'],
  ['proxy --endpoint', '--endpoint lacks its value'],
  ['load-balance --endpoints a,b --transport stdio', 'programs are not balanced'],
  ['registry search github', 'openmcp asks no registry which commands to run'],
  ['config add github --search', 'and not out of a registry'],
  ['init everything', "'everything' belongs to no option"],
  ['test --endpoint h --transport pigeon', "'pigeon' is none of its choices"],
])('%s is refused', (typed, why) => {
  expect(refusalOf(typed)).toContain(why)
})

test('serve reads our file, and says how theirs becomes one', () => {
  expect(refusalOf('serve', { files: { '.mcp-connect.json': '{}' } })).toBe('.mcp-connect.json is no configuration of openmcp')
  expect(translated('serve', { files: { '.mcp-connect.json': '{}', 'openmcp.json': '{}' } })?.argv).toEqual(
    wordsOf('run -p stdio --config openmcp.json --aggregate'),
  )
})

test('a header whose value has commas is one header', () => {
  expect(translated('proxy --endpoint http://h/mcp --headers "X-A: one, two, three"')?.argv).toEqual(wordsOf("run -H 'X-A: one, two, three' http://h/mcp"))
})
