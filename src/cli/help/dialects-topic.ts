// What openmcp understands of the command lines of other proxies, and where it means something else on purpose.

export const dialects = `command lines of other proxies, understood as they are

  What 'run' does not understand is tried in the words of mcp-proxy, rmcp-proxy, supergateway, mcp-remote and mcpo; what begins with proxy,
  load-balance, auth-proxy, serve, init, generate-config or registry is mcp-connect's, and so is 'test --endpoint' ('--' goes before a program
  of that name). stderr says what it was taken as. What could be read in two ways
  is a mistake: then --as says whose words they are. What openmcp understands itself is never looked at.

  --as mcp-proxy|rmcp-proxy|mcp-connect|mcpo|supergateway|mcp-remote   whose words follow; it goes first

  openmcp --port 8080 --pass-environment -- uvx mcp-server-fetch          mcp-proxy, rmcp-proxy
  openmcp --port 8080 --named-server fetch 'uvx mcp-server-fetch'
  openmcp -H Authorization 'Bearer TOKEN' http://127.0.0.1:8080/sse
  openmcp --stdio 'npx -y some-server' --port 8000                        supergateway
  openmcp https://mcp.example.com/mcp 9696 --transport http-first         mcp-remote
  openmcp --port 8000 -k SECRET -- uvx mcp-server-time                    mcpo
  openmcp proxy --endpoint https://mcp.example.com/mcp --auth-token T     mcp-connect

  Different on purpose:
    a COMMAND without a port       is served on our stdio; only after --as mcp-proxy at a port of its choice, as mcp-proxy does
    one child for all clients      is one for each session here; --isolation shared is theirs
    options behind COMMAND         are COMMAND's own, as everywhere here
    -h and --version of mcpo       are the host and a title after --as mcpo, and our own otherwise
    --host 0.0.0.0                 is refused unless callers are asked who they are (--security); without --host only this machine is served
    every web page may call (*)    is left out: --allow-origin ORIGIN names those that may
    --pass-environment             hands on everything but OPENMCP_..., and warns; --pass-env NAME hands on one
    -e K V, -H K V (two words)     only before '--' or a URL, or after --as: no COMMAND is taken for a value
    --port with a URL              serves that URL at the port, where mcp-proxy would speak stdio
    --fallbacks stdio,tcp          is left out: a fall-back names its address (--fallback UPSTREAM)
    a call of a tool               is never repeated, however many retries there are
    --api-key                      under proxy, load-balance and test --endpoint is sent to the upstream; elsewhere it lets callers in
    --stdio 'A | B'                is refused: programs are started without a shell
    --oauth2Bearer with --stdio    is refused: supergateway asks nobody for it
    logins of people               are made once, with 'openmcp login URL', and kept for all processes
    tools of mcpo                  are served as MCP, too; with --api-key documents are for callers alone; what goes wrong: docs/migrating.md
    --root-path                    is what a proxy in front takes off, and nothing is served below it; else --path-prefix is meant
    \${NAME}                        in --header of mcp-remote, and in values of mcp-connect, is filled in; what is not set is a mistake

  SSE_URL names the upstream when nothing else does; API_ACCESS_TOKEN is its bearer token. docs/migrating.md has a table for each proxy.
`
