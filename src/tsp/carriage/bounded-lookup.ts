// Names that peers name are looked up by the system, two or three at a time, and it goes on when nobody waits any more: what waits for it
// must not grow, because files and keys wait in the same row.
import { lookup as systemLookup } from 'node:dns'

import { OpenMcpError } from '../../errors.ts'
import type { LookupAll } from '../../identity/guarded-fetch.ts'

const MOST_AT_ONCE = 32

export function createBoundedLookup(lookup: LookupAll = systemLookup, mostAtOnce = MOST_AT_ONCE): LookupAll {
  let atOnce = 0
  return (hostname, options, callback) => {
    if (atOnce >= mostAtOnce) return callback(new OpenMcpError('busy', 'too many names are being looked up'), [])
    atOnce++
    lookup(hostname, options, (error, addresses) => {
      atOnce--
      callback(error, addresses)
    })
  }
}
