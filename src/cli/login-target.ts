// Where somebody logs in: at an UPSTREAM as it is typed, or at a server of a file by its name.
import type { OAuthEntry } from '../config/oauth-entry.ts'
import { OpenMcpError } from '../errors.ts'
import { DEFAULT_LIMITS } from '../protocol/limits.ts'
import { parseTarget } from '../protocol/target.ts'
import type { Way } from '../upstream/way.ts'
import { fillingOf, textOf } from './machine.ts'
import { allOf, type Reading } from './target-options.ts'
import { wayOf } from './way-options.ts'

export interface LoginTarget {
  resource: URL
  way?: Way | undefined
  /** What the file says of its login. */
  oauth?: OAuthEntry | undefined
}

const HOW = 'openmcp login https://mcp.example.com/mcp, or openmcp login NAME --config FILE'

/** Undefined when it was asked wrongly, which is noted. */
export async function loginTarget(reading: Reading): Promise<LoginTarget | undefined> {
  const { args, mistakes } = reading
  const [word, second] = args.words
  if (word === undefined) mistakes.add(new OpenMcpError('usage', 'openmcp login does not say where', { hint: HOW }))
  if (second !== undefined) mistakes.add(new OpenMcpError('usage', `openmcp login: one word too many: '${second}'`, { hint: HOW }))
  const [file] = allOf(reading, 'config')
  if (word === undefined) return undefined
  if (file) return inFile(word, file, reading)
  const [resource] = mistakes.attempt(() => parseTarget(word)) ?? []
  return resource && { resource, way: wayOf(reading, [resource]) }
}

/** Other servers of the file may be wrong: this one is asked for. */
async function inFile(name: string, { as, value: path }: { as: string; value: string }, reading: Reading): Promise<LoginTarget | undefined> {
  const { machine, mistakes, warnings } = reading
  const [ca] = allOf(reading, 'tls-ca')
  if (ca) mistakes.add(new OpenMcpError('usage', `${ca.as} is for an UPSTREAM that is typed, and ${as} has a place for it`, { hint: 'tls.ca of the server' }))
  const [{ parseConfig }, { configuredServers }] = await Promise.all([import('./config-file.ts'), import('./configured-servers.ts')])
  const text = mistakes.attempt(() => textOf(machine, as, path))
  if (text === undefined) return undefined
  const config = parseConfig(text, path, fillingOf(machine, path))
  for (const mistake of config.mistakes) mistakes.add(mistake)
  const entry = config.servers.get(name)
  if (!entry) {
    if (config.mistakes.length === 0)
      mistakes.add(new OpenMcpError('usage', `${path} has no server ${name}`, { hint: `it has ${[...config.servers.keys()].join(', ')}` }))
    return undefined
  }
  const defaults = { isolation: 'session', limits: DEFAULT_LIMITS } as const
  const [server] = configuredServers({ ...config, servers: new Map([[name, entry]]) }, { machine, mistakes, warnings, defaults, keys: '' })
  const oauth = entry.kind === 'remote' ? entry.oauth : undefined
  if (oauth?.grant === 'client_credentials') {
    mistakes.add(
      new OpenMcpError('usage', `${name} needs no login: its oauth has a client with its secret`, { hint: 'openmcp run --config FILE proves it by itself' }),
    )
  }
  if (oauth?.per === 'caller') {
    mistakes.add(
      new OpenMcpError('usage', `${name} takes no login from here: each of its callers has one of their own`, {
        hint: 'they open /oauth/NAME/authorize of the running proxy in a browser',
      }),
    )
  }
  const [resource] = server?.target.kind === 'remote' ? server.target.urls : []
  if (server && !resource) mistakes.add(new OpenMcpError('usage', `${name} is no http:// server, and has no login`))
  return resource && { resource, way: server?.target.kind === 'remote' ? server.target.way : undefined, oauth }
}
