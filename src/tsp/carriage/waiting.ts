// What waits to leave for peers that are slow, or gone: bounded for each address and for all.
import { OpenMcpError } from '../../errors.ts'
import { createTally } from '../../protocol/tally.ts'

export interface WaitingOptions {
  /** For one address, and for all. Left out: 8 and 64 MiB. */
  mostWaitingBytes?: number | undefined
  mostWaitingForAllBytes?: number | undefined
}

/** Runs an act that holds so many bytes until it ends. Fails with `busy` when there are too many. */
export type Wait = <T>(address: string, bytes: number, act: () => Promise<T>) => Promise<T>

export function createWaiting({ mostWaitingBytes = 8 * 1024 * 1024, mostWaitingForAllBytes = 64 * 1024 * 1024 }: WaitingOptions): Wait {
  const waiting = createTally()
  let forAll = 0
  return async (address, bytes, act) => {
    if (waiting.of(address) + bytes > mostWaitingBytes || forAll + bytes > mostWaitingForAllBytes)
      throw new OpenMcpError('busy', `too much waits to be sent to ${address}`)
    waiting.add(address, bytes)
    forAll += bytes
    try {
      return await act()
    } finally {
      forAll -= bytes
      waiting.takeAway(address, bytes)
    }
  }
}
