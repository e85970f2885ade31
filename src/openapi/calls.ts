// What a request is for the server: the one message that is sent for it, and what of the answer is told.
import type { Refusal } from '../downstream/refuse.ts'
import { OpenMcpError } from '../errors.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import { argumentsFor } from './arguments.ts'
import { pointerTo, type Mismatch } from './check.ts'
import { beyondHttp } from './needs-client.ts'
import { refusalOf, refusalOfTool } from './refusal.ts'
import { bodyOfResult, wordsOfResult } from './result.ts'
import { expanded, variablesOf } from './uri-template.ts'

export interface Call {
  readonly method: string
  readonly params: JsonObject
  /** `isRaw`: the result as MCP has it. */
  body(result: JsonObject, isRaw: boolean): Refusal
}

export function callOfTool(tool: JsonObject, name: string, body: unknown, server: string): Call | Refusal {
  const given = argumentsFor(tool, body)
  if ('errors' in given) return unfit('the arguments do not fit the schema of the tool', given.errors, server)
  if (isObject(tool['execution']) && tool['execution']['taskSupport'] === 'required') return refusalOf(beyondHttp('a task'), { server })
  const promisesStructure = isObject(tool['outputSchema'])
  return {
    method: 'tools/call',
    params: { name, arguments: given.fits },
    body(result, isRaw) {
      if (isRaw) return whole(result)
      return result['isError'] === true ? refusalOfTool(wordsOfResult(result), server) : { status: 200, text: bodyOfResult(result, promisesStructure) }
    },
  }
}

export function callOfPrompt(prompt: JsonObject, name: string, query: URLSearchParams, server: string): Call | Refusal {
  const wanted = Array.isArray(prompt['arguments']) ? prompt['arguments'].filter(isObject) : []
  const missing = wanted.filter((one) => one['required'] === true && !query.has(String(one['name'])))
  if (missing.length > 0)
    return lacking(
      missing.map((one) => String(one['name'])),
      server,
    )
  return { method: 'prompts/get', params: { name, arguments: Object.fromEntries(query) }, body: whole }
}

export function callOfResource(uri: string): Call {
  return { method: 'resources/read', params: { uri }, body: whole }
}

/** Of what is said in the query the URI is made. */
export function callOfTemplate(template: string, query: URLSearchParams, server: string): Call | Refusal {
  const missing = variablesOf(template).filter(({ name, isNeeded }) => isNeeded && !query.has(name))
  if (missing.length > 0)
    return lacking(
      missing.map(({ name }) => name),
      server,
    )
  return callOfResource(expanded(template, (name) => query.get(name) ?? undefined))
}

/** As MCP has it, JSON whatever it holds: in its own media type it would be a page of ours. */
function whole(result: JsonObject): Refusal {
  return { status: 200, text: JSON.stringify(result) }
}

function lacking(names: readonly string[], server: string): Refusal {
  const errors = names.map((name) => ({ path: pointerTo('', name), keyword: 'required', message: 'is required' }))
  return unfit('the query lacks what is required', errors, server)
}

function unfit(words: string, errors: readonly Mismatch[], server: string): Refusal {
  return refusalOf(new OpenMcpError('arguments_invalid', words), { server, errors })
}
