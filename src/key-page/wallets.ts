// Wallets in this browser: those that announce themselves (EIP-6963), and the one that stands in `window.ethereum`.
import { Told, type Identity } from './identity.ts'

export interface Wallet {
  readonly name: string
  connect(news: News): Promise<Identity>
}

/** What the person does in the wallet later. */
interface News {
  otherAccount(was: Identity): void
  otherNetwork(identity: Identity): void
}

/** EIP-1193. */
interface Provider {
  request(asked: { method: string; params?: readonly unknown[] }): Promise<unknown>
  on?(event: string, act: (news: unknown) => void): unknown
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
  let last: { readonly identity: Identity; readonly address: string; readonly news: News } | undefined
  function listen(): void {
    provider.on?.('accountsChanged', (accounts) => {
      // Wallets tell the account that they were asked for as well.
      if (last && addressIn(accounts)?.toLowerCase() !== last.address.toLowerCase()) last.news.otherAccount(last.identity)
    })
    provider.on?.('chainChanged', () => last?.news.otherNetwork(last.identity))
  }
  return {
    name,
    async connect(news) {
      const address = addressIn(await asked(provider, 'eth_requestAccounts'))
      if (address === undefined) throw new Told('The wallet gave no account. Unlock it, choose an account, and try again.')
      const identity: Identity = {
        asked: { hex_string: address.toLowerCase() },
        shown: address,
        asksPerson: true,
        sign: (message) => signed(provider, address, message),
        note: () => noteOf(provider),
      }
      if (!last) listen()
      last = { identity, address, news }
      return identity
    },
  }
}

function addressIn(accounts: unknown): string | undefined {
  const address: unknown = Array.isArray(accounts) ? accounts[0] : undefined
  return typeof address === 'string' && /^0x[0-9a-fA-F]{40}$/.test(address) ? address : undefined
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
  if (typeof chain !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(chain) || Number(chain) === 1) return undefined
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
const WORDS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [4001, 'You declined in the wallet, so nothing happened. Try again when you want to sign.'],
  ['ACTION_REJECTED', 'You declined in the wallet, so nothing happened. Try again when you want to sign.'],
  [4100, 'The wallet does not let this page ask. Unlock it and allow this page, then try again.'],
  [4200, 'This wallet cannot sign a text. Use another one, or the key of this browser.'],
  [-32601, 'This wallet cannot sign a text. Use another one, or the key of this browser.'],
  [-32002, 'The wallet is already asking you something. Open it, answer, and try again.'],
  ...[4900, 4901, 4902].map((code) => [code, 'The wallet is on the wrong network for this. Switch it to Ethereum Mainnet and try again.'] as const),
])

function wordsOf(thrown: unknown): string {
  const code: unknown = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'code') : undefined
  return WORDS.get(code) ?? 'The wallet could not do this. Unlock it, or try another one.'
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
