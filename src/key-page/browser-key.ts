// A key that this browser made and that nobody can take out of it, named as did:key.
import { Told, type Identity } from './identity.ts'

const DATABASE = 'openmcp'
const STORE = 'keys'
const NAME = 'identity'
/** The kinds in multicodec's table, as the varint before the key. */
const ED25519 = [0xed, 0x01]
const P256 = [0x80, 0x24]
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Undefined: none was made here yet. */
export async function knownBrowserKey(): Promise<Identity | undefined> {
  const pair = await stored().catch(() => undefined)
  return pair && identityOf(pair)
}

export async function browserKey(): Promise<Identity> {
  if (!isSecureContext) throw new Told('Browsers make keys on safe pages alone: open this one over https, or on the machine itself.')
  try {
    return await identityOf((await stored()) ?? (await kept(await made())))
  } catch (thrown) {
    throw thrown instanceof Told ? thrown : new Told('This browser cannot keep a key, perhaps because the window is private. Use another window, or a wallet.')
  }
}

async function made(): Promise<CryptoKeyPair> {
  try {
    return await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])
  } catch {
    return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  }
}

async function identityOf({ publicKey, privateKey }: CryptoKeyPair): Promise<Identity> {
  const did = `did:key:z${base58(await multikey(publicKey))}`
  const algorithm = privateKey.algorithm.name === 'Ed25519' ? 'Ed25519' : { name: 'ECDSA', hash: 'SHA-256' }
  return {
    asked: { did },
    shown: did,
    asksPerson: false,
    async sign(message) {
      const signature = new Uint8Array(await crypto.subtle.sign(algorithm, privateKey, new TextEncoder().encode(message)))
      return btoa(String.fromCharCode(...signature))
        .replaceAll('+', '-')
        .replaceAll('/', '_')
        .replaceAll('=', '')
    },
    note: async () => undefined,
  }
}

async function multikey(publicKey: CryptoKey): Promise<Uint8Array> {
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))
  if (publicKey.algorithm.name === 'Ed25519') return Uint8Array.from([...ED25519, ...raw])
  // 04, x and y; compressed it is the parity of y, and x.
  return Uint8Array.from([...P256, 2 + ((raw[64] ?? 0) & 1), ...raw.subarray(1, 33)])
}

function base58(bytes: Uint8Array): string {
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
  let text = ''
  for (; number > 0n; number /= 58n) text = BASE58.charAt(Number(number % 58n)) + text
  return text
}

async function stored(): Promise<CryptoKeyPair | undefined> {
  const found = await inStore('readonly', (store) => store.get(NAME))
  return isPair(found) ? found : undefined
}

/** What another window of ours kept meanwhile goes before. */
async function kept(pair: CryptoKeyPair): Promise<CryptoKeyPair> {
  await inStore('readwrite', (store) => store.add(pair, NAME)).catch(() => undefined)
  const found = await stored()
  if (!found) throw new Error('not kept')
  return found
}

function isPair(value: unknown): value is CryptoKeyPair {
  return (
    typeof value === 'object' && value !== null && Reflect.get(value, 'privateKey') instanceof CryptoKey && Reflect.get(value, 'publicKey') instanceof CryptoKey
  )
}

async function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1)
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(STORE))
  const database = await resultOf(opening)
  try {
    return await resultOf(act(database.transaction(STORE, mode).objectStore(STORE)))
  } finally {
    database.close()
  }
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error ?? new Error('IndexedDB')))
  })
}
