// Places in a configuration, and what is found at them.

export type Step = string | number

/** What was found at a place of a file, in words that never hold a value of it: that may be a secret in the wrong place. */
export interface Finding {
  readonly path: string
  readonly steps: readonly Step[]
  readonly words: string
  readonly hint?: string | undefined
  /** Where it is known better than by its steps. */
  readonly line?: number | undefined
  /** Known by name, and refused rather than ignored. */
  readonly notBuilt?: boolean | undefined
}

type More = Pick<Finding, 'hint' | 'line' | 'notBuilt'>

/** A place in a file. */
export interface At {
  readonly path: string
  mistake(words: string, more?: More): undefined
  /** What works, and will not do what its writer expects. */
  warn(words: string): void
  member(name: string): At
  item(index: number): At
}

/** A root to read from; what is told comes out with its place. */
export function createAt(told: { mistake(found: Finding): void; warning(found: Finding): void }, steps: readonly Step[] = []): At {
  return {
    get path() {
      return pathOf(steps)
    },
    mistake(words, more = {}) {
      told.mistake({ path: pathOf(steps), steps, words, ...more })
      return undefined
    },
    warn: (words) => told.warning({ path: pathOf(steps), steps, words }),
    member: (name) => createAt(told, [...steps, name]),
    item: (index) => createAt(told, [...steps, index]),
  }
}

export function pathOf(steps: readonly Step[]): string {
  return steps.reduce<string>((path, step) => (typeof step === 'number' ? `${path}[${step}]` : below(path, step)), '')
}

function below(path: string, name: string): string {
  const shown = /^[\w$-]{1,64}$/.test(name) ? name : JSON.stringify(name.slice(0, 64))
  return path === '' ? shown : `${path}.${shown}`
}
