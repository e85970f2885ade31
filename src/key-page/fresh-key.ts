// A key that was just made: shown this once, with what to put where.
import { onCopy, say } from './acting.ts'
import { configurationsFor, type Configuration } from './configurations.ts'
import { at, field, made, onClick } from './elements.ts'

export function startFreshKey({ done }: { done: () => void }): void {
  onClick('done', () => {
    hideSecret()
    say('')
    done()
  })
  onCopy('copy-secret', 'The key', () => field('secret').value)
  onCopy('copy-configuration', 'The configuration', () => at('configuration').textContent)
  at('client').addEventListener('change', showConfiguration)
  // Whoever comes back to this page by the browser's history finds it as it was left.
  addEventListener('pagehide', hideSecret)
}

export function showSecret(secret: string): void {
  field('secret').value = secret
  const chosen = field('client').value
  at('client').replaceChildren(...configurations().map(({ client }) => made('option', client)))
  if (chosen !== '') field('client').value = chosen
  showConfiguration()
  at('fresh-title').focus()
}

export function hideSecret(): void {
  field('secret').value = ''
  at('configuration').textContent = ''
  at('fresh').hidden = true
}

function configurations(): readonly Configuration[] {
  return configurationsFor(field('secret').value, new URL(document.baseURI))
}

function showConfiguration(): void {
  const found = configurations().find(({ client }) => client === field('client').value)
  at('client-where').textContent = found?.where ?? ''
  at('configuration').textContent = found?.text ?? ''
}
