// Tools of the servers there are as plain HTTP: which server a path means, and whose tools a document tells of.
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Handler } from '../downstream/mcp.ts'
import { refuse, refusesAs, type RefusalHeaders } from '../downstream/refuse.ts'
import { OpenMcpError } from '../errors.ts'
import { OUR_FOLDERS, OUR_PAGES, type OpenApiDoors } from '../http/plain-routes.ts'
import { proxyPrefix, type BehindProxy } from '../http/proxy-prefix.ts'
import type { Log } from '../observe/log.ts'
import type { ToolsDoor } from '../openapi/door.ts'
import type { DocumentOptions } from '../openapi/document.ts'
import { refusalOf } from '../openapi/refusal.ts'
import type { Caller } from '../protocol/caller.ts'
import { noSuchServer, serverPath } from '../protocol/server-path.ts'
import { within } from '../protocol/within.ts'
import type { NamedServer, Servers } from './servers.ts'

export interface PlainHttpOptions {
  servers: Pick<Servers, 'find' | 'withOpenApi' | 'hasOpenApi'>
  callerOf(req: IncomingMessage): Caller
  refusalHeaders?: RefusalHeaders | undefined
  guarded: boolean
  /** Below which everything is served. */
  pathPrefix: string
  /** What a proxy in front of that takes off. */
  proxy: BehindProxy
  /** Of the document at the root. */
  form: DocumentOptions['form']
  /** How long a server may take to say what it has, where others have said it. */
  patienceMs: number
  /** While there is no stopping. */
  open(door: Handler): Handler
  log: Log
}

export function createPlainHttp(options: PlainHttpOptions): OpenApiDoors {
  const { servers, callerOf, refusalHeaders, patienceMs, guarded, pathPrefix, open, log } = options
  const takenOff = proxyPrefix(options.proxy)
  let made: Promise<ReturnType<typeof import('../openapi/documents.ts').createDocuments>> | undefined

  function doorOf(name: string | undefined, req: IncomingMessage): ToolsDoor {
    const door = servers.find(name, callerOf(req))?.openapi
    if (door) return door
    throw name === undefined
      ? new OpenMcpError('not_found', 'there is no server at the root', { hint: 'its tools are at /servers/NAME/tools/TOOL' })
      : noSuchServer()
  }

  const headersOf = (req: IncomingMessage, error: unknown): Readonly<Record<string, string>> =>
    (error instanceof OpenMcpError ? refusalHeaders?.(req, error) : undefined) ?? {}

  const document =
    (form: DocumentOptions['form']) =>
    (name: string | undefined, req: IncomingMessage, res: ServerResponse): void =>
      open(() => void tell(name, req, res, form).catch((error: unknown) => refuse(res, error, { log, headers: headersOf(req, error) })))(req, res)

  async function tell(name: string | undefined, req: IncomingMessage, res: ServerResponse, form: DocumentOptions['form']): Promise<void> {
    // Loaded with the first that is asked for.
    const documents = await (made ??= import('../openapi/documents.ts').then(({ createDocuments }) => createDocuments()))
    const one = name === undefined ? servers.find(undefined, callerOf(req))?.openapi : doorOf(name, req)
    const named = form === 'mcpo' ? `/${encodeURIComponent(name ?? '')}` : serverPath(name ?? '')
    const base = takenOff(req) + pathPrefix
    const at = { form, guarded, base: name === undefined ? base : base + named }
    const alone = name === undefined ? { ...at, form: options.form, taken: OUR_PAGES } : at
    // From here on it is its failures that are told.
    if (one) refusesAs(res, (error) => refusalOf(error, { server: one.server }))
    if (one) return documents(req, res, [{ ...(await one.describe(req)), place: '' }], alone)
    // Of several each has its place; one that is away is no reason to hear nothing of the others.
    const parts = await Promise.allSettled(
      servers.withOpenApi(callerOf(req)).map(async ({ name: called, server }) => {
        if (!server.openapi) throw noSuchServer()
        const said = await within(patienceMs, server.openapi.describe(req))
        return said && { ...said, place: serverPath(called) }
      }),
    )
    documents(
      req,
      res,
      parts.flatMap((part) => (part.status === 'fulfilled' && part.value ? [part.value] : [])),
      at,
    )
  }

  const of =
    (param: string, act: (door: ToolsDoor, req: IncomingMessage, res: ServerResponse, segment: string) => void) =>
    (name: string | undefined, req: IncomingMessage & { params?: Readonly<Record<string, unknown>> }, res: ServerResponse): void => {
      const segment = req.params?.[param]
      open(() => act(doorOf(name, req), req, res, typeof segment === 'string' ? segment : ''))(req, res)
    }

  return {
    isOn: servers.hasOpenApi,
    says: (error) => refusalOf(error),
    tool: of('tool', (door, req, res, segment) => door.call(req, res, segment)),
    prompt: of('prompt', (door, req, res, segment) => door.get(req, res, 'prompts', segment)),
    resource: of('resource', (door, req, res, segment) => door.get(req, res, 'resources', segment)),
    document: document('tools'),
    documentAsMcpo: document('mcpo'),
    async isTool(name, req) {
      const door = servers.find(name, callerOf(req))?.openapi
      const { tool } = req.params
      // A server that is away has none.
      return door !== undefined && typeof tool === 'string' && door.isTool(req, tool).catch(() => false)
    },
  }
}

/** Tells of those whose tools are not where mcpo would have them, because their name is a path of ours. */
export function warnOfHidden(servers: readonly Pick<NamedServer, 'name' | 'openapi'>[], log: Log): void {
  for (const { name, openapi } of servers) {
    if (!openapi || !OUR_FOLDERS.has(name)) continue
    log.warn(`the tools of the server ${name} are not at /${name}/TOOL, where mcpo has them: that is a path of openmcp`, {
      hint: `they are at ${serverPath(name)}/tools/TOOL; with another name they are at both`,
    })
  }
}
