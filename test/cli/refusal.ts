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

/** What it gives; undefined when it was refused as words of an operator are. Throws when something else broke. */
export function refusable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof OpenMcpError && ['usage', 'unavailable_option'].includes(error.code)) return undefined
    throw error
  }
}
