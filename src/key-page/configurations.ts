// What goes into which file of which client, with the key in it. On a command line other users of a machine could read it.

export interface Configuration {
  readonly client: string
  readonly where: string
  readonly text: string
}

const VARIABLE = 'OPENMCP_KEY'

export function configurationsFor(secret: string, page: URL): readonly Configuration[] {
  const base = new URL('.', page)
  // For clients that let a login go before a key that was configured: at this path none is named.
  const url = new URL('with-key/mcp', base).href
  const name = nameOf(page)
  const bearer = (key: string): { Authorization: string } => ({ Authorization: `Bearer ${key}` })
  const remote = (key: string): object => ({ type: 'http', url, headers: bearer(key) })
  return [
    {
      client: 'Claude Code',
      where: 'In a terminal. While it runs, other users of the same machine can see the key; where there are any, choose the shared project.',
      text: `claude mcp add --transport http ${name} ${url} --header "Authorization: Bearer ${secret}"`,
    },
    {
      client: 'Claude Code, shared project',
      where: `In .mcp.json of the project. The key is not in it: everybody sets ${VARIABLE} to a key of their own before Claude Code starts.`,
      text: json({ mcpServers: { [name]: remote(`\${${VARIABLE}}`) } }),
    },
    {
      client: 'Claude Desktop',
      where:
        'In claude_desktop_config.json (Settings, Developer, Edit Config). It starts openmcp, which must be installed: npm install -g @decentralized-mcp/openmcp',
      text: json({
        mcpServers: {
          [name]: { command: 'openmcp', args: ['run', '-p', new URL('mcp', base).href], env: { OPENMCP_HEADER: `Authorization: Bearer ${secret}` } },
        },
      }),
    },
    {
      client: 'Cursor',
      where: 'In ~/.cursor/mcp.json, which is yours alone.',
      text: json({ mcpServers: { [name]: { url, headers: bearer(secret) } } }),
    },
    {
      client: 'Cursor, shared project',
      where: `In .cursor/mcp.json of the project. The key is not in it: everybody sets ${VARIABLE} to a key of their own before Cursor starts.`,
      text: json({ mcpServers: { [name]: { url, headers: bearer(`\${env:${VARIABLE}}`) } } }),
    },
    {
      client: 'MCP Inspector',
      where: `In a file inspector.json. Then, in a terminal: npx @modelcontextprotocol/inspector --cli --config inspector.json --server ${name} --method tools/list`,
      text: json({ mcpServers: { [name]: remote(secret) } }),
    },
    {
      client: 'VS Code',
      where: 'In the file that the command MCP: Open User Configuration opens, which is yours alone.',
      text: json({ servers: { [name]: remote(secret) } }),
    },
    {
      client: 'VS Code, shared project',
      where: 'In .vscode/mcp.json of the project. The key is not in it: VS Code asks everybody for a key of their own, once, and keeps it apart.',
      text: json({
        inputs: [{ type: 'promptString', id: 'openmcp-key', description: `API key for ${name}`, password: true }],
        servers: { [name]: remote('${input:openmcp-key}') },
      }),
    },
  ]
}

/** An address is no name, and clients show it. */
function nameOf({ hostname }: URL): string {
  return /[a-z]/i.test(hostname) && !/^(?:localhost|\[.*\])$/.test(hostname) ? hostname.replaceAll(/[^a-z0-9-]+/gi, '-') : 'openmcp'
}

function json(value: object): string {
  return JSON.stringify(value, null, 2)
}
