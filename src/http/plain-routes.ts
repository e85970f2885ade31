// Where tools are as plain HTTP: at paths of our own, and where mcpo has them.
import type { Express, RequestHandler } from 'express'

import { refusesAs, type Refusal } from '../downstream/refuse.ts'
import type { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { docsPage } from './docs-page.ts'
import { behind, onlyMethod, type Door } from './doors.ts'

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
}

type At = (...paths: string[]) => string[]

interface PlainRoutes {
  /** Of the root and of each named server. */
  own(app: Express, at: At): void
  /** The same at `/:tool` and `/:name/:tool`: nothing else that is there may come after it. Other methods find nothing. */
  asMcpo(app: Express, at: At): void
}

/** But for the frame of the page, none of them is reached without a caller, where callers are asked. */
export function createPlainRoutes({ isOn, says, ...doors }: OpenApiDoors, guard: RequestHandler | undefined, log: Log): PlainRoutes {
  const guards = guard ? [guard] : []
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
      app.get(at('/:name/docs'), begin(), docsPage(1))
      app.all(at('/:name/openapi.json'), begin('GET'), ...guards, behind(doors.documentAsMcpo))
      app.all(at('/:name/:tool', '/:tool'), begin('POST'), ...guards, behind(doors.tool))
    },
  }
}
