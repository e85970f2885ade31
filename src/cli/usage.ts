import { RUN_OPTIONS } from './option-table.ts'

/** Commands of which only the name is there: refused, so that nobody takes silence for work done. */
export const COMMANDS_NOT_BUILT: readonly string[] = ['tools', 'audit', 'doctor']

const OPTIONS_NOT_BUILT = [...RUN_OPTIONS].filter(([, rule]) => rule.notBuilt === true).map(([name]) => `--${name}`)

export const USAGE = `openmcp: a proxy in front of any MCP server

  openmcp run [OPTIONS] [-p PUBLISH] [--] [COMMAND [ARG...]]   serve one server
  openmcp test [OPTIONS] UPSTREAM | [--] COMMAND [ARG...]      connect to a server, say what it is, time it
  openmcp id create NAME | list | show [NAME] | export NAME | import NAME | rotate [NAME] | deactivate NAME|DID   identities
  openmcp token RESOURCE|DID                                   prove an identity, by TSP to a DID, and print a token
  openmcp login UPSTREAM | openmcp reset [UPSTREAM]            log in with a browser where 'run' needs it; forget that
  openmcp trust add ID | list | remove ID                      whose identities may come in
  openmcp key create ID | list [ID] | revoke KEY               API keys
  openmcp config validate FILE | import FILE | schema          check a configuration; make one of another program's; its JSON schema
  openmcp notification-demo [--count N]                        a server that sends notifications, to try a client with
  openmcp --help | --version

  PUBLISH               COMMAND   what runs
  [HOST:]PORT           given     the stdio server COMMAND, over HTTP (Streamable HTTP and SSE at once)
  [HOST:]PORT:UPSTREAM  none      the remote server UPSTREAM, over HTTP
  UPSTREAM              none      the remote server UPSTREAM, on our stdio
  none                  given     the stdio server COMMAND, on our stdio

  UPSTREAM is http(s)://..., host:port[/path], tcp://host:port, ws(s)://..., or did:... (sealed, by TSP). HOST is 127.0.0.1 unless given.
  Options end at COMMAND or '--'; what follows is COMMAND's own. 'run' may be left out.

Example:
  openmcp run -p 8000 npx -y @modelcontextprotocol/server-everything

What is served:
  -e, --env NAME=VALUE      --env-file FILE     --pass-env NAME     --cwd DIR     (COMMAND)
  -H, --header 'NAME: VALUE'                    --header-file FILE                (UPSTREAM; also OPENMCP_HEADER)
  --transport auto|http|sse|stdio|tcp|ws             how to talk to it
  --endpoints A,B,C         several upstreams that are one: sessions are shared out    --fallback UPSTREAM   when none answers
  --retry-attempts COUNT (3)                    --retry-delay MS (250)                 nothing that may have been done is repeated
  --isolation session|identity|shared           one child or connection per session, per caller, or one for all
  --id NAME                 who we are to the UPSTREAM (--keys DIR; --dpop required binds our token to a key); to a DID 'tsp'
  --name NAME                                   what it is called in the log and on /status
  --config FILE             servers of 'mcpServers', each at /servers/NAME/; a changed file is applied while openmcp runs

Where it is served:
  -p, --publish PUBLISH
  --allow-origin ORIGIN     a web page that may call           --allow-host HOST     a name clients may use for us
  --expose-header NAME      a header web pages may read        --path-prefix /PATH   serve below it
  --public-url URL          what clients call it               --tls-cert FILE       --tls-key FILE
  --insecure-no-auth        listen beyond loopback, though nobody is asked who they are

Who may call:
  --security                everybody proves an identity that is trusted (openmcp trust, or --config FILE)
  --keys DIR                --store file:PATH|memory:          both below OPENMCP_HOME (~/.openmcp) unless given
  --api-key-file FILE       keys that let in whoever holds one; also OPENMCP_API_KEY, and --api-key KEY
  --dpop optional|required|nonce  tokens bound to a key       --token-life SECONDS (900)  --trust-loopback  fetch from this machine too
  --tsp verify|message      tokens, or MCP itself, by TSP      --tsp-id NAME (tsp)     --tsp-listen HOST:PORT
  --key-server URL          another openmcp that knows the API keys; --key-server-id NAME is who we are to it

Limits (BYTES as 64k, 8m, 1g; SECONDS as 30, 0.5; 0 is no limit where marked *):
  --timeout SECONDS*        a call without any sign of its answer
  --connect-timeout SECONDS --idle SECONDS      --drain SECONDS     --stop-timeout SECONDS
  --poll SECONDS*           close event streams that long open, for clients to come back
  --max-body BYTES          --max-message BYTES --max-buffer BYTES  --max-replay BYTES  --max-headers BYTES
  --max-depth COUNT         --max-streams COUNT --max-sessions COUNT                    --max-children COUNT

Words (all on stderr):
  --log-level error|warn|info|debug             --log-format text|json
  --debug                   log level debug, and stack traces

'openmcp id' takes --method key|jwk|web|peer, --curve Ed25519|P-256|secp256k1, --domain, --tsp, --endpoint URL, --private, --piv, --now, --json, --keys, --store;
'openmcp token' --id NAME, --dpop, --scope, --enrol LINK, --keys, of a DID --timeout (10), --tsp-listen; 'openmcp key' --label, --scope, --until, --json, --keys, --store;
'openmcp login' --client-id ID, --client-secret-file, --client-metadata-url, --scope, --dpop required, --timeout (300), --no-browser, --list;
'openmcp trust' --scope, --tools, --until, --json, --store; 'openmcp test' -e, --env-file, --pass-env, --cwd, -H, --header-file, --transport, --timeout (30), of a DID --id, --keys, --tsp-listen.
Exit codes: 0 done or stopped in order, 1 failed, 2 asked wrongly, 128+n when a second signal n ends it at once.
known, not built yet: ${COMMANDS_NOT_BUILT.join(', ')}; ${OPTIONS_NOT_BUILT.join(', ')}
`
