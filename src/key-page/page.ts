// The key page: who you are, your keys, and a new one. Nothing is written into it as markup, ever.
import { browserKey, knownBrowserKey } from './browser-key.ts'
import { configurationsFor } from './configurations.ts'
import { Told, type Identity } from './identity.ts'
import { NotTrusted, proved, type Act, type Answered, type Key } from './server.ts'
import { findWallets } from './wallets.ts'

const SECTIONS = ['who', 'me', 'untrusted', 'fresh', 'keys', 'make'] as const
const SCOPES: ReadonlyMap<string, string> = new Map([
  ['mcp', 'everything'],
  ['mcp:tools', 'tools'],
  ['mcp:resources', 'resources'],
  ['mcp:prompts', 'prompts'],
  ['introspect', 'questions about keys and tokens'],
])

let me: Identity | undefined
let busy = false
/** The secret of an enrolment link: in memory alone, and until it is used. */
let enrolment = enrolmentIn(location)

start()

function start(): void {
  at('server').textContent = location.host
  at('enrolling').hidden = enrolment === undefined
  void knownBrowserKey().then((known) => {
    choice('Key in this browser', known ? shortened(known.shown) : 'A key is made and kept here. It cannot be copied to anywhere else.', browserKey)
  })
  let wallets = 0
  findWallets((wallet) => {
    wallets += 1
    at('no-wallet').hidden = true
    choice(wallet.name, 'Wallet', () => wallet.connect(), 'first')
    wallet.onChange(() => {
      if (me && 'hex_string' in me.asked) leave('Your wallet changed its account or network. Choose again who you are.')
    })
  })
  setTimeout(() => (at('no-wallet').hidden = wallets > 0), 400)
  onClick('leave', () => leave(''))
  onClick('try-again', () => void act('get-api-key'))
  onClick('done', hideSecret)
  onClick('confirm-yes', () => close('yes'))
  onClick('confirm-no', () => close(''))
  onCopy('copy-identity', 'The identity', () => me?.shown ?? '')
  onCopy('copy-ask', 'The line', () => at('ask').textContent)
  onCopy('copy-secret', 'The key', () => input('secret').value)
  onCopy('copy-configuration', 'The configuration', () => at('configuration').textContent)
  at('client').addEventListener('change', showConfiguration)
  at('form').addEventListener('submit', (event) => {
    event.preventDefault()
    const [scope, seconds] = [input('scope').value, Number(input('expiry').value)]
    void act('gen-api-key', { label: input('label').value, ...(scope !== '' && { scope }), ...(seconds > 0 && { expires_in: seconds }) })
  })
}

/** The fragment is not sent to anybody; it goes out of the address bar and of the history at once. */
function enrolmentIn({ hash, pathname, search }: Location): string | undefined {
  const [, secret] = /^#enrol=([\w-]{43})$/.exec(hash) ?? []
  if (hash !== '') history.replaceState(null, '', pathname + search)
  return secret
}

function choice(name: string, hint: string, connect: () => Promise<Identity>, place: 'first' | 'last' = 'last'): void {
  const button = made('button', name)
  button.type = 'button'
  const small = made('span', hint)
  small.className = 'quiet wrap'
  button.append(small)
  button.addEventListener('click', () => void enter(connect))
  const item = made('li', '')
  item.append(button)
  if (place === 'first') at('identities').prepend(item)
  else at('identities').append(item)
}

async function enter(connect: () => Promise<Identity>): Promise<void> {
  const identity = await doing('Waiting for the wallet.', connect)
  if (!identity) return
  me = identity
  at('identity').textContent = identity.shown
  const note = await identity.note()
  at('network').textContent = note ?? ''
  at('network').hidden = note === undefined
  // The link is used with the first key alone: to look at keys uses nothing.
  if (enrolment !== undefined) {
    show('me', 'make')
    at('make-title').scrollIntoView({ block: 'nearest' })
    say('Make a key: with it this identity is let in.')
    return input('label').focus()
  }
  await act('get-api-key')
}

async function act(name: Act, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const identity = me
  if (!identity) return
  const waiting = 'hex_string' in identity.asked ? 'Sign the text in your wallet.' : 'Asking the server.'
  const answered = await doing(waiting, () => proved(identity, name, { ...more, ...(enrolment !== undefined && { enrolment }) }))
  if (!answered || me !== identity) return
  enrolment = undefined
  at('enrolling').hidden = true
  showKeys(answered, name)
}

/** One thing at a time; what fails is told in words. */
async function doing<T>(words: string, what: () => Promise<T>): Promise<T | undefined> {
  if (busy) return undefined
  busy = true
  lock(true)
  complain('')
  say(words)
  try {
    const result = await what()
    say('')
    return result
  } catch (thrown) {
    say('')
    if (thrown instanceof NotTrusted) showUntrusted(thrown)
    else {
      complain(thrown instanceof Told ? thrown.message : 'Something went wrong on this page. Reload it and try again.')
      // Whoever could not prove who they are is asked again.
      if (at('keys').hidden && at('untrusted').hidden && at('make').hidden) leave(at('alert').textContent)
    }
    return undefined
  } finally {
    busy = false
    lock(false)
  }
}

function lock(locked: boolean): void {
  for (const button of document.querySelectorAll('button')) button.disabled = locked
}

function leave(words: string): void {
  me = undefined
  hideSecret()
  show('who')
  complain(words)
  at('who-title').focus()
}

