// The wait for the code of a login: by the redirect or by what is pasted, whatever comes first, and not for ever.
import { readAnswer, readPasted, type Expected, type RedirectAnswer } from './redirect-answer.ts'
import { listenForRedirect } from './redirect-listener.ts'

/** How the one who logs in is spoken with. */
export interface Person {
  show(invitation: Invitation): void
  /** Hears every line that is pasted, until what is returned is called. */
  onPasted(take: (line: string) => void): () => void
  /** A pasted line that is no answer, and why. */
  tellWrong(why: string): void
}

export interface Invitation {
  readonly url: URL
  readonly issuer: string
  readonly redirectUri: string
}

interface Wait {
  readonly state: string
  /** Fails with the refusal that came, or with the reason of the signal. */
  readonly code: Promise<string>
  listen(): Promise<{ redirectUri: string }>
  /** Takes what the person pastes, too. */
  hear(person: Pick<Person, 'onPasted' | 'tellWrong'>): void
  end(): void
}

const WRONG_PASTES = 5

export function waitFor(expected: Expected, signal: AbortSignal): Wait {
  let settle = (_answer: RedirectAnswer): void => {}
  const code = new Promise<string>((resolve, reject) => {
    settle = (answer) => {
      if (answer.kind === 'code') resolve(answer.code)
      if (answer.kind === 'failed') reject(answer.error)
    }
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  // It may fail before anybody waits for it.
  code.catch(() => {})
  const take = (answer: RedirectAnswer): RedirectAnswer => (settle(answer), answer)
  const ends: (() => void)[] = []
  let redirectUri = ''
  return {
    state: expected.state,
    code,
    async listen() {
      const listener = await listenForRedirect((parameters) => take(readAnswer(parameters, expected)).kind)
      ends.push(listener.close)
      redirectUri = listener.redirectUri
      return { redirectUri }
    },
    hear(person) {
      let wrong = 0
      const stop = person.onPasted((line) => {
        if (line.trim() === '' || wrong >= WRONG_PASTES) return
        const answer = take(readPasted(line, redirectUri, expected))
        if (answer.kind !== 'not_ours') return
        wrong++
        person.tellWrong(answer.why)
      })
      ends.push(stop)
    },
    end() {
      for (const end of ends) end()
    },
  }
}
