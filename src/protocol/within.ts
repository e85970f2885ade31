// Waits for something, and not for ever.

/** Undefined when it takes longer; it goes on. Fails as it does. */
export async function within<T>(ms: number, waited: Promise<T>): Promise<T | undefined> {
  let patience: NodeJS.Timeout | undefined
  const enough = new Promise<undefined>((resolve) => {
    patience = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([waited, enough])
  } finally {
    clearTimeout(patience)
  }
}

/** So long whoever is told of an end may keep us from going on. */
const FAREWELL_MS = 1000

/** What is said last, to somebody who may be gone. Never fails. */
export async function saidFarewell(farewell: Promise<void>): Promise<void> {
  await within(
    FAREWELL_MS,
    farewell.catch(() => {}),
  )
}