function showUntrusted({ how }: NotTrusted): void {
  // A link that did not help is used up.
  enrolment = undefined
  at('enrolling').hidden = true
  at('ask').textContent = how
  show('me', 'untrusted')
  at('untrusted-title').focus()
}

const SAID: Readonly<Record<Act, string>> = {
  'get-api-key': '',
  'gen-api-key': 'The key is made.',
  'rotate-api-key': 'The key is replaced by a new one.',
  'revoke-api-key': 'The key is revoked, and what it had open is ended.',
}

function showKeys({ keys, secret }: Answered, name: Act): void {
  at('list').replaceChildren(...keys.map(keyItem))
  at('no-keys').hidden = keys.length > 0
  show('me', 'keys', 'make', ...(secret === undefined ? [] : (['fresh'] as const)))
  say(SAID[name])
  if (secret === undefined) {
    input('secret').value = ''
    return at('keys-title').focus()
  }
  input('secret').value = secret
  input('label').value = ''
  const chosen = input('client').value
  at('client').replaceChildren(...configurationsFor(secret, new URL(location.href)).map(({ client }) => made('option', client)))
  if (chosen !== '') input('client').value = chosen
  showConfiguration()
  at('fresh-title').focus()
}

function showConfiguration(): void {
  const found = configurationsFor(input('secret').value, new URL(location.href)).find(({ client }) => client === input('client').value)
  at('client-where').textContent = found?.where ?? ''
  at('configuration').textContent = found?.text ?? ''
}

function hideSecret(): void {
  input('secret').value = ''
  at('configuration').textContent = ''
  at('fresh').hidden = true
  say('')
  if (me) at('keys-title').focus()
}

function keyItem(key: Key): HTMLElement {
  const item = made('li', '')
  const words = made('div', '')
  const title = made('h3', key.label === '' ? 'Without a label' : key.label)
  const may = key.scopes.map((scope) => SCOPES.get(scope) ?? scope).join(', ')
  const ends = key.expiresAt === undefined ? 'until revoked' : `ends ${day(key.expiresAt)}`
  const used = key.lastUsedAt === undefined ? 'never used' : `last used ${hour(key.lastUsedAt)}`
  const about = made('p', `${may} · made ${day(key.createdAt)} · ${ends} · ${used}`)
  about.className = 'quiet'
  words.append(title, about)
  const buttons = made('div', '')
  buttons.className = 'buttons'
  const shown = key.label === '' ? 'the key without a label' : key.label
  buttons.append(
    smallButton('Rotate', `Rotate ${shown}`, () => void rotate(key)),
    smallButton('Revoke', `Revoke ${shown}`, () => void revoke(key), 'bad'),
  )
  item.append(words, buttons)
  return item
}

async function rotate(key: Key): Promise<void> {
  const text = 'A new key takes its place, with the same label and the same end.'
  if (!(await confirmed({ title: `Rotate ${key.label || 'this key'}?`, text, yes: 'Rotate', withOverlap: true }))) return
  await act('rotate-api-key', { key_id: key.id, overlap_seconds: Number(input('overlap').value) })
}

async function revoke(key: Key): Promise<void> {
  const text = 'Whatever uses it is refused from now on. This cannot be undone.'
  if (await confirmed({ title: `Revoke ${key.label || 'this key'}?`, text, yes: 'Revoke', withOverlap: false })) await act('revoke-api-key', { key_id: key.id })
}

function confirmed({ title, text, yes, withOverlap }: { title: string; text: string; yes: string; withOverlap: boolean }): Promise<boolean> {
  const dialog = at('confirm')
  if (!(dialog instanceof HTMLDialogElement) || dialog.open) return Promise.resolve(false)
  at('confirm-title').textContent = title
  at('confirm-text').textContent = text
  at('confirm-yes').textContent = yes
  at('overlap-field').hidden = !withOverlap
  input('overlap').value = '0'
  dialog.returnValue = ''
  dialog.showModal()
  return new Promise((resolve) => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true }))
}

function close(answer: 'yes' | ''): void {
  const dialog = at('confirm')
  if (dialog instanceof HTMLDialogElement) dialog.close(answer)
}

function show(...names: readonly (typeof SECTIONS)[number][]): void {
  for (const name of SECTIONS) at(name).hidden = !names.includes(name)
}

function say(words: string): void {
  at('status').textContent = words
}

function complain(words: string): void {
  at('alert').textContent = words
}

function onClick(id: string, what: () => void): void {
  at(id).addEventListener('click', what)
}

function onCopy(id: string, what: string, text: () => string): void {
  onClick(id, () => {
    navigator.clipboard.writeText(text()).then(
      () => say(`${what} is copied.`),
      () => complain('This browser does not let the page copy. Select the text and copy it by hand.'),
    )
  })
}

function smallButton(text: string, label: string, what: () => void, kind = ''): HTMLElement {
  const element = made('button', text)
  element.type = 'button'
  element.className = `small ${kind}`.trim()
  element.setAttribute('aria-label', label)
  element.addEventListener('click', what)
  return element
}

function made<Name extends keyof HTMLElementTagNameMap>(name: Name, text: string): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  element.textContent = text
  return element
}

/** Our own page has it. */
function at(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no ${id}`)
  return element
}

function input(id: string): HTMLInputElement | HTMLSelectElement {
  const element = at(id)
  if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) return element
  throw new Error(`${id} is no field`)
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 20)}…${text.slice(-8)}` : text
}

function day(moment: string): string {
  return new Date(moment).toLocaleDateString('en', { dateStyle: 'medium' })
}

function hour(moment: string): string {
  return new Date(moment).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' })
}
