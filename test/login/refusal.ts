import { OpenMcpError } from '../../src/errors.ts'

/** How it was refused. Throws when it was not, or when something else broke. */
export async function refusalOf(asking: Promise<unknown>): Promise<OpenMcpError> {
  const thrown: unknown = await asking.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof OpenMcpError) return thrown
  throw new Error('nothing was refused', { cause: thrown })
}
