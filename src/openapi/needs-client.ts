// Tools that want their client to do its part: told by a status of its own, since no other arguments would help.
import { OpenMcpError } from '../errors.ts'
import { OFFERS_NOTHING } from './ways-up.ts'

const HINT = 'call it by MCP'

/** What a tool asks of its client that a plain HTTP call is none for. */
export function beyondHttp(what: string): OpenMcpError {
  return new OpenMcpError('needs_client', `the tool asks its client for ${what}, which a plain HTTP call cannot give`, { hint: HINT })
}

/**
 * Undefined, unless these are all the words of a failure, and those in which the official SDKs tell a tool that its client offers nothing,
 * or in which we do. A tool that speaks of clients in its own words, or quotes these, has failed as any other.
 */
export function needsClientBy(words: string): OpenMcpError | undefined {
  return OF_SDK.test(words) || OURS.test(words) ? new OpenMcpError('needs_client', words, { hint: HINT }) : undefined
}

/** Of TypeScript, versions 1 and 2. */
const OF_SDK =
  /^(?:MCP error -\d{1,5}: )?Client does not support (?:(?:sampling|(?:URL )?elicitation|(?:listing )?roots|tasks)(?: capability)? \(required for [\w/]{1,64}\)|(?:form|url) elicitation\.|sampling tools capability\.|(?:form|URL)-mode elicitation requests)$/
/** Before it an SDK puts what it is, and which tool it was. */
const OURS = new RegExp(`^(?:MCP error -32601: |Error executing tool [^\\n:]{1,200}: )?${OFFERS_NOTHING}$`)
