// What a client is told whose caller has no login of their own at a server: where to have one, in the form that it understands.
import { randomUUID } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import type { JsonObject, RequestMessage } from '../protocol/message.ts'
import { LAST_LEGACY_VERSION, LEGACY_VERSIONS, paramsOf } from '../protocol/revision.ts'

export interface LoginWords {
  /** Names what this client is asked to open, in each thing that asks it to: it is told when that is done. */
  readonly elicitationId: string
  /** The answer to `initialize` in the server's place. */
  greeting(initialize: RequestMessage): JsonObject
  /** MCP 2025-11-25, URL mode elicitation: what a client that opens addresses is asked. */
  elicitation(): JsonObject
  /** Its error, for what cannot be answered. */
  needed(): OpenMcpError
  /** A result that the model reads and can tell its person. Undefined: this method has none. */
  inWords(method: string): JsonObject | undefined
  /** For what was under way when the login ended. */
  broken(): OpenMcpError
}

export const KINDS = ['tools', 'prompts', 'resources']

/** What is listed, by the method that lists it. */
export const LISTS: ReadonlyMap<string, { kind: string; key: string }> = new Map([
  ['tools/list', { kind: 'tools', key: 'tools' }],
  ['prompts/list', { kind: 'prompts', key: 'prompts' }],
  ['resources/list', { kind: 'resources', key: 'resources' }],
  ['resources/templates/list', { kind: 'resources', key: 'resourceTemplates' }],
])

export function createLoginWords({ server, loginAt }: { server: string; loginAt(): string }): LoginWords {
  const elicitationId = randomUUID()
  const words = `the server ${server} wants a login of your own`
  const hint = (): string => `open ${loginAt()} in a browser, then try again`
  const elicitation = (): JsonObject => ({ mode: 'url', elicitationId, url: loginAt(), message: words })
  return {
    elicitationId,
    greeting(initialize) {
      const asked = paramsOf(initialize)?.['protocolVersion']
      return {
        protocolVersion: typeof asked === 'string' && LEGACY_VERSIONS.has(asked) ? asked : LAST_LEGACY_VERSION,
        capabilities: Object.fromEntries(KINDS.map((kind) => [kind, { listChanged: true }])),
        serverInfo: { name: server, version: '1' },
        instructions: `${words}, and has nothing to offer before it: ${loginAt()}`,
      }
    },
    elicitation,
    needed: () => new OpenMcpError('login_needed', words, { hint: hint(), data: { elicitations: [elicitation()] } }),
    inWords: (method) => (method === 'tools/call' ? { content: [{ type: 'text', text: `${words}: ${hint()}` }], isError: true } : undefined),
    broken: () => new OpenMcpError('upstream_broke', `your login at the server ${server} ended, or was made anew, during the call`),
  }
}
