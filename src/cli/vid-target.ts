// A server that is named by a DID, as it is typed: what we are to it, and what does not fit.
import { OpenMcpError } from '../errors.ts'
import type { Vid } from '../identity/vid.ts'
import type { VidTarget } from '../openmcp.ts'
import { keysDirectory } from './home.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { hasTsp, parseListenPlace } from './tsp-options.ts'
import { parseName } from './values.ts'

export function vidTarget(reading: Reading, vid: Vid, isSecured: boolean): VidTarget {
  // Behind --security --dpop is about our own callers.
  for (const name of ['header', 'header-file', 'transport', ...(isSecured ? [] : ['dpop'])]) {
    for (const { as } of allOf(reading, name).slice(0, 1)) {
      reading.mistakes.add(
        new OpenMcpError('usage', `${as} is for HTTP, and an upstream named by a DID is spoken to in sealed messages`, { hint: `drop ${as}` }),
      )
    }
  }
  const listen = hasTsp(reading) ? undefined : oneOf(reading, 'tsp-listen', parseListenPlace)
  return { kind: 'vid', vid, id: oneOf(reading, 'id', parseName), keys: keysDirectory(reading), ...(listen && { listen }) }
}
