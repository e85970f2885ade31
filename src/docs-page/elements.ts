// The few things that this page does with its own elements. Text goes in as text, never as markup.

/** Our own page has it. */
export function at(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no ${id}`)
  return element
}

export function inputAt(id: string): HTMLInputElement {
  const element = at(id)
  if (element instanceof HTMLInputElement) return element
  throw new Error(`${id} is no input`)
}

/** What went wrong, or nothing. */
export function complain(words: string): void {
  at('alert').textContent = words
}

/** What is going on, or nothing. */
export function tell(words: string): void {
  at('status').textContent = words
}
