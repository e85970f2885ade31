// One thing at a time: while it goes on nothing else can be clicked, what it waits for is said, and what fails is told in words.
import { at, made, onClick } from './elements.ts'
import { Stopped, Told } from './identity.ts'

let stop: AbortController | undefined

export function startActing(): void {
  onClick('stop', stopActing)
}

/** What goes on has no consequences any more. */
export function stopActing(): void {
  stop?.abort()
}

/** Undefined: it failed, and that was told; or something else goes on. `failed` may take what is more than words. */
export async function doing<T>(what: (signal: AbortSignal) => Promise<T>, failed: (thrown: unknown) => boolean = () => false): Promise<T | undefined> {
  if (stop) return undefined
  const { signal } = (stop = new AbortController())
  const before = document.activeElement
  complain('')
  lock(true)
  let thrown: unknown
  try {
    return await Promise.race([what(signal), stopped(signal)])
  } catch (error) {
    thrown = error
    return undefined
  } finally {
    stop = undefined
    lock(false)
    waitFor('')
    // A button that was locked has lost the focus.
    const { activeElement } = document
    if (before instanceof HTMLElement && (activeElement === document.body || activeElement === at('stop'))) before.focus()
    if (thrown !== undefined && !(thrown instanceof Stopped) && !failed(thrown)) complain(wordsOf(thrown))
  }
}

/** What goes on, and with whom it rests. Whoever waits for a person's answer in another window may stop to wait. */
export function waitFor(words: string, { stoppable = false } = {}): void {
  at('waiting').textContent = words
  at('wait').hidden = words === ''
  at('stop').hidden = !stoppable
}

export function say(words: string): void {
  at('status').textContent = words
}

export function complain(words: string): void {
  say('')
  at('alert').replaceChildren(...(words === '' ? [] : [made('p', words)]))
  if (words !== '') at('alert').scrollIntoView({ block: 'nearest' })
}

export function onCopy(id: string, what: string, text: () => string): void {
  onClick(id, () => {
    navigator.clipboard.writeText(text()).then(
      () => {
        complain('')
        say(`${what} is copied.`)
      },
      () => complain('This browser does not let the page copy. Select the text and copy it by hand.'),
    )
  })
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof Told ? thrown.message : 'Something went wrong on this page. Reload it and try again.'
}

function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Stopped()), { once: true }))
}

function lock(locked: boolean): void {
  for (const button of document.querySelectorAll('button')) button.disabled = locked && button.id !== 'stop'
  document.documentElement.toggleAttribute('data-busy', locked)
}
