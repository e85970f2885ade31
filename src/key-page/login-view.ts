// A client asks to be let in: who it is, what it wants, where the answer goes, and a person who agrees or does not.
import { doing, say, waitFor } from './acting.ts'
import { at, made, onClick, show } from './elements.ts'
import { takeEnrolment } from './enrolment.ts'
import { NotTrusted } from './identity.ts'
import { loginFlow, type LoginRequest } from './login-flow.ts'
import { wordsOfScopes } from './scopes.ts'
import { LoginOver } from './server.ts'
import { startUntrusted } from './untrusted.ts'
import { startWho } from './who.ts'

const OVER: Readonly<Record<LoginOver['why'], readonly [title: string, text: string]>> = {
  another_browser: [
    'This login cannot go on here',
    'It was begun in another browser, or it is over. If you did not begin it yourself, close this window: whoever sent you here would have been let in as you. Otherwise begin again in your program.',
  ],
  expired_login: ['This login is over', 'It was answered already, or it waited too long. To log in, begin again in your program.'],
}

/** So long whoever has chosen an identity looks at what they would say yes to. */
const LOOK_MS = 500

export function startLogin(uid: string): void {
  const flow = loginFlow(uid)
  let enrolment = takeEnrolment(location)
  document.title = 'Log in'
  at('title').textContent = 'Log in'
  at('purpose').textContent = 'A program asks to call this server in your name.'
  show()

  const showUntrusted = startUntrusted({
    beside: ['request', 'decide'],
    again(link) {
      enrolment = link
      void approve()
    },
  })
  const who = startWho({
    beside: ['request', 'decide'],
    chosen() {
      // The other half of a double click, or a click that another page had somebody aim here, is no yes.
      at('approve').toggleAttribute('disabled', true)
      setTimeout(() => at('approve').toggleAttribute('disabled', false), LOOK_MS)
      at('approve').hidden = false
      show('request', 'me', 'decide')
      at('me-title').focus()
    },
    left: () => (at('approve').hidden = true),
  })
  at('approve').hidden = true
  onClick('approve', () => void approve())
  onClick('deny', () => void deny())
  onClick('ask-again', () => void ask())
  void ask()

  async function ask(): Promise<void> {
    const request = await doing((signal) => {
      waitFor('Asking the server…')
      return flow.request(signal)
    }, over)
    if (request) {
      showRequest(request)
      show('request', 'who', 'decide')
    } else if (at('over').hidden) show('unasked')
  }

  async function approve(): Promise<void> {
    const identity = who.current()
    if (!identity) return
    const more = enrolment === undefined ? {} : { enrolment }
    const to = await doing((signal) => flow.approve(identity, more, signal), over)
    if (to) leave(to, 'You are logged in')
  }

  async function deny(): Promise<void> {
    const to = await doing((signal) => {
      waitFor('Asking the server…')
      return flow.deny(signal)
    }, over)
    if (to) leave(to, 'You said no')
  }

  /** What cannot be told in a line, and tried again. */
  function over(thrown: unknown): boolean {
    if (thrown instanceof NotTrusted) {
      const link = enrolment
      enrolment = undefined
      at('approve').hidden = true
      showUntrusted(thrown, link)
      return true
    }
    if (!(thrown instanceof LoginOver)) return false
    const [title, text] = OVER[thrown.why]
    showEnd(title, text)
    return true
  }

  /** Some programs are opened by the browser without leaving this page. */
  function leave(to: URL, title: string): void {
    showEnd(title, 'Your browser goes back to the program that asked. If this page stays, you can close it.')
    location.assign(to)
  }
}

function showEnd(title: string, text: string): void {
  at('purpose').textContent = ''
  at('over-title').textContent = title
  at('over-text').textContent = text
  show('over')
  say('')
  at('over-title').focus()
}

function showRequest(request: LoginRequest): void {
  const { client, vouchedBy, redirectHost, loopback, scopes, resource } = request
  if (request.ours) return showOurs()
  const unsure = vouchedBy === undefined
  at('client-name').textContent = client === '' ? 'A program without a name' : client
  at('client-said').textContent = unsure ? 'Not verified: the program chose this name itself.' : `${vouchedBy} gives it this name.`
  at('client-said').classList.toggle('unsure', unsure)
  at('login-scopes').textContent = scopes.length === 0 ? 'nothing yet' : wordsOfScopes(scopes)
  at('login-server').textContent = resource
  at('login-redirect').replaceChildren(...placeWords(redirectHost, loopback))
  // A host vouches for a name, and not for who listens on this computer.
  at('beware').hidden = !unsure && !loopback
  at('beware').textContent = loopback
    ? 'Any program on this computer can take this name. Go on only if you have just begun this login yourself, in the program that you mean.'
    : 'Anybody can take this name. Go on only if you have just begun this login yourself, and know where access goes to.'
}

/** Nothing is asked for but who it is, and nothing leaves. In words of ours alone: anybody could have asked for it. */
function showOurs(): void {
  at('purpose').textContent = 'This server asks who you are. No program is let in by this.'
  at('client-name').textContent = 'A login of your own'
  at('client-said').textContent = ''
  at('asked-for').hidden = true
  at('beware').hidden = false
  at('beware').textContent = 'Go on only if you have just opened this page yourself.'
}

/** A scheme of their own is what some programs are opened by. */
function placeWords(host: string, loopback: boolean): readonly Node[] {
  if (loopback) return [made('span', 'a program on this computer '), made('span', `(${host})`, 'quiet')]
  if (host.endsWith(':')) return [made('span', 'the program on this device that opens '), made('span', host), made('span', ' links')]
  return [made('span', host)]
}
