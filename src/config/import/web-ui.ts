// The secret of an Open WebUI, which mcpo is told at each server, and openmcp once.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import type { Notes } from './notes.ts'

const MEMBER = 'webui_secret_key'

/** `trust`, with the secret that the servers name. Of two secrets none is taken, and none in the place of one that is there. */
export function withWebUi(trust: unknown, servers: JsonObject, key: string, notes: Notes): JsonObject {
  const named = Object.entries(servers).flatMap(([name, entry]) =>
    isObject(entry) && isObject(entry['oauth']) && MEMBER in entry['oauth'] ? [{ at: `${key}.${name}.oauth.${MEMBER}`, secret: entry['oauth'][MEMBER] }] : [],
  )
  const own = trust === undefined ? {} : { trust }
  const [first] = named
  if (!first) return own
  const isOne = new Set(named.map(({ secret }) => secret)).size === 1 && (trust === undefined || (isObject(trust) && !('openWebUi' in trust)))
  for (const { at } of named) {
    notes.leftOut(at, isOne ? 'is trust.openWebUi here; who of its users may come in is for trust.identities to say: {"id": "open-webui|*"} is all' : undefined)
  }
  return isOne ? { trust: { ...(isObject(trust) && trust), openWebUi: { secret: first.secret } } } : own
}

/** What is left of `oauth` of a server. */
export function withoutWebUi(oauth: unknown): unknown {
  if (!isObject(oauth)) return oauth
  const { [MEMBER]: _secret, ...others } = oauth
  return others
}
