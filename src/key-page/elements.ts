// The few things that this page does with its elements. Text goes in as text, never as markup.

/** Our own page has it. */
export function at(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no ${id}`)
  return element
}

export function field(id: string): HTMLInputElement | HTMLSelectElement {
  const element = at(id)
  if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) return element
  throw new Error(`${id} is no field`)
}

export function made<Name extends keyof HTMLElementTagNameMap>(name: Name, text: string, className = ''): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  element.textContent = text
  if (className !== '') element.className = className
  return element
}

/** These parts of the page and no others. */
export function show(...ids: readonly string[]): void {
  for (const section of document.querySelectorAll('main > section')) if (section instanceof HTMLElement) section.hidden = !ids.includes(section.id)
}

export function onClick(id: string, what: () => void): void {
  at(id).addEventListener('click', what)
}

export function onSubmit(id: string, what: () => void): void {
  at(id).addEventListener('submit', (event) => {
    event.preventDefault()
    what()
  })
}
