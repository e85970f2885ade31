// HTTP inside a sealed message: what of a request, and of each piece of its answer, is said under the seal. What stands around the seal
// can be changed by whoever carries it, so nothing there counts.
import type { LookupFunction } from 'node:net'

export interface CarriedRequest {
  readonly method: 'POST' | 'GET' | 'DELETE'
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Empty where there is none. */
  readonly body: Buffer
}

/** The first piece of an answer says its status and its headers; of an event stream each further one is an event. */
export type CarriedPiece =
  | { readonly kind: 'head'; readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Buffer }
  | { readonly kind: 'event'; readonly event: string; readonly id: string | undefined; readonly retryMs: number | undefined; readonly body: Buffer }

/** A request of a peer, opened. */
export interface OpenedRequest {
  readonly request: CarriedRequest
  /** One piece of its answer, as text. Throws `too_large` for what no message holds. */
  seal(piece: CarriedPiece): string
  /** While its answer goes on, the session that it came in is not idle. Returns the release. */
  hold(): () => void
}

/** A request of ours, sealed. */
export interface SealedRequest {
  readonly text: string
  /**
   * One piece of its answer. `forgotten`: the other side knows the session no more, and nothing of what was done in it; the next request
   * goes in a new one. Undefined: it is no word of the other side about this request.
   */
  open(text: string): Promise<CarriedPiece | { readonly kind: 'forgotten' } | undefined>
}

/** The way to one peer, for requests. */
export interface SealedWay {
  /** Fails when the peer does not speak with us: `timeout` in words, or as asking it does. */
  seal(request: CarriedRequest): Promise<SealedRequest>
  /** Begins the relationship anew, which the peer may have forgotten. Fails as `seal` does. */
  relate(): Promise<void>
  /** Renews the relationship no more. */
  close(): void
}

/** Carries one text to the peer, and brings back what it answered: empty where it said nothing. */
export type Ask = (text: string) => Promise<string>

/** A peer that is asked over HTTP. */
interface SealedPeer {
  /** Where, and in its query who asks. */
  readonly url: URL
  /** Where its name may lead; what it is asked for is what is connected to. */
  readonly lookup: LookupFunction
  open(ask: Ask): SealedWay
}

/** Fails while the peer cannot be resolved, or must not be asked where it says. */
export type FindSealedPeer = () => Promise<SealedPeer>
