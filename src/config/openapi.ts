// `openapi` of a server: its tools as plain HTTP operations, too.
import { about, object, yesOrNo, type Shape } from './shape.ts'

/** Undefined, in an entry: what `run` says. False: not so, whatever `run` says. */
export type OpenApiEntry = false | { readonly resources: boolean; readonly prompts: boolean }

const MEMBERS = object({
  resources: about('Whether its resources are operations as well.', yesOrNo()),
  prompts: about('Whether its prompts are.', yesOrNo()),
})

export const OPENAPI: Shape<OpenApiEntry> = about('Whether its tools are HTTP operations, too, with an OpenAPI document; an object says what else is.', {
  read(value, at) {
    if (value === false) return false
    const given = value === true ? {} : MEMBERS.read(value, at)
    return given && { resources: given.resources ?? false, prompts: given.prompts ?? false }
  },
  schema: { anyOf: [{ type: 'boolean' }, MEMBERS.schema] },
})
