import { onTestFinished } from 'vitest'

interface Started {
  stop(): Promise<unknown>
}

/** What a test starts ends with the test, newest first. */
export async function forThisTest<T extends Started>(starting: T | Promise<T>): Promise<T> {
  const started = await starting
  onTestFinished(async () => {
    await started.stop()
  })
  return started
}
