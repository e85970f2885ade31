// Relationships of a process that ends soon: the other side keeps them, and who comes back invites anew.
import { NOTHING_HELD, type Held, type RelationshipStore } from './relationship-store.ts'

export function createPassingRelationships(): RelationshipStore {
  const held = new Map<string, Held>()
  const taken = new Set<string>()
  return {
    get: async (local, remote) => held.get(`${local} ${remote}`) ?? NOTHING_HELD,
    async put(local, remote, relationship) {
      held.set(`${local} ${remote}`, { relationship, id: remote, untilMs: Infinity })
    },
    async isFirst(local, remote, invite) {
      const key = `${local} ${remote} ${invite}`
      if (taken.has(key)) return false
      taken.add(key)
      return true
    },
  }
}
