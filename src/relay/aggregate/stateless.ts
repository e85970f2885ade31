// The 2026-07-28 revision, which has no sessions, at several servers as one: it is not spoken here, and the client is told what is.
import { OpenMcpError } from '../../errors.ts'
import type { Link } from '../../protocol/exchange.ts'
import type { Message } from '../../protocol/message.ts'
import { LEGACY_VERSIONS, META_VERSION, metaOf } from '../../protocol/revision.ts'

/** A client of both eras goes on with `initialize` (2026-07-28 basic/versioning). */
export function unsupported(message: Message): OpenMcpError {
  const requested = metaOf(message)?.[META_VERSION]
  const supported = [...LEGACY_VERSIONS].toSorted().toReversed()
  return new OpenMcpError('unsupported_version', 'several servers as one need a session', { data: { supported, requested } })
}

export const UNSUPPORTED: Link = {
  kind: 'messages',
  send({ messages }, _headers, reply) {
    for (const message of messages) if (message.kind === 'request') reply.failed(unsupported(message), message.id)
  },
  close: () => Promise.resolve(),
}
