// What somebody can do who is proved and not trusted: have the operator type a line, or open the operator's link here.
import { complain, onCopy } from './acting.ts'
import { at, field, onClick, onSubmit, show } from './elements.ts'
import { enrolmentIn } from './enrolment.ts'
import type { NotTrusted } from './identity.ts'

export interface UntrustedOptions {
  /** What else is on the page meanwhile. */
  readonly beside: readonly string[]
  again(enrolment: string | undefined): void
}

/** `link` is the secret of one that did not help. */
export function startUntrusted({ beside, again }: UntrustedOptions): (why: NotTrusted, link: string | undefined) => void {
  onCopy('copy-ask', 'The line', () => at('ask').textContent)
  onClick('try-again', () => again(undefined))
  onSubmit('link-form', () => {
    const link = enrolmentIn(field('link').value)
    if (link === undefined) {
      complain('This is no enrolment link. It ends in #enrol= and 43 letters; whoever starts the server sees it.')
      return field('link').focus()
    }
    field('link').value = ''
    again(link)
  })
  return ({ how }, link) => {
    if (link !== undefined) complain('This link lets nobody in any more. It is good once, for a quarter of an hour, while nobody is trusted.')
    else if (!at('untrusted').hidden) complain('This identity is still not trusted here. A link lets in whoever opens it first, for a quarter of an hour.')
    at('ask').textContent = how
    show('me', 'untrusted', ...beside)
    at('untrusted-title').focus()
  }
}
