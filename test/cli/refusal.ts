import { OpenMcpError } from '../../src/errors.ts'

/** What was refused, and how. Throws when it was not, or when something else broke. */
export function refusalIn(what: string, act: () => unknown): OpenMcpError {
  try {
    act()
  } catch (error) {
    if (error instanceof OpenMcpError) return error
    throw error
  }
  throw new Error(`${what} was not refused`)
}
