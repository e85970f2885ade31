// The page on which operations are tried: it asks for the document beside it, for who one is when that is asked, and shows it.
import { at, complain, inputAt, tell } from './elements.ts'
import { isObject, objectIn, textIn, type Json } from './json.ts'
import { beginLogin, endLogin, loginPlace } from './login.ts'
import { createProof, withToken } from './proof.ts'
import { show } from './viewer.ts'

const proof = createProof()
const IN_A_HEADER = /^[!-~]+$/
/** Where one logs in, once that was looked up. */
let place: Awaited<ReturnType<typeof loginPlace>>
/** What ends what there is beside this page. */
let leave = (): Promise<void> => Promise.resolve()

async function start(): Promise<void> {
  at('server').textContent = location.host
  followColours()
  try {
    const login = await endLogin()
    if (login) {
      proof.set(login.send)
      leave = login.end
      sayWho('Logged in')
    }
  } catch (thrown) {
    complain(wordsOf(thrown))
  }
  await read()
}

/** The document, or the question for who one is. */
async function read(): Promise<void> {
  tell('Reading what can be called here …')
  try {
    const from = new URL('openapi.json', location.href)
    const response = await proof.send(from, { headers: { accept: 'application/json' } })
    tell('')
    const document = await objectIn(response)
    const needed = loginIn(document)
    if (response.status === 401 && needed === undefined) return await askWho(response.headers.get('www-authenticate') ?? '')
    if (needed !== undefined) return complain(needed)
    if (!response.ok || !document) return complain(whyNot(response.status, document))
    // What is shown has a main part of its own.
    at('door').hidden = true
    shown(document, from)
  } catch (thrown) {
    tell('')
    complain(wordsOf(thrown))
  }
}

async function askWho(challenge: string): Promise<void> {
  if (proof.isSet()) complain('This is not accepted here, or not any more.')
  at('me').hidden = true
  // Who cannot log in may still have a key.
  place = await loginPlace(challenge).catch(() => undefined)
  at('login-row').hidden = place === undefined
  at('bound').hidden = !place?.isBound
  at('ask').hidden = false
  at('ask-title').focus()
}

function shown(document: Json, from: URL): void {
  const about = document['info']
  const title = isObject(about) ? textIn(about, 'title') : undefined
  if (title !== undefined) window.document.title = title
  show(document, { from, domNode: at('api'), send: proof.send, tell })
}

/** Who one is was shown, and at the server one is nobody yet: what to do about that, which is no question of this page. */
function loginIn(refusal: Json | undefined): string | undefined {
  const detail = refusal?.['detail']
  if (!isObject(detail) || textIn(detail, 'code') !== 'login_needed') return undefined
  return `${textIn(detail, 'message') ?? 'The server wants a login of your own'}: ${textIn(detail, 'hint') ?? 'log in there, then try again'}.`
}

function whyNot(status: number, refusal: Json | undefined): string {
  if (status === 404) return 'There is no such server, or not for you.'
  const detail = refusal?.['detail']
  const words = isObject(detail) ? textIn(detail, 'message') : undefined
  return `The server answered ${status}${words === undefined ? '' : `: ${words}`}.`
}

function sayWho(words: string): void {
  at('who').textContent = words
  at('me').hidden = false
}

/** Swagger UI is dark when it is told. */
function followColours(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const follow = (): void => void document.documentElement.classList.toggle('dark-mode', dark.matches)
  dark.addEventListener('change', follow)
  follow()
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof TypeError ? 'The server does not answer.' : thrown instanceof Error ? thrown.message : 'Something went wrong.'
}

at('login').addEventListener('click', () => {
  complain('')
  if (place) beginLogin(place).catch((thrown: unknown) => complain(wordsOf(thrown)))
})
at('leave').addEventListener('click', () => void leave().finally(() => location.reload()))
at('paste').addEventListener('submit', (event) => {
  event.preventDefault()
  const token = inputAt('token').value.trim()
  inputAt('token').value = ''
  complain(IN_A_HEADER.test(token) ? '' : 'This is no token, and no key.')
  if (!IN_A_HEADER.test(token)) return
  proof.set(withToken(token))
  sayWho('With a token')
  void read()
})
void start()
