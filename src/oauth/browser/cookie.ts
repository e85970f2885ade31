// Binds a login to the browser that began it: whoever has only its address (because an attacker sent it) can do nothing with it.
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface LoginCookies {
  /** `Set-Cookie` for the browser that begins this login; of too many that it began the oldest end. */
  made(req: IncomingMessage, base: string, uid: string): string[]
  /** `Set-Cookie` for one whose login is over. */
  ended(base: string, uid: string): string
  /** Whether this browser is the one that began it. */
  isOf(req: IncomingMessage, base: string, uid: string): boolean
}

/** So long a login waits for its proof. */
export const LOGIN_SECONDS = 600
/** Longer than the login, so that it can be told from one of another browser when it is over. */
const COOKIE_SECONDS = 6 * LOGIN_SECONDS
/** Any page can have a browser begin logins. With a cookie of each, its requests would grow too long for every server of this host. */
const MOST = 16
const UID = /^[\w-]{16,64}$/

export function createLoginCookies({ sealing }: { sealing: () => readonly Uint8Array[] }): LoginCookies {
  const sealOf = (key: Uint8Array, base: string, uid: string): string =>
    createHmac('sha256', key)
      .update(JSON.stringify(['login', base, uid]))
      .digest('base64url')
  return {
    made({ headers: { cookie = '' } }, base, uid) {
      const [key] = sealing()
      if (!key) throw new Error('there is a key to seal with as long as the node runs')
      // A browser names its oldest ones first (RFC 6265 §5.4).
      const names = cookie.split(';').map((one) => one.trim().split('=', 1)[0] ?? '')
      const begun = names.flatMap((name) => uidIn(base, name) ?? [])
      const tooMany = begun.slice(0, Math.max(0, begun.length - MOST + 1))
      return [...tooMany.map((old) => written(base, old, '', 0)), written(base, uid, sealOf(key, base, uid), COOKIE_SECONDS)]
    },
    ended: (base, uid) => written(base, uid, '', 0),
    isOf({ headers: { cookie = '' } }, base, uid) {
      if (!UID.test(uid)) return false
      const name = `${nameOf(base, uid)}=`
      const values = cookie.split(';').flatMap((one) => (one.trim().startsWith(name) ? [one.trim().slice(name.length)] : []))
      const [value = ''] = values
      // Two of one name: one of them was put there by somebody else.
      return values.length === 1 && sealing().some((key) => isSame(sealOf(key, base, uid), value))
    },
  }
}

/** One for each login: two tabs do not end each other's. `__Host-`: no other host and no plain connection can set it. */
function nameOf(base: string, uid: string): string {
  return `${base.startsWith('https:') ? '__Host-' : ''}openmcp-login-${uid}`
}

function uidIn(base: string, name: string): string | undefined {
  const uid = name.slice(nameOf(base, '').length)
  return UID.test(uid) && name === nameOf(base, uid) ? uid : undefined
}

function written(base: string, uid: string, value: string, seconds: number): string {
  return `${nameOf(base, uid)}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${base.startsWith('https:') ? '; Secure' : ''}`
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
