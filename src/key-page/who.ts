// Who is here: the wallets and the key of this browser to choose from, and the one that was chosen.
import { complain, doing, onCopy, stopActing, waitFor } from './acting.ts'
import { browserKey, knownBrowserKey } from './browser-key.ts'
import { at, made, onClick, show } from './elements.ts'
import type { Identity } from './identity.ts'
import { findWallets } from './wallets.ts'

export interface WhoOptions {
  /** What else is on the page while nobody was chosen. */
  readonly beside: readonly string[]
  chosen(identity: Identity): void
  /** Nobody is here any more. */
  left(): void
}

export interface Who {
  current(): Identity | undefined
  /** Asks again who it is; says why, when there is a reason. */
  leave(words: string): void
}

/** So long a wallet may take until it is said that there is none. */
const WALLETS_MS = 400

export function startWho({ beside, chosen, left }: WhoOptions): Who {
  let me: Identity | undefined

  void knownBrowserKey().then((known) =>
    choice('Key in this browser', known ? shortened(known.shown) : 'Made and kept here. It cannot be copied out.', browserKey),
  )
  let wallets = 0
  findWallets((wallet) => {
    wallets += 1
    at('no-wallet').hidden = true
    const connect = (): Promise<Identity> => {
      waitFor('Open your wallet and choose an account there.', { stoppable: true })
      return wallet.connect({ otherAccount, otherNetwork })
    }
    choice(wallet.name, 'Wallet', connect, 'first')
  })
  setTimeout(() => (at('no-wallet').hidden = wallets > 0), WALLETS_MS)
  onClick('leave', () => leave(''))
  onCopy('copy-identity', 'The identity', () => me?.shown ?? '')

  function choice(name: string, hint: string, connect: () => Promise<Identity>, place: 'first' | 'last' = 'last'): void {
    const button = made('button', '')
    button.type = 'button'
    button.append(made('span', name, 'wrap'), made('span', hint, 'quiet wrap'))
    button.addEventListener('click', () => void enter(connect))
    const item = made('li', '')
    item.append(button)
    if (place === 'first') at('identities').prepend(item)
    else at('identities').append(item)
  }

  async function enter(connect: () => Promise<Identity>): Promise<void> {
    const identity = await doing(connect)
    if (!identity) return
    me = identity
    at('identity').textContent = identity.shown
    note('')
    otherNetwork(identity)
    chosen(identity)
  }

  function otherAccount(identity: Identity): void {
    if (me === identity) leave('Your wallet uses another account now. Choose again who you are.')
  }

  function otherNetwork(identity: Identity): void {
    void identity.note().then((words) => {
      if (me === identity) note(words ?? '')
    })
  }

  function leave(words: string): void {
    stopActing()
    me = undefined
    left()
    show('who', ...beside)
    complain(words)
    at('who-title').focus()
  }

  return { current: () => me, leave }
}

function note(words: string): void {
  at('network').textContent = words
  at('network').hidden = words === ''
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 20)}…${text.slice(-8)}` : text
}
