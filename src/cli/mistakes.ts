import { OpenMcpError } from '../errors.ts'

/** Gathers what was asked wrongly, so that all of it is told at once. */
export interface Mistakes {
  add(mistake: OpenMcpError): void
  /** Reads one value; a refusal is kept for later and leaves undefined. */
  attempt<T>(read: () => T): T | undefined
  /** Throws the mistakes as one failure, if there are any. */
  throwIfAny(): void
}

export function createMistakes(found: readonly OpenMcpError[] = []): Mistakes {
  const all = [...found]
  return {
    add: (mistake) => void all.push(mistake),
    attempt(read) {
      try {
        return read()
      } catch (error) {
        if (!(error instanceof OpenMcpError)) throw error
        all.push(error)
        return undefined
      }
    },
    throwIfAny() {
      if (all.length > 0) throw joined(all)
    },
  }
}

/** The mistakes that were told as one failure, each once; of any other failure itself. */
export function mistakesIn(error: OpenMcpError): readonly OpenMcpError[] {
  const all: readonly unknown[] = Array.isArray(error.cause) ? error.cause : []
  const mistakes = all.filter((each) => each instanceof OpenMcpError)
  const first = new Map(mistakes.toReversed().map((each) => [each.message, each]))
  return mistakes.length === 0 ? [error] : mistakes.filter((each) => first.get(each.message) === each)
}

function joined(all: readonly OpenMcpError[]): OpenMcpError {
  const hint = distinct(all.map((mistake) => mistake.hint))
  return new OpenMcpError(all.every(isNotBuilt) ? 'unavailable_option' : 'usage', distinct(all.map((mistake) => mistake.message)), {
    ...(hint !== '' && { hint }),
    cause: all.length === 1 ? all[0]?.cause : all,
  })
}

function isNotBuilt(mistake: OpenMcpError): boolean {
  return mistake.code === 'unavailable_option'
}

function distinct(texts: readonly (string | undefined)[]): string {
  return [...new Set(texts.filter((text) => text !== undefined))].join('; ')
}
