// What the commands beside `run` take. --debug and --help go with each of them.

const test = `connect to a server, say on stdout what it is, and time it

  openmcp test [OPTIONS] UPSTREAM
  openmcp test [OPTIONS] [--] COMMAND [ARG...]

  -e, --env NAME=VALUE         one variable of COMMAND
  --env-file FILE              lines NAME=VALUE
  --pass-env NAME              a variable of ours, handed on
  --cwd DIR                    where COMMAND starts
  -H, --header 'NAME: VALUE'   a header for UPSTREAM
  --header-file FILE           lines NAME: VALUE, for what is secret; also OPENMCP_HEADER
  --transport auto|http|sse|stdio|tcp|ws   how to talk to it, where it is not to be found out
  --tls-ca FILE                PEM: an authority that vouches for it, beside the usual ones
  --verify-ssl true|false|FILE   FILE: that authority alone; false: whoever answers is believed
  --no-verify-ssl              the same as --verify-ssl false
  --timeout SECONDS            for everything (30)
  --json                       for programs, failures too
  --client-id ID               the client that we are to the issuer of UPSTREAM (openmcp help upstreams)
  --client-secret-file FILE    its secret; also OPENMCP_CLIENT_SECRET
  --client-secret SECRET       the same, where other programs of this machine can read it
  --token-url URL              where tokens are asked for
  --oauth-scope 'SCOPE SCOPE'  what to ask for
  --resource URL|none          what the issuer knows UPSTREAM by
  --id NAME                    who we are to an UPSTREAM that a DID names; 'tsp' unless given
  --keys DIR                   where our identities are
  --tsp-listen HOST:PORT       where to listen for the answers of a DID

  openmcp test http://127.0.0.1:8000/mcp
`

const id = `identities of ours: to log in with, and for TSP

  openmcp id create NAME       make one; stdout is its DID
  openmcp id list              all of them
  openmcp id show [NAME]       one of them, or the node itself, with its document
  openmcp id export NAME       print it, for another machine or program
  openmcp id import NAME [FILE]   take one; from stdin without FILE
  openmcp id rotate [NAME]     another key; without NAME that of the node
  openmcp id deactivate NAME|DID   it lets in nobody any more

  --method key|jwk|web|peer    what kind of DID (key; with --tsp peer)
  --curve Ed25519|P-256|secp256k1   what kind of key (Ed25519)
  --domain DOMAIN              whose site publishes a did:web
  --tsp                        TSP reaches it, too
  --endpoint URL               where: tcp://, tls:// or http(s)://; a free port of this machine alone unless given
  --private                    export: with its private key
  --piv                        export: as the Rust SDK of TSP writes it, private key and all
  --now                        rotate: the old key of the node ends at once
  --json                       list, show: for programs
  --keys DIR                   where identities are; below OPENMCP_HOME (~/.openmcp) unless given
  --store URL                  deactivate: which store hears of it

  openmcp id create alice
`

const token = `prove an identity of ours, and print a token on stdout

  openmcp token RESOURCE       whoever gives tokens for that server is found and asked
  openmcp token did:...        that DID is asked, by TSP

  --id NAME                    which identity; needed when there are several
  --scope 'SCOPE SCOPE'        no more than these
  --dpop                       bound to a key, which is printed with it
  --tls-ca FILE                PEM: an authority that vouches for the server and its issuer, beside the usual ones
  --enrol LINK                 the link of a first start, which lets in whoever shows it first
  --timeout SECONDS            by TSP: for an answer (10)
  --tsp-listen HOST:PORT       by TSP: where to listen for it
  --keys DIR                   where our identities are

  openmcp token https://mcp.example.com/mcp
`

const trust = `whose identities may come in, where --security asks; a running openmcp on the same store follows

  openmcp trust add ID         a DID, ISSUER|SUBJECT, did:web:*.example.com, or any
  openmcp trust list
  openmcp trust remove ID      what it has open ends within a second

  --scope 'SCOPE SCOPE'        add: no more than these ('mcp')
  --tools 'GLOB,GLOB'          add: these tools; all unless given
  --server GLOB                add: these servers; all unless given. That at /mcp is called as --name says, 'default' unless given
  --until TIME                 add: 12h, 30d, 2027-01-31, or a moment with its zone
  --json                       list: for programs
  --store URL                  which store; below OPENMCP_HOME (~/.openmcp) unless given

  openmcp trust add did:web:agent.example.com --tools 'search_*,echo' --until 30d
`

