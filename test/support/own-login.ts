// A caller with a browser, who logs in at an upstream with an account of their own: every step by hand, so that each can be another's.
import { challengeOf, type Prover } from '../api-keys/stage.ts'
import { ask, type Answer } from './wire.ts'

/** One browser, at all of our ports: cookies know no ports. */
export interface Surfer {
  get(url: URL | string): Promise<Answer>
  form(url: string, form: Readonly<Record<string, string>>): Promise<Answer>
  json(url: string, body: Readonly<Record<string, unknown>>): Promise<Answer>
  /** Follows redirects until a page comes, or one that leads to `stop`. */
  follow(url: string, stop?: (url: URL) => boolean): Promise<{ url: URL; answer: Answer | undefined }>
  readonly jar: Map<string, string>
}

const MOST_HOPS = 30

export function surfer(account?: string): Surfer {
  const jar = new Map(account === undefined ? [] : [['account', account]])
  const keep = (answer: Answer): Answer => {
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '' || /max-age=0(?:;|$)/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
  const headers = (): Record<string, string> => ({ accept: 'text/html', cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') })
  const get = async (url: URL | string): Promise<Answer> => keep(await ask(new URL(url), { headers: headers() }))
  return {
    jar,
    get,
    form: async (url, form) =>
      keep(
        await ask(new URL(url), {
          method: 'POST',
          headers: { ...headers(), origin: new URL(url).origin, 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams(form).toString(),
        }),
      ),
    json: async (url, body) => keep(await ask(new URL(url), { headers: { ...headers(), origin: new URL(url).origin }, body })),
    async follow(start, stop = () => false) {
      let url = new URL(start)
      for (let hops = 0; hops < MOST_HOPS; hops++) {
        if (stop(url)) return { url, answer: undefined }
        const answer = await get(url)
        const { location } = answer.headers
        if (location === undefined) return { url, answer }
        url = new URL(location, url)
      }
      throw new Error(`a browser is sent around in a circle: ${url.href}`)
    },
  }
}

interface Stage {
  readonly base: string
}

/** Up to the key page: the login that waits there. */
export async function begun({ base }: Stage, who: Surfer, server: string): Promise<{ uid: string }> {
  const { url, answer } = await who.follow(`${base}/oauth/${server}/authorize`, ({ pathname }) => pathname === '/keys')
  const uid = url.searchParams.get('login')
  if (uid === null) throw new Error(`no key page: ${answer?.status} ${answer?.text}`)
  return { uid }
}

/** The proof on the key page; where it sends the browser, which has not gone there yet. */
export async function proved({ base }: Stage, who: Surfer, { uid }: { uid: string }, prover: Prover): Promise<URL> {
  const at = `${base}/login/${uid}`
  const message = challengeOf(await who.json(`${at}/challenge`, prover.asked))
  const { json, text } = await who.json(`${at}/approve`, { ...prover.asked, message, signature: prover.sign(message) })
  if (typeof json['redirect_to'] !== 'string') throw new Error(`not approved: ${text}`)
  const { url } = await who.follow(json['redirect_to'], ({ pathname }) => pathname.endsWith('/proved'))
  return url
}

/** The consent page, and what it shows. */
export interface Consent {
  /** Where its form goes. */
  readonly url: string
  readonly state: string
  readonly text: string
}

export async function consentOf(stage: Stage, who: Surfer, server: string, prover: Prover): Promise<Consent> {
  const { url, answer } = await who.follow((await proved(stage, who, await begun(stage, who, server), prover)).href)
  const [, state = ''] = /name="state" value="([^"]+)"/.exec(answer?.text ?? '') ?? []
  if (state === '') throw new Error(`no consent page: ${answer?.status} ${answer?.text}`)
  return { url: new URL('answer', url).href, state, text: answer?.text ?? '' }
}

/** Yes; where the upstream's issuer is. */
export async function agreed(who: Surfer, { url, state }: Consent): Promise<URL> {
  const { status, text } = await who.form(url, { state, answer: 'yes' })
  const [, to = ''] = /<a href="([^"]+)"/.exec(text) ?? []
  if (to === '') throw new Error(`not sent on: ${status} ${text}`)
  return new URL(to.replaceAll('&#38;', '&'))
}

/** At the issuer, up to where it sends the browser back: that has not gone there yet. */
export async function allowed(who: Surfer, issuer: URL): Promise<URL> {
  return (await who.follow(issuer.href, ({ pathname }) => pathname.endsWith('/callback'))).url
}

/** All of it. */
export async function logInAsOwn(stage: Stage, who: Surfer, server: string, prover: Prover): Promise<Answer> {
  return who.get(await allowed(who, await agreed(who, await consentOf(stage, who, server, prover))))
}
