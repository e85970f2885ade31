// The framing of tsp_sdk on TCP and TLS: each message behind its length in four bytes, one way only.
import type { Socket } from 'node:net'

import type { Place } from '../../protocol/shares.ts'

const LENGTH_BYTES = 4
/** The signature alone is as long. Whoever sends less makes us work for nothing. */
export const LEAST_MESSAGE_BYTES = 72

/** One message, about which nothing is known yet. It must not fail; until it is done its bytes count as held. */
export type Take = (message: Buffer) => void | Promise<void>

/** Why a connection was closed by us: its peer does not hear of it. */
export type ConnectionRefusal = 'too_large' | 'too_slow' | 'too_many' | 'malformed'

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(message.length)
  return Buffer.concat([length, message])
}

export interface ReadFramedOptions {
  take: Take
  refused: (why: ConnectionRefusal) => void
  place: Place
  /** When it is the turn of this connection's network. */
  inTurn: (act: () => void) => void
  mostBytes: number
  /** Messages of this connection that are being worked on: then it is not read until one is done. */
  mostAtWork: number
  /** Until a message that began is whole, and between two. */
  messageSeconds: number
  idleSeconds: number
}

/** Messages in one turn: a third of a millisecond for those that are none. */
const MOST_IN_TURN = 16

/** What is held is at most twice what came, never what a length promised. The socket must stay open when its peer has ended. */
export function readFramed(socket: Socket, { take, refused, place, inTurn, mostBytes, mostAtWork, messageSeconds, idleSeconds }: ReadFramedOptions): void {
  let storage: Buffer = Buffer.alloc(0)
  let held = 0
  let atWork = 0
  /** For its turn, or for work to be done: nothing is read meanwhile. */
  let isWaiting = false
  let isOver = false
  let patience: NodeJS.Timeout | undefined
  wait(idleSeconds)
  socket.on('close', () => {
    clearTimeout(patience)
    place.release(held)
    place.leave()
    held = 0
    storage = Buffer.alloc(0)
  })
  socket.on('data', (chunk: Buffer) => {
    if (!place.hold(chunk.length)) return end('too_many')
    // A message that trickles in gets no more time for each of its bytes.
    if (held === 0) wait(messageSeconds)
    keep(chunk)
    if (isWhole(0)) askForTurn()
  })
  socket.on('end', () => {
    isOver = true
    if (!isWaiting) socket.destroy()
  })

  function keep(chunk: Buffer): void {
    if (held + chunk.length > storage.length) {
      const grown = Buffer.alloc(Math.max(held + chunk.length, 2 * storage.length))
      storage.copy(grown, 0, 0, held)
      storage = grown
    }
    held += chunk.copy(storage, held)
  }

  /** A length that is none needs nothing behind it. */
  function isWhole(at: number): boolean {
    return held - at >= LENGTH_BYTES && (!isLength(storage.readUInt32BE(at)) || held - at - LENGTH_BYTES >= storage.readUInt32BE(at))
  }

  function isLength(length: number): boolean {
    return length >= LEAST_MESSAGE_BYTES && length <= mostBytes
  }

  function askForTurn(): void {
    if (isWaiting) return
    isWaiting = true
    // Its peer is not to blame for our slowness.
    clearTimeout(patience)
    inTurn(takeTurn)
    if (isWaiting) socket.pause()
  }

  function takeTurn(): void {
    if (socket.destroyed) return
    takeSome()
    if (socket.destroyed || atWork >= mostAtWork) return
    isWaiting = false
    if (isWhole(0)) return askForTurn()
    if (isOver) {
      socket.destroy()
      return
    }
    wait(held === 0 ? idleSeconds : messageSeconds)
    if (socket.isPaused()) socket.resume()
  }

  function takeSome(): void {
    let at = 0
    for (let taken = 0; taken < MOST_IN_TURN && atWork < mostAtWork && isWhole(at); taken++) {
      const length = storage.readUInt32BE(at)
      if (!isLength(length)) {
        end(length > mostBytes ? 'too_large' : 'malformed')
        break
      }
      const start = at + LENGTH_BYTES
      at = start + length
      place.release(LENGTH_BYTES)
      work(Buffer.from(storage.subarray(start, at)))
    }
    // A copy: a small rest would keep all of the storage.
    storage = Buffer.from(storage.subarray(at, held))
    held -= at
  }

  function work(message: Buffer): void {
    const working = take(message)
    if (working === undefined) return place.release(message.length)
    atWork++
    void working
      .catch(() => {})
      .then(() => {
        place.release(message.length)
        if (atWork-- === mostAtWork) inTurn(takeTurn)
      })
  }

  function wait(seconds: number): void {
    clearTimeout(patience)
    patience = setTimeout(() => (held > 0 ? end('too_slow') : socket.destroy()), seconds * 1000)
  }

  function end(why: ConnectionRefusal): void {
    refused(why)
    socket.destroy()
  }
}
