// The person in front of the browser, without one: opens what a client opens, signs the challenge with a key, and goes back.
import { createPrivateKey, sign } from 'node:crypto'

/** `identity` is what `openmcp id export NAME --private` prints, of an Ed25519 key. */
export async function logIn(authorizeUrl, { vid, privateJwk }) {
  const begun = await fetch(authorizeUrl, { redirect: 'manual' })
  const cookie = begun.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
  const page = new URL(begun.headers.get('location') ?? 'none:')
  const uid = page.searchParams.get('login')
  if (!uid) throw new Error(`no login was begun: ${begun.status} ${page.href}`)
  const login = page.href.replace(/\/keys\?.*$/, `/login/${uid}`)
  const post = async (path, body) => {
    const headers = { cookie, 'content-type': 'application/json', origin: page.origin }
    const answer = await fetch(`${login}${path}`, { method: 'POST', headers, body: JSON.stringify({ did: vid, ...body }) })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  const { message } = await post('/challenge', {})
  const key = createPrivateKey({ key: privateJwk, format: 'jwk' })
  const { redirect_to: to } = await post('/approve', { message, signature: sign(null, Buffer.from(message), key).toString('base64url') })
  const back = await fetch(to, { redirect: 'manual', headers: { cookie } })
  const called = await fetch(back.headers.get('location'))
  if (!called.ok) throw new Error(`the client did not take the answer: ${called.status}`)
}
