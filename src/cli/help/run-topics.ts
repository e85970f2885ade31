// What `run` takes, by topic: one line for each option, which says what it does and what it is unless given.
import { DEFAULT_LIMITS as limits } from '../../protocol/limits.ts'
import { dialects } from './dialects-topic.ts'

const servers = `what is served

  A program that speaks MCP on its stdin and stdout is a COMMAND. It is started without a shell, with PATH, HOME and the like and
  nothing else of our environment: what it needs is set or handed on by name.

  -e, --env NAME=VALUE         one variable of COMMAND; others on this machine can read it in our command line
  --env-file FILE              lines NAME=VALUE
  --pass-env NAME              a variable of ours, handed on to COMMAND and to named servers
  --cwd DIR                    where COMMAND starts
  --isolation session|identity|shared   one child per session (unless given), one per caller (with --security), or one for all
  --stateless                  no sessions at /mcp: every POST stands alone, whichever replica it reaches
  --openapi                    tools as plain HTTP, too: POST /tools/NAME, described by /openapi.json; as mcpo has them, POST /SERVER/NAME
  --openapi-form tools|mcpo    where /openapi.json says that they are: at /tools/NAME ('tools'), or at /NAME and by the names that mcpo gives them
  --name NAME                  what it is called in the log and on /status; 'default' unless given
  --allow-tool GLOB            these of its tools, and no others; more than once for more
  --block-tool GLOB            and of those not these
  --named-server NAME=COMMAND  another one, at /servers/NAME/mcp; quotes and backslashes as in a shell, and nothing is expanded
  --aggregate                  all named servers as one at /mcp, their tools as NAME__TOOL; on stdio that is so anyhow

  openmcp run -p 8000 --pass-env GITHUB_TOKEN npx -y @modelcontextprotocol/server-github
  openmcp run -p 8000 --config servers.json                    many servers: openmcp help config
`

const upstreams = `remote servers

  UPSTREAM is http(s)://HOST[:PORT][/PATH], host:port[/path], tcp://host:port (a message per line), ws(s)://..., or did:... (openmcp help tsp).
  Without a scheme it is http for this machine and https otherwise; without a path /mcp is tried, then /sse.

  -H, --header 'NAME: VALUE'   a header for the upstream, and for nobody else; NAME=VALUE works, too
  --header-file FILE           lines NAME: VALUE, for what is secret; also OPENMCP_HEADER
  --transport auto|http|sse|stdio|tcp|ws   how to talk to it, where it is not to be found out
  --id NAME                    which identity of ours is proved to it (openmcp help id); without one, what 'openmcp login' has left
  --client-id ID               the client that we are to its issuer, which gives tokens for its secret (client credentials)
  --client-secret-file FILE    that secret; also OPENMCP_CLIENT_SECRET
  --client-secret SECRET       the same, where other programs of this machine can read it
  --token-url URL              where tokens are asked for, before the first request; what server and issuer say unless given
  --oauth-scope 'SCOPE SCOPE'  what to ask for; what the server says unless given
  --resource URL|none          what the issuer knows the server by; none: it is not named, as Entra wants it
  --forward-header NAME        a header of each caller that it gets as it is, beside those of MCP; never Authorization or Cookie
  --tls-ca FILE                PEM: an authority that vouches for it and for its issuers, beside the usual ones
  --verify-ssl true|false|FILE   FILE: that authority alone; false: whoever answers is believed, and nothing is proved to them
  --no-verify-ssl              the same as --verify-ssl false
  --endpoints UPSTREAM,UPSTREAM   several that are one: a session stays where it began, a new one goes where least is going on
  --fallback UPSTREAM          what is tried, in the order typed, while no endpoint answers
  --retry-attempts COUNT       how often what was never sent, or does no harm, is sent again (3)
  --retry-delay MS             how long before the first of them; doubled each time (250)

  API_ACCESS_TOKEN is sent to the upstream that is typed as 'Authorization: Bearer', in the place of any other.
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say which proxy it is reached through; this machine never is.

  openmcp run -p 8000 --endpoints https://a.example.com/mcp,https://b.example.com/mcp
`

const listen = `where it is served

  -p, --publish PUBLISH        [HOST:]PORT, [HOST:]PORT:UPSTREAM, or UPSTREAM for our stdio; port 0 picks one and says which;
                               stdio is our stdio also where the file of --config listens
  --allow-origin ORIGIN        a web page that may call, like https://app.example
  --allow-host HOST            a name that clients may use for us, beside those of loopback
  --expose-header NAME         a header of answers that web pages may read
  --path-prefix /PATH          serve everything below it
  --root-path /PATH            what a proxy in front takes off: documents of --openapi tell of it, and nothing is served below it
  --trust-proxy ADDRESS,...    a proxy, or a network like 10.0.0.0/8 of them, whose X-Forwarded-Prefix says that, where --root-path does not
  --public-url URL             what clients call it, when a proxy stands in front
  --tls-cert FILE              https, with its certificate
  --tls-key FILE               and its private key
  --insecure-no-auth           listen beyond loopback, though nobody is asked who they are

  openmcp run -p 8000 --allow-origin https://app.example npx -y @modelcontextprotocol/server-everything
  Served are /mcp (Streamable HTTP), /sse and /messages (older clients), /servers/NAME/..., /status, /healthz, /readyz.
`

