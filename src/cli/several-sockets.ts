// Several upstreams that are one, where connections are meant.
import { OpenMcpError } from '../errors.ts'
import type { RemoteTarget, SocketTarget } from '../openmcp.ts'
import { isSocket } from '../protocol/target.ts'

type Several = Pick<RemoteTarget, 'others' | 'fallbacks'>

/** Each of them is one URL. */
export function severalSockets({ others = [], fallbacks = [] }: Several): Pick<SocketTarget, 'others' | 'fallbacks'> {
  return { ...(others.length > 0 && { others: others.flat() }), ...(fallbacks.length > 0 && { fallbacks: fallbacks.flat() }) }
}

/** Several that are one speak one way. */
export function refuseMixture(urls: readonly URL[], { others = [], fallbacks = [] }: Several): void {
  const all = [urls, ...others, ...fallbacks].flat()
  if (all.every(isSocket) || !all.some(isSocket)) return
  throw new OpenMcpError('usage', 'several that are one are all http(s)://, or all tcp:// and ws(s)://')
}
