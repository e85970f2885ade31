// The first screen. Everything else that is said about the options stands in help/, by topic.
import { COMMANDS_NOT_BUILT } from './commands.ts'
import { RUN_OPTIONS } from './option-table.ts'

const OPTIONS_NOT_BUILT = [...RUN_OPTIONS].filter(([, rule]) => rule.notBuilt === true).map(([name]) => `--${name}`)

export const USAGE = `openmcp: a proxy in front of any MCP server

  openmcp run [OPTIONS] [-p PUBLISH] [--] [COMMAND [ARG...]]   serve one server, or with --config FILE many
  openmcp test UPSTREAM | COMMAND [ARG...]                     connect to a server, say what it is, time it
  openmcp config init|add|remove|list|validate|show|test|import|generate|schema   a file of many servers: make, change, check one
  openmcp login UPSTREAM | openmcp reset [UPSTREAM]            log in where a server asks people to; forget that
  openmcp id create NAME | list | show | export | ...          identities of ours
  openmcp token RESOURCE|DID                                   prove one of them, and print a token
  openmcp trust add ID | list | remove ID                      whose identities may come in
  openmcp key create ID | list | revoke KEY                    API keys
  openmcp notification-demo                                    a server that sends notifications, to try a client with
  openmcp help [TOPIC] | COMMAND --help | --version

  PUBLISH               COMMAND   what runs
  [HOST:]PORT           given     the stdio server COMMAND, over HTTP (Streamable HTTP and SSE at once)
  [HOST:]PORT:UPSTREAM  none      the remote server UPSTREAM, over HTTP
  UPSTREAM              none      the remote server UPSTREAM, on our stdio
  none                  given     the stdio server COMMAND, on our stdio

  UPSTREAM is http(s)://..., host:port[/path], tcp://host:port, ws(s)://... or did:...; HOST is 127.0.0.1 unless given.
  Options end at COMMAND or '--'; what follows is COMMAND's own. 'run' may be left out.

Example:
  openmcp run -p 8000 npx -y @modelcontextprotocol/server-everything

Often needed with run:
  -e NAME=VALUE, --env-file FILE    the environment of COMMAND; it gets little else
  -H 'NAME: VALUE'                  a header for the UPSTREAM; --header-file FILE keeps a secret off the command line
  --config FILE                     the servers of its 'mcpServers', each at /servers/NAME/mcp
  --security                        whoever calls proves who they are (openmcp trust add ID lets them in)
  --allow-origin ORIGIN             a web page that may call
  --isolation shared                one child for all sessions, instead of one each
  --debug                           say everything that is done, on stderr; with any command also stack traces

Everything, by topic (openmcp help TOPIC; openmcp run --help is all that run takes):
  servers    what is served: a program, its environment, one or many
  upstreams  remote servers: headers, transports, several that are one, and what is done when they fail
  listen     ports, TLS, web pages, names under which clients call
  security   who may call, and how they prove it
  tsp        callers and servers by the Trust Spanning Protocol
  limits     times, sizes and numbers
  log        what is said on stderr
  config     the file of --config, and the command
  login      logins of people at upstreams
  dialects   command lines of mcp-proxy, mcpo, supergateway, mcp-remote and mcp-connect, which are understood, too
  and a topic for each command: test, id, token, trust, key, reset, notification-demo

Exit codes: 0 done or stopped in order, 1 failed, 2 asked wrongly, 128+n when a second signal n ends it at once.
Known, not built yet: ${[...COMMANDS_NOT_BUILT, ...OPTIONS_NOT_BUILT].join(', ')}
`
