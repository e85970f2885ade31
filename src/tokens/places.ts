// Under which names we are known: a token is for one of them, and from one of them.
import type { IncomingMessage } from 'node:http'

export interface Places {
  /** The issuer, and what every path of ours stands behind, as this client named us. Without a slash at its end. */
  baseOf(req: IncomingMessage): string
  /** Whether a token with this `iss` can be ours. */
  isOwnIssuer(issuer: string): boolean
  /** The resource that is meant, in its one spelling (MCP authorization, "Canonical Server URI"); undefined when it is none of ours. */
  resourceOf(audience: string): string | undefined
}
