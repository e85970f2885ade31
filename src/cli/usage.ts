import { RUN_OPTIONS } from './option-table.ts'

/** Commands of which only the name is there: refused, so that nobody takes silence for work done. */
export const COMMANDS_NOT_BUILT: readonly string[] = [
  'id',
  'token',
  'key',
  'trust',
  'tools',
  'audit',
  'notification-demo',
  'login',
  'reset',
  'config',
  'doctor',
]

const OPTIONS_NOT_BUILT = [...RUN_OPTIONS].filter(([, rule]) => rule.notBuilt === true).map(([name]) => `--${name}`)

export const USAGE = `openmcp: a proxy in front of any MCP server

  openmcp run [OPTIONS] [-p PUBLISH] [--] [COMMAND [ARG...]]   serve one server
  openmcp test [OPTIONS] UPSTREAM | [--] COMMAND [ARG...]      connect to a server, say what it is, time it
  openmcp --help | --version

  PUBLISH               COMMAND   what runs
  [HOST:]PORT           given     the stdio server COMMAND, over HTTP (Streamable HTTP and SSE at once)
  [HOST:]PORT:UPSTREAM  none      the remote server UPSTREAM, over HTTP
  UPSTREAM              none      the remote server UPSTREAM, on our stdio
  none                  given     the stdio server COMMAND, on our stdio

  UPSTREAM is http(s)://... or host:port[/path]. HOST is 127.0.0.1 unless given; port 0 picks a free one.
  Options end at COMMAND or '--'; what follows is COMMAND's own. 'run' may be left out.

Example:
  openmcp run -p 8000 npx -y @modelcontextprotocol/server-everything

What is served:
  -e, --env NAME=VALUE      --env-file FILE     --pass-env NAME     --cwd DIR     (COMMAND)
  -H, --header 'NAME: VALUE'                    --header-file FILE                (UPSTREAM)
  --transport auto|http|sse|stdio               how to talk to it
  --isolation session|shared                    one child or connection per session, or one for all
  --name NAME                                   what it is called in the log

Where it is served:
  -p, --publish PUBLISH
  --allow-origin ORIGIN     a web page that may call           --allow-host HOST     a name clients may use for us
  --expose-header NAME      a header web pages may read        --path-prefix /PATH   serve below it
  --public-url URL          allows its host and origin         --tls-cert FILE       --tls-key FILE
  --insecure-no-auth        listen beyond loopback, though nobody is asked who they are

Limits (BYTES as 64k, 8m, 1g; SECONDS as 30, 0.5; 0 is no limit where marked *):
  --timeout SECONDS*        a call without any sign of its answer
  --connect-timeout SECONDS --idle SECONDS      --drain SECONDS     --stop-timeout SECONDS
  --poll SECONDS*           close event streams that long open, for clients to come back
  --max-body BYTES          --max-message BYTES --max-buffer BYTES  --max-replay BYTES  --max-headers BYTES
  --max-depth COUNT         --max-streams COUNT --max-sessions COUNT                    --max-children COUNT

Words (all on stderr):
  --log-level error|warn|info|debug             --log-format text|json
  --debug                   log level debug, and stack traces

'openmcp test' takes -e, --env-file, --pass-env, --cwd, -H, --header-file, --transport, --timeout (30) and --debug.
Exit codes: 0 done or stopped in order, 1 failed, 2 asked wrongly, 128+n when a second signal n ends it at once.
known, not built yet: ${COMMANDS_NOT_BUILT.join(', ')}; ${OPTIONS_NOT_BUILT.join(', ')}; tcp, ws and did: upstreams
`
