// A process of its own with a login that others hold too. Says `ready`, waits for a line, then prints the token that it would show.
import { writeSync } from 'node:fs'
import { once } from 'node:events'

import { keptToken } from '../../src/login/kept-token.ts'
import { createLogins } from '../../src/login/logins.ts'

const [directory = '', resource = ''] = process.argv.slice(2)
const now = Date.now
const source = keptToken({ logins: createLogins({ directory, now }), fetch: globalThis.fetch, now })
writeSync(1, 'ready\n')
await once(process.stdin, 'data')
const { accessToken } = await source({ resource: new URL(resource), challenge: undefined, instead: undefined })
writeSync(1, `${accessToken}\n`)
process.exit(0)
