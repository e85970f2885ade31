// Your keys: see them, make one, rotate, revoke.
import { doing, say } from './acting.ts'
import { confirmed, startConfirm } from './confirm.ts'
import { at, field, made, onSubmit, show } from './elements.ts'
import { takeEnrolment } from './enrolment.ts'
import { hideSecret, showSecret, startFreshKey } from './fresh-key.ts'
import { NotTrusted } from './identity.ts'
import { askKeys, type Act, type Answered, type Key } from './key-flow.ts'
import { wordsOfScopes } from './scopes.ts'
import { startUntrusted } from './untrusted.ts'
import { startWho } from './who.ts'

const SAID: Readonly<Record<Act, string>> = {
  'get-api-key': '',
  'gen-api-key': 'The key is made.',
  'rotate-api-key': 'A new key has taken the place of the old one.',
  'revoke-api-key': 'The key is revoked, and what it had open is ended.',
}

export function startKeys(): void {
  let enrolment = takeEnrolment(location)
  const enrolling = enrolment === undefined ? [] : ['enrolling']
  const showUntrusted = startUntrusted({
    beside: [],
    again(link) {
      enrolment = link
      void act('get-api-key')
    },
  })
  const who = startWho({
    beside: enrolling,
    chosen() {
      // The link is used with the first key alone: to look at keys uses nothing.
      if (enrolment === undefined) return void act('get-api-key')
      show('me', 'make')
      say('Make a key: with it this identity is let in.')
      field('label').focus()
    },
    left: hideSecret,
  })
  startConfirm()
  startFreshKey({
    done() {
      show('me', 'keys', 'make')
      at('keys-title').focus()
    },
  })
  onSubmit('form', () => {
    const [scope, seconds] = [field('scope').value, Number(field('expiry').value)]
    void act('gen-api-key', { label: field('label').value, ...(scope !== '' && { scope }), ...(seconds > 0 && { expires_in: seconds }) })
  })
  show('who', ...enrolling)

  async function act(name: Act, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const identity = who.current()
    if (!identity) return
    const asked = { ...more, ...(enrolment !== undefined && { enrolment }) }
    const answered = await doing((signal) => askKeys(identity, name, asked, signal), notTrusted)
    if (who.current() !== identity) return
    if (answered) {
      enrolment = undefined
      return showKeys(answered, name)
    }
    // Whoever could not prove who they are is asked again.
    if (['untrusted', 'keys', 'make'].every((id) => at(id).hidden)) who.leave(at('alert').textContent)
  }

  function notTrusted(thrown: unknown): boolean {
    if (!(thrown instanceof NotTrusted)) return false
    const link = enrolment
    // A link that did not help is used up.
    enrolment = undefined
    hideSecret()
    showUntrusted(thrown, link)
    return true
  }

  function showKeys({ keys, secret }: Answered, name: Act): void {
    at('list').replaceChildren(...keys.map(keyItem))
    at('no-keys').hidden = keys.length > 0
    show('me', 'keys', secret === undefined ? 'make' : 'fresh')
    say(SAID[name])
    if (secret === undefined) {
      hideSecret()
      return at('keys-title').focus()
    }
    field('label').value = ''
    showSecret(secret)
  }

  function keyItem(key: Key): HTMLElement {
    const title = made('h3', key.label === '' ? 'Without a label' : key.label)
    const ends = key.expiresAt === undefined ? 'works until you revoke it' : `ends ${day(key.expiresAt)}`
    const used = key.lastUsedAt === undefined ? 'never used' : `last used ${hour(key.lastUsedAt)}`
    const words = made('div', '')
    words.append(title, made('p', `For ${wordsOfScopes(key.scopes)} · ${ends}`, 'quiet'), made('p', `Made ${day(key.createdAt)} · ${used}`, 'quiet'))
    const shown = key.label === '' ? 'the key without a label' : key.label
    const buttons = made('div', '', 'buttons')
    buttons.append(
      smallButton('Rotate', `Rotate ${shown}`, () => void rotate(key)),
      smallButton('Revoke', `Revoke ${shown}`, () => void revoke(key), 'bad'),
    )
    const item = made('li', '')
    item.append(words, buttons)
    return item
  }

  async function rotate({ id, label }: Key): Promise<void> {
    const text = 'A new key takes its place, with the same label and the same end.'
    const seconds = await confirmed({ title: `Rotate ${label || 'this key'}?`, text, yes: 'Rotate', withOverlap: true })
    if (seconds !== undefined) await act('rotate-api-key', { key_id: id, overlap_seconds: seconds })
  }

  async function revoke({ id, label }: Key): Promise<void> {
    const text = 'Whatever uses it is refused from now on. This cannot be undone.'
    const sure = await confirmed({ title: `Revoke ${label || 'this key'}?`, text, yes: 'Revoke', withOverlap: false })
    if (sure !== undefined) await act('revoke-api-key', { key_id: id })
  }
}

function smallButton(text: string, label: string, what: () => void, kind = ''): HTMLElement {
  const element = made('button', text, `small ${kind}`.trim())
  element.type = 'button'
  element.setAttribute('aria-label', label)
  element.addEventListener('click', what)
  return element
}

function day(moment: string): string {
  return new Date(moment).toLocaleDateString('en', { dateStyle: 'medium' })
}

/** The server writes down the hour of a use and no more. */
function hour(moment: string): string {
  return new Date(moment).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' })
}
