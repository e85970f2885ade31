// What goes into which file of which client, with the key in it.

export interface Configuration {
  readonly client: string
  readonly where: string
  readonly text: string
}

export function configurationsFor(secret: string, page: URL): readonly Configuration[] {
  const base = new URL('.', page)
  const mcp = new URL('mcp', base).href
  // For clients that let a login go before a key that was configured: at this path none is named.
  const withKey = new URL('with-key/mcp', base).href
  // An address is no name, and clients show it.
  const name = /[a-z]/i.test(page.hostname) && !/^(?:localhost|\[.*\])$/.test(page.hostname) ? page.hostname.replaceAll(/[^a-z0-9-]+/gi, '-') : 'openmcp'
  const authorization = `Bearer ${secret}`
  const headers = { Authorization: authorization }
  return [
    {
      client: 'Claude Code',
      where: 'In a terminal:',
      text: `claude mcp add --transport http ${name} ${withKey} --header "Authorization: ${authorization}"`,
    },
    {
      client: 'Claude Desktop',
      where:
        'In claude_desktop_config.json (Settings, Developer, Edit Config). It starts openmcp, which must be installed: npm install -g @decentralized-mcp/openmcp',
      text: json({ mcpServers: { [name]: { command: 'openmcp', args: ['run', '-p', mcp, '-H', `Authorization: ${authorization}`] } } }),
    },
    {
      client: 'VS Code',
      where: 'In .vscode/mcp.json, or by the command MCP: Open User Configuration:',
      text: json({ servers: { [name]: { type: 'http', url: withKey, headers } } }),
    },
    { client: 'Cursor', where: 'In ~/.cursor/mcp.json, or .cursor/mcp.json of a project:', text: json({ mcpServers: { [name]: { url: withKey, headers } } }) },
    {
      client: 'MCP Inspector',
      where: 'In a terminal:',
      text: `npx @modelcontextprotocol/inspector --cli ${withKey} --transport http --header "Authorization: ${authorization}" --method tools/list`,
    },
  ]
}

function json(value: object): string {
  return JSON.stringify(value, null, 2)
}
