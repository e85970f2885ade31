// A text of the server, signed by whoever is here: what every act on this page rests on.
import { waitFor } from './acting.ts'
import { Told, type Identity } from './identity.ts'
import { posted, STRANGE, type Asking, type Json } from './server.ts'

export interface Signing extends Asking {
  readonly signal: AbortSignal
  readonly challenge: string
  readonly act: string
  readonly more: Json
}

/** Asks for a text, has it signed, and sends it with what is asked for. */
export async function signedRequest(identity: Identity, { challenge, act, more, ...asking }: Signing): Promise<Json> {
  waitFor('Asking the server…')
  const { message } = await posted(challenge, identity.asked, asking)
  if (typeof message !== 'string') throw new Told(STRANGE)
  if (identity.asksPerson) waitFor('Open your wallet and sign the text there.', { stoppable: true })
  const signature = await identity.sign(message)
  waitFor('Asking the server…')
  // Not sent once the signal is given: whoever stopped waiting has not agreed.
  return posted(act, { ...identity.asked, message, signature, ...more }, asking)
}
