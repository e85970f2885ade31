// An UPSTREAM that is a DID, as people write it.
import { OpenMcpError } from '../errors.ts'
import { methodOf, parseVid, type Vid } from '../identity/vid.ts'
import { shownTarget } from '../protocol/target.ts'

/** DIDs whose documents can say where TSP is spoken. */
const WITH_ENDPOINT = new Set(['peer', 'web', 'webvh'])

/** Throws `usage`. */
export function parseUpstreamVid(text: string): Vid {
  const vid = parsed(text)
  const method = methodOf(vid)
  if (WITH_ENDPOINT.has(method)) return vid
  throw new OpenMcpError('usage', `the upstream is a did:${method}, which cannot say where it is reached`, { hint: 'a did:peer:4, did:web or did:webvh can' })
}

function parsed(text: string): Vid {
  try {
    return parseVid(text)
  } catch (cause) {
    if (!(cause instanceof OpenMcpError)) throw cause
    throw new OpenMcpError('usage', `the upstream ${shownTarget(text).slice(0, 80)}: ${cause.message}`, {
      cause,
      ...(cause.hint !== undefined && { hint: cause.hint }),
    })
  }
}
