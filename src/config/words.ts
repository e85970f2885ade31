// Texts that several sections have: names of headers and variables, patterns of names, URLs.
import { serverUrlOf } from './addresses.ts'
import { about, listOf, meaning, text, type Shape } from './shape.ts'
import { isDangerous, neverBecomesVariable, neverGoesOn } from './forwarded-headers.ts'

const ENV_NAME = /^[^\s=\0]+$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const NEVER = 'is a header that never goes on: it is about us, or about this connection'

export const envName = (): Shape<string> => text({ to: 256, pattern: ENV_NAME, says: 'must be the name of a variable' })
export const headerName = (): Shape<string> => text({ to: 128, pattern: HEADER_NAME, says: 'must be the name of a header' })
/** The name of an identity of ours. */
export const identityName = (): Shape<string> =>
  text({ to: 64, pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/, says: 'must be the name of an identity (openmcp id list)' })
export const toolGlobs = (): Shape<readonly string[]> => about('Patterns of tool names: * stands for any characters.', listOf(text({ to: 256 }), { to: 256 }))

/** A variable that a header of a caller may become. */
export const variableOfCaller = (): Shape<string> =>
  meaning(envName(), (name, at) =>
    isDangerous(name) ? at.mistake(`a caller must not set ${name}: it decides what the child runs, or whom it talks to`) : name,
  )

/** A header of a caller that may go on. */
export const headerOfCaller = (): Shape<string> => meaning(headerName(), (name, at) => (neverGoesOn(name) ? at.mistake(NEVER) : name))

export function wrongEnvName(name: string): string | undefined {
  return ENV_NAME.test(name) ? undefined : 'is no name of a variable'
}

export function wrongHeaderName(name: string): string | undefined {
  return HEADER_NAME.test(name) ? undefined : 'is no name of a header'
}

export function wrongHeaderOfCaller(name: string): string | undefined {
  return neverBecomesVariable(name) ? NEVER : wrongHeaderName(name)
}

/** No token goes where others can read it, and none comes from there. */
export const safeUrl = (): Shape<string> =>
  meaning(text({ to: 2048 }), (url, at) => (serverUrlOf(url) ? url : at.mistake('must be an https URL (http for loopback), without user, query and fragment')))
