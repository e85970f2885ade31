// did:pkh: the name of a wallet. It has no key to log in with; a wallet proves itself by a message that it signs.
import type { DidMethod } from './method.ts'

export function createPkhMethod(): DidMethod {
  return { immutable: true, resolve: async () => ({ state: 'found', authentication: [] }) }
}
