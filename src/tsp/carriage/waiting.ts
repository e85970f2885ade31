// What waits to leave for peers that are slow, or gone: bounded for each address and for all.
import { OpenMcpError } from '../../errors.ts'

export interface WaitingOptions {
  /** For one address, and for all. Left out: 8 and 64 MiB. */
  mostWaitingBytes?: number | undefined
  mostWaitingForAllBytes?: number | undefined
}

/** Runs an act that holds so many bytes until it ends. Fails with `busy` when there are too many. */
export type Wait = <T>(address: string, bytes: number, act: () => Promise<T>) => Promise<T>

export function createWaiting({ mostWaitingBytes = 8 * 1024 * 1024, mostWaitingForAllBytes = 64 * 1024 * 1024 }: WaitingOptions): Wait {
  const waiting = new Map<string, number>()
  let forAll = 0
  return async (address, bytes, act) => {
    const before = waiting.get(address) ?? 0
    if (before + bytes > mostWaitingBytes || forAll + bytes > mostWaitingForAllBytes) throw new OpenMcpError('busy', `too much waits to be sent to ${address}`)
    waiting.set(address, before + bytes)
    forAll += bytes
    try {
      return await act()
    } finally {
      forAll -= bytes
      const left = (waiting.get(address) ?? 0) - bytes
      if (left > 0) waiting.set(address, left)
      else waiting.delete(address)
    }
  }
}
