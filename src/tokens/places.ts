// Under which names we are known: a token is for one of them, and from one of them.
import type { IncomingMessage } from 'node:http'

export interface Places {
  /** The issuer, and what every path of ours stands behind, as this client named us. Without a slash at its end. */
  baseOf(req: IncomingMessage): string
  /** Whether a token with this `iss` can be ours. */
  isOwnIssuer(issuer: string): boolean
  /** The resource that is meant, in its one spelling (MCP authorization, "Canonical Server URI"); undefined when it is none of ours. */
  resourceOf(audience: string): string | undefined
  /**
   * Whether a token that is for this audience opens the server of this name (undefined: the one at the root). One for us as a whole
   * opens all, and so does one whose audience is none of our doors, which only an issuer that the operator named can give.
   * One for a door opens the server behind it alone.
   */
  opens(audience: string, server: string | undefined): boolean
}
