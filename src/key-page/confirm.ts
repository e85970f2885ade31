// Asked before something ends.
import { at, field, onClick } from './elements.ts'

export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
  /** Asks how long the old key goes on as well. */
  readonly withOverlap: boolean
}

export function startConfirm(): void {
  onClick('confirm-yes', () => dialog().close('yes'))
  onClick('confirm-no', () => dialog().close(''))
}

/** The seconds of overlap that were chosen; undefined: no. */
export function confirmed({ title, text, yes, withOverlap }: Question): Promise<number | undefined> {
  const asking = dialog()
  if (asking.open) return Promise.resolve(undefined)
  at('confirm-title').textContent = title
  at('confirm-text').textContent = text
  at('confirm-yes').textContent = yes
  at('overlap-field').hidden = !withOverlap
  field('overlap').value = '0'
  asking.returnValue = ''
  asking.showModal()
  return new Promise((resolve) =>
    asking.addEventListener('close', () => resolve(asking.returnValue === 'yes' ? Number(field('overlap').value) : undefined), { once: true }),
  )
}

function dialog(): HTMLDialogElement {
  const element = at('confirm')
  if (element instanceof HTMLDialogElement) return element
  throw new Error('confirm is no dialog')
}
