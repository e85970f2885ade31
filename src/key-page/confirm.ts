// Asked before something ends.
import { at, field, onClick } from './elements.ts'

export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
  /** Asks how long the old key goes on as well. */
  readonly withOverlap: boolean
}

let answered = (_seconds: number | undefined): void => {}

export function startConfirm(): void {
  onClick('confirm-yes', () => end(Number(field('overlap').value)))
  onClick('confirm-no', () => end(undefined))
  // By the Escape key. News of it come late: it may be open again by then, and ask something else.
  dialog().addEventListener('close', () => {
    if (!dialog().open) end(undefined)
  })
}

/** The seconds of overlap that were chosen; undefined: no. */
export function confirmed({ title, text, yes, withOverlap }: Question): Promise<number | undefined> {
  const asking = dialog()
  if (asking.open) return Promise.resolve(undefined)
  answered(undefined)
  at('confirm-title').textContent = title
  at('confirm-text').textContent = text
  at('confirm-yes').textContent = yes
  at('overlap-field').hidden = !withOverlap
  field('overlap').value = '0'
  asking.showModal()
  return new Promise((resolve) => (answered = resolve))
}

function end(seconds: number | undefined): void {
  dialog().close()
  answered(seconds)
}

function dialog(): HTMLDialogElement {
  const element = at('confirm')
  if (element instanceof HTMLDialogElement) return element
  throw new Error('confirm is no dialog')
}