const security = `who may call

  --security                   everybody proves an identity that is trusted (openmcp trust add ID)
  --keys DIR                   our own keys and identities; below OPENMCP_HOME (~/.openmcp) unless given
  --store URL                  whom we trust, and what was taken back: file:PATH or memory:; below OPENMCP_HOME unless given
  --api-key-file FILE          keys that let in whoever holds one, one a line; also OPENMCP_API_KEY, OPENMCP_API_KEY_FILE
  --api-key KEY                one such key; others on this machine can read it in our command line
  --dpop optional|required|nonce   tokens that are bound to a key; with --id and without --security: what we prove
  --token-life SECONDS         how long a token lives (900)
  --trust-loopback             fetch documents of DIDs and clients, and keys of issuers, from this machine, too
  --key-server URL             another openmcp that knows the API keys
  --key-server-id NAME         which identity of ours is proved to it

  openmcp trust add did:key:z6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V
  openmcp run -p 8000 --security npx -y @modelcontextprotocol/server-everything
`

const tsp = `callers and servers by the Trust Spanning Protocol

  --tsp verify|message         who is trusted gets tokens by TSP (verify), or speaks MCP itself in sealed messages; both: --tsp verify,message
  --tsp-id NAME                which identity of ours they reach; 'tsp' unless given, and made when there is none
  --tsp-listen HOST:PORT       where to listen, when that is not what our identity says

  openmcp run -p 8000 --tsp message npx -y @modelcontextprotocol/server-everything
  openmcp run -p 8001:did:peer:4...                            the other end: serves over HTTP what that DID serves
`

const limitsTopic = `times, sizes and numbers: BYTES as 65536, 64k, 8m, 1g; SECONDS as 30 or 0.5; 0 is no limit where marked *

  --timeout SECONDS            * a call without any sign of its answer; progress is one (${limits.timeoutSeconds})
  --connect-timeout SECONDS    connecting to an upstream (${limits.connectSeconds})
  --idle SECONDS               a session without a call in flight and without an open stream (${limits.idleSeconds})
  --drain SECONDS              calls in flight, when told to stop (${limits.drainSeconds})
  --stop-timeout SECONDS       a child, after its stdin was closed, and again after SIGTERM (${limits.stopSeconds})
  --poll SECONDS               * event streams that long open are closed, for clients to come back (${limits.pollSeconds})
  --max-body BYTES             a request (${shown(limits.bodyBytes)})
  --max-message BYTES          a message of a server (${shown(limits.messageBytes)})
  --max-buffer BYTES           what waits for a slow reader (${shown(limits.bufferedBytes)})
  --max-replay BYTES           what is kept of a stream for a client that comes back (${shown(limits.replayBytes)})
  --max-headers BYTES          all headers of a request (${shown(limits.headerBytes)})
  --max-depth COUNT            levels of nesting of a message (${limits.depth})
  --max-streams COUNT          calls in flight and open streams of a session (${limits.streams})
  --max-sessions COUNT         sessions of all servers (${limits.sessions})
  --max-children COUNT         programs and connections of all servers (${limits.children})
`

const log = `what is said on stderr

  --log-level error|warn|info|debug   how much of it ('info')
  --log-format text|json       for people or for programs ('text')
  --log-to-client              on stdio: the client hears it, too, as notifications of MCP; it says from which level on
  --debug                      log level debug, and stack traces
  -h, --help                   the options, and no more
  -V, --version                which openmcp this is
`

const config = `servers that a file names; 'openmcp help config' says what it may hold

  --config FILE                each server of it at /servers/NAME/mcp; a changed file is applied while openmcp runs; without -p all as one on stdio
`

function shown(bytes: number): string {
  return bytes < 1024 ** 2 ? `${bytes / 1024}k` : `${bytes / 1024 ** 2}m`
}

/** In the order in which `openmcp run --help` tells them. */
export const RUN_TOPICS: ReadonlyMap<string, string> = new Map([
  ['servers', servers],
  ['upstreams', upstreams],
  ['listen', listen],
  ['config', config],
  ['security', security],
  ['tsp', tsp],
  ['limits', limitsTopic],
  ['log', log],
  ['dialects', dialects],
])
