// Wallets in this browser: those that announce themselves (EIP-6963), and the one that stands in `window.ethereum`.
import { Told, type Identity } from './identity.ts'

export interface Wallet {
  readonly name: string
  connect(): Promise<Identity>
  /** Its person chose another account or network. */
  onChange(act: () => void): void
}

/** EIP-1193. */
interface Provider {
  request(asked: { method: string; params?: readonly unknown[] }): Promise<unknown>
  on?(event: string, act: () => void): unknown
}

const MAINNET = '0x1'
const MOST_NAME = 40

/** Calls back for each, now and later: wallets come when they are ready. */
export function findWallets(found: (wallet: Wallet) => void): void {
  const known = new Set<Provider>()
  let announced = false
  const tell = (provider: Provider, name: string): void => {
    if (known.has(provider)) return
    known.add(provider)
    found(walletOf(provider, name))
  }
  addEventListener('eip6963:announceProvider', (event) => {
    const { info, provider } = detailOf(event)
    if (!isProvider(provider)) return
    announced = true
    tell(provider, nameOf(info))
  })
  dispatchEvent(new Event('eip6963:requestProvider'))
  const alone = (): void => {
    const provider: unknown = Reflect.get(window, 'ethereum')
    if (!announced && isProvider(provider)) tell(provider, 'Wallet')
  }
  // Those that announce themselves do it at once; an older one may stand in the window before or after us.
  setTimeout(alone, 50)
  addEventListener('ethereum#initialized', alone, { once: true })
}

function walletOf(provider: Provider, name: string): Wallet {
  return {
    name,
    async connect() {
      const accounts = await asked(provider, 'eth_requestAccounts')
      const [address] = Array.isArray(accounts) ? accounts : []
      if (typeof address !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(address))
        throw new Told('The wallet gave no account. Unlock it, choose an account, and try again.')
      return {
        asked: { hex_string: address.toLowerCase() },
        shown: address,
        sign: (message) => signed(provider, address, message),
        note: () => noteOf(provider),
      }
    },
    onChange(act) {
      provider.on?.('accountsChanged', act)
      provider.on?.('chainChanged', act)
    },
  }
}

async function signed(provider: Provider, address: string, message: string): Promise<string> {
  const hex = Array.from(new TextEncoder().encode(message), (byte) => byte.toString(16).padStart(2, '0')).join('')
  const signature = await asked(provider, 'personal_sign', [`0x${hex}`, address])
  if (typeof signature !== 'string') throw new Told('The wallet gave no signature. Try again, or use another wallet.')
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) {
    throw new Told('This wallet signs as a contract, which this server cannot check. Use an account with a key of its own, or the key of this browser.')
  }
  return signature
}

async function noteOf(provider: Provider): Promise<string | undefined> {
  const chain = await asked(provider, 'eth_chainId').catch(() => MAINNET)
  if (typeof chain !== 'string' || chain === MAINNET) return undefined
  return `Your wallet is on network ${Number(chain)}, and the text names network 1. Most wallets sign it all the same; if yours does not, switch it to Ethereum Mainnet.`
}

async function asked(provider: Provider, method: string, params: readonly unknown[] = []): Promise<unknown> {
  try {
    return await provider.request({ method, params })
  } catch (thrown) {
    throw new Told(wordsOf(thrown))
  }
}

/** EIP-1193 and EIP-1474. What a wallet says itself is not repeated. */
function wordsOf(thrown: unknown): string {
  const code: unknown = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'code') : undefined
  const text = typeof thrown === 'object' && thrown !== null ? String(Reflect.get(thrown, 'message')) : ''
  if (code === 4001 || code === 'ACTION_REJECTED') return 'You declined in the wallet, so nothing happened. Try again when you want to sign.'
  if (code === 4100) return 'The wallet does not let this page ask. Unlock it and allow this page, then try again.'
  if (code === 4900 || code === 4901 || code === 4902 || /chain|network/i.test(text))
    return 'The wallet is on the wrong network for this. Switch it to Ethereum Mainnet and try again.'
  if (code === -32002) return 'The wallet is already asking you something. Open it, answer, and try again.'
  return 'The wallet could not do this. Unlock it, or try another one.'
}

function isProvider(value: unknown): value is Provider {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'request') === 'function'
}

function detailOf(event: Event): { info: unknown; provider: unknown } {
  const detail: unknown = event instanceof CustomEvent ? event.detail : undefined
  if (typeof detail !== 'object' || detail === null) return { info: undefined, provider: undefined }
  return { info: Reflect.get(detail, 'info'), provider: Reflect.get(detail, 'provider') }
}

function nameOf(info: unknown): string {
  const name: unknown = typeof info === 'object' && info !== null ? Reflect.get(info, 'name') : undefined
  return typeof name === 'string' && name.trim() !== '' ? name.trim().slice(0, MOST_NAME) : 'Wallet'
}
