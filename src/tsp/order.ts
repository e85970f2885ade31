// Messages of one peer keep their order.
import type { Vid } from '../identity/vid.ts'

/** One after the other for each peer: a relationship is read and written in steps, and messages keep their order. */
export function createOrder(): <T>(vid: Vid, act: () => Promise<T>) => Promise<T> {
  const last = new Map<Vid, Promise<unknown>>()
  return async (vid, act) => {
    const turn = (last.get(vid) ?? Promise.resolve()).then(act, act)
    last.set(vid, turn)
    try {
      return await turn
    } finally {
      if (last.get(vid) === turn) last.delete(vid)
    }
  }
}