const key = `API keys, made and taken back by whoever runs openmcp; a running one on the same store follows

  openmcp key create ID        one for this identity, on stdout: it is shown once
  openmcp key list [ID]
  openmcp key revoke KEY       by the id that 'list' shows

  --label NAME                 create: what it is for
  --scope 'SCOPE SCOPE'        create: no more than these
  --until TIME                 create: 12h, 30d, 2027-01-31, or a moment with its zone
  --json                       list: for programs
  --keys DIR                   where the keys of this node are
  --store URL                  which store; below OPENMCP_HOME (~/.openmcp) unless given

  openmcp key create did:key:z6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V --label laptop --until 90d
`

const login = `log in, with a browser, at a server that asks people to; 'openmcp run' and 'openmcp test' use and renew what that gives

  openmcp login UPSTREAM
  openmcp login NAME --config FILE   at the server of that name, as the file says
  openmcp login --list         where we are logged in
  openmcp reset [UPSTREAM]     take that back, everywhere without UPSTREAM

  --client-id ID               the client that the issuer's operator registered
  --client-secret-file FILE    its secret; also OPENMCP_CLIENT_SECRET
  --client-secret SECRET       the same, where other programs of this machine can read it
  --client-metadata-url URL    a client id metadata document that says who we are
  --scope 'SCOPE SCOPE'        what to ask for; what the server says unless given
  --resource URL|none          what the issuer knows the server by; none: it is not named, as Entra wants it
  --device                     a code is typed in a browser at another device (RFC 8628)
  --trust-pkce                 that an issuer binds its codes (PKCE) though it does not say so, like Entra and Cognito
  --config FILE                which file names the server
  --dpop optional|required     whether the token is bound to a key
  --timeout SECONDS            for the person (300)
  --tls-ca FILE                PEM: an authority that vouches for the server and its issuer, beside the usual ones
  --no-browser                 open none here: the address is printed, and what it leads to is pasted
  --list                       where we are logged in, and until when
  --json                       list: for programs

  openmcp login https://mcp.example.com/mcp
`

const reset = `take logins back at their issuer, and forget them

  openmcp reset UPSTREAM
  openmcp reset                all of them

  --tls-ca FILE                PEM: an authority that vouches for their issuers, beside the usual ones
`

const config = `the file of 'openmcp run --config FILE': JSON with comments, every mistake told at once with its line

  openmcp config init [FILE]          make one to start from; FILE is openmcp.json wherever it is left out
  openmcp config add NAME URL         put a server into it; comments stay
  openmcp config add NAME -- COMMAND [ARG...]
  openmcp config remove NAME          take one out
  openmcp config list [FILE]          its servers, a line each
  openmcp config validate [FILE]      read it as 'run' would; stdout is the names of its servers
  openmcp config show [FILE]          all that holds, without what is secret
  openmcp config test [FILE]          ask every server of it who it is
  openmcp config import FILE          make one of VS Code's, Zed's, mcp-hub's, TBXark's, mcp-connect's; it goes to stdout
  openmcp config generate --ide NAME [URL]   what the configuration of a client has to say to come here
  openmcp config schema               the JSON schema, for an editor

  --config FILE                add, remove, generate: which file
  --force                      init, add: also where something is there
  -e, --env NAME=VALUE         add: one variable of COMMAND
  --cwd DIR                    add: where COMMAND starts
  -H, --header 'NAME: VALUE'   add: a header for URL
  --transport http|sse|stdio|tcp|ws   add: how to talk to it, where it is not to be found out
  --server NAME                test: that one; all of them unless given, or with --all
  --all                        test: all of them
  --timeout SECONDS            test: for each (30)
  --ide zed|claude|vscode|cursor   generate: for whom
  --name NAME                  generate: what we are called there (openmcp)
  --json                       list: for programs

  {
    "mcpServers": {
      "git":  { "command": "uvx", "args": ["mcp-server-git"], "env": { "TOKEN": "\${GIT_TOKEN}" } },
      "mail": { "url": "https://mail.example.com/mcp", "headers": { "Authorization": "Bearer \${file:mail.token}" } }
    },
    "aggregate": true
  }

  Each is at /servers/NAME/mcp; with 'aggregate' all are one at /mcp, where tools are called NAME__TOOL. A changed file is applied
  while openmcp runs; one with a mistake changes nothing and says why. docs/configuration.md has every member.
`

const demo = `a server on stdio that sends notifications, to try a client with

  --count COUNT                how many, each half a second after the other (3)

  openmcp run -p 8000 openmcp notification-demo --count 10
`

export const COMMAND_TOPICS: ReadonlyMap<string, string> = new Map([
  ['test', test],
  ['config', config],
  ['login', login],
  ['reset', reset],
  ['id', id],
  ['token', token],
  ['trust', trust],
  ['key', key],
  ['notification-demo', demo],
])
