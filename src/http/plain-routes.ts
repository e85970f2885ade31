// Where tools are as plain HTTP: at paths of our own, and where mcpo has them.
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express'

import { refuse, refusesAs, type Refusal } from '../downstream/refuse.ts'
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { docsPage } from './docs-page.ts'
import { behind, isFromElsewhere, onlyMethod, showsCredential, type Door } from './doors.ts'

export interface OpenApiDoors {
  /** Which servers have it may change. */
  isOn(): boolean
  /** How what is wrong is said, the guard's refusals too. */
  says(error: OpenMcpError): Refusal
  /** `POST …/tools/:tool` */
  tool: Door
  /** `GET …/prompts/:prompt` */
  prompt: Door
  /** `GET …/resources/:resource` */
  resource: Door
  /** `GET …/openapi.json` */
  document: Door
  /** The same with operations where mcpo has them. */
  documentAsMcpo: Door
  /** Whether there is such a tool for this caller. */
  isTool(name: string | undefined, req: Request): Promise<boolean>
}

/** Where a `POST` is ours: a tool of such a name is not there in mcpo's form, but where its name is written otherwise. */
export const OUR_PAGES: ReadonlySet<string> = new Set([
  'authorize',
  'challenge',
  'gen-api-key',
  'get-api-key',
  'introspect',
  'jwks',
  'mcp',
  'message',
  'messages',
  'openapi.json',
  'register',
  'reverse-lookup',
  'revoke',
  'revoke-api-key',
  'rotate-api-key',
  'sse',
  'token',
  'tsp',
])

/** What paths of ours begin with that have more below it: at such a name there is nothing in mcpo's form, whoever has it. */
export const OUR_FOLDERS: ReadonlySet<string> = new Set([
  '.well-known',
  'authorize',
  'docs',
  'keys',
  'login',
  'oauth',
  'prompts',
  'resources',
  'servers',
  'tools',
  'with-key',
])

type At = (...paths: string[]) => string[]

interface PlainRoutes {
  /** Of the root and of each named server. */
  own(app: Express, at: At): void
  /** The same at `/:tool` and `/:name/:tool`: nothing else that is there may come after it. */
  asMcpo(app: Express, at: At): void
}

/** But for the frame of the page, none of them is reached without a caller, where callers are asked. */
export function createPlainRoutes({ isOn, says, isTool, ...doors }: OpenApiDoors, guard: RequestHandler | undefined, log: Log): PlainRoutes {
  const guards = [notFromElsewhere, ...(guard ? [guard] : [])]
  const begin =
    (method?: string): RequestHandler =>
    (req, res, next) => {
      if (!isOn() || (method !== undefined && req.method !== method)) return next('route')
      refusesAs(res, says)
      next()
    }

  return {
    own(app, at) {
      const route = (method: 'GET' | 'POST', place: string, door: Door): void =>
        void app.all(at(place, `/servers/:name${place}`), begin(), ...guards, onlyMethod(method, behind(door), log))
      route('GET', '/openapi.json', doors.document)
      route('POST', '/tools/:tool', doors.tool)
      route('GET', '/prompts/:prompt', doors.prompt)
      route('GET', '/resources/:resource', doors.resource)
      // Frames alone: the documents that they ask for are behind the guard.
      app.get(at('/docs', '/docs/:file'), begin(), docsPage(0))
      app.get(at('/servers/:name/docs'), begin(), docsPage(2))
    },
    asMcpo(app, at) {
      const notOurs: RequestHandler = (req, _res, next) => next(OUR_FOLDERS.has(String(req.params['name'])) ? 'route' : undefined)
      app.get(at('/:name/docs'), notOurs, begin(), docsPage(1))
      app.all(at('/:name/openapi.json'), notOurs, begin('GET'), ...guards, behind(doors.documentAsMcpo))
      app.all(at('/:name/:tool', '/:tool'), notOurs, begin('POST'), ...guards, behind(doors.tool))
      app.all(at('/:name/:tool', '/:tool'), notOurs, begin(), toCallers, ...guards, otherMethod)
    },
  }

  /** Images, links and forms of a foreign page say no Origin, and yet a server would be asked something for them. */
  function notFromElsewhere(req: Request, res: Response, next: NextFunction): void {
    if (!isFromElsewhere(req)) return next()
    refuse(
      res,
      new OpenMcpError('forbidden_origin', 'a page of somebody else may not call here', { hint: 'open it from the address bar, or ask with a program' }),
      { log },
    )
  }

  /** Any path may be meant: whoever shows no credential hears that there is nothing, as everywhere. */
  function toCallers(req: Request, _res: Response, next: NextFunction): void {
    next(guard && !showsCredential(req) ? 'route' : undefined)
  }

  async function otherMethod(req: Request, res: Response, next: NextFunction): Promise<void> {
    req.resume()
    const { name } = req.params
    if (!(await isTool(typeof name === 'string' ? name : undefined, req))) return next()
    refuse(res, new OpenMcpError('method_not_allowed', 'a tool is called by POST'), { log, headers: { allow: 'POST' } })
  }
}
