// Runs in the page: a wallet of EIP-1193 that really signs, found as wallets are. `testWallet` is how its person behaves, and may be changed.
import type { WalletOptions } from './chromium.ts'
import { testWallet } from './wallet.ts'

// What stands in front of this script.
const person = Reflect.get(globalThis, 'testWallet') as WalletOptions[]
/** It runs in a page, where the global object takes events. */
const page = globalThis as unknown as EventTarget

for (const options of person) inject(options)

function inject(options: WalletOptions): void {
  const keyOf = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
  const wallet = (): ReturnType<typeof testWallet> => testWallet(keyOf(options.secretKey))
  const listeners = new Map<string, ((news: unknown) => void)[]>()
  const emit = (event: string, news: unknown): void => listeners.get(event)?.forEach((listener) => listener(news))

  const provider = {
    async request({ method, params = [] }: { method: string; params?: readonly unknown[] }): Promise<unknown> {
      const { chainId = '0x1', declines, answers = true, locked = false } = options
      if (method === 'eth_chainId') return chainId
      if (method === 'eth_requestAccounts') {
        if (locked) return []
        // As MetaMask does on the first visit.
        emit('accountsChanged', [wallet().address])
        return [wallet().address]
      }
      if (method !== 'personal_sign') throw Object.assign(new Error('not supported'), { code: 4200 })
      if (declines !== undefined) throw Object.assign(new Error('<b>the words of a wallet</b>'), { code: declines })
      const signature = wallet().sign(new TextDecoder().decode(keyOf(String(params[0]).slice(2))))
      if (answers) return signature
      return new Promise((resolve) => Reflect.set(options, 'answer', () => resolve(signature)))
    },
    on(event: string, listener: (news: unknown) => void) {
      listeners.set(event, [...(listeners.get(event) ?? []), listener])
    },
  }
  Reflect.set(options, 'emit', emit)

  const { name = 'Test Wallet', found = 'announced' } = options
  if (found === 'ethereum') return void Reflect.set(globalThis, 'ethereum', provider)
  const announce = (): void => {
    const detail = Object.freeze({ info: { uuid: name, name, icon: 'data:,', rdns: 'test.wallet' }, provider })
    page.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
  }
  page.addEventListener('eip6963:requestProvider', announce)
  announce()
}
