// Runs in the page: a wallet of EIP-1193 that really signs, found as wallets are.
import type { WalletOptions } from './chromium.ts'
import { testWallet } from './wallet.ts'

// What stands in front of this script.
const { secretKey, name = 'Test Wallet', found = 'announced', chainId = '0x1', declines } = Reflect.get(globalThis, 'testWallet') as WalletOptions
const wallet = testWallet(Uint8Array.from(secretKey.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))

/** It runs in a page, where the global object takes events. */
const page = globalThis as unknown as EventTarget

const provider = {
  async request({ method, params = [] }: { method: string; params?: readonly unknown[] }): Promise<unknown> {
    const code = Reflect.get(globalThis, 'walletDeclines') ?? declines
    if (method === 'eth_chainId') return chainId
    if (method === 'eth_requestAccounts') return [wallet.address]
    if (method !== 'personal_sign') throw Object.assign(new Error('not supported'), { code: 4200 })
    if (code !== undefined) throw Object.assign(new Error('<b>the words of a wallet</b>'), { code })
    const bytes = Uint8Array.from(String(params[0]).slice(2).match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
    return wallet.sign(new TextDecoder().decode(bytes))
  },
  on() {},
}

if (found === 'ethereum') Reflect.set(globalThis, 'ethereum', provider)
else {
  const announce = (): void => {
    const detail = Object.freeze({ info: { uuid: '0', name, icon: 'data:,', rdns: 'test.wallet' }, provider })
    page.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
  }
  page.addEventListener('eip6963:requestProvider', announce)
  announce()
}
