// A configuration that is written by a program: what a person wrote in it stays, comments and all.
import { applyEdits, modify } from 'jsonc-parser'

import type { JsonObject } from '../protocol/message.ts'

/** The text with this server under this name; undefined: without it. */
export function withServer(text: string, name: string, entry: JsonObject | undefined): string {
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol: text.includes('\r\n') ? '\r\n' : '\n' }
  return applyEdits(text, modify(text, ['mcpServers', name], entry, { formattingOptions }))
}

/** What `config init` writes: as little as runs, and what people look for next. */
// oxlint-disable no-template-curly-in-string -- what is to be written
export const STARTING_FILE = `// The file of 'openmcp run --config FILE'. docs/configuration.md has every member; 'openmcp config validate' looks for mistakes.
{
  // Where clients come in. '-p' on the command line goes before it.
  "listen": { "host": "127.0.0.1", "port": 8000 },

  // Each is at /servers/NAME/mcp. A change is applied while openmcp runs.
  "mcpServers": {
    // "files": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv/files"] },
    // "mail": { "url": "https://mail.example.com/mcp", "headers": { "Authorization": "Bearer \${MAIL_TOKEN}" } },
  },

  // All of them as one at /mcp, where their tools are called NAME__TOOL.
  "aggregate": true,

  // Who may call, with --security: see 'openmcp trust' and 'openmcp key', too.
  // "trust": { "identities": [{ "id": "did:web:agent.example.com", "tools": ["get_*"] }] },

  // "limits": { "maxSessions": 200, "timeout": 300 },
}
`
// oxlint-enable no-template-curly-in-string
