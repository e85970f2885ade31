// What a tool is given: the body of a call, as far as it fits the schema of the tool.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { createCheck, pointerTo, type Check, type Mismatch } from './check.ts'
import { schemaAt } from './schema.ts'

export type Given = { readonly fits: JsonObject } | { readonly errors: readonly Mismatch[] }

/**
 * The arguments, or each place of them that does not fit. A member that is null and may not be is taken for one that was not given, as
 * mcpo and models mean it: where one is needed, it is missing. What cannot be checked in bounded work fits.
 */
export function argumentsFor(tool: JsonObject, body: unknown): Given {
  if (!isObject(body)) return { errors: [{ path: '', keyword: 'type', message: 'must be object' }] }
  const check = checkOf(tool)
  const errors = check(body)
  if (errors === 'unchecked' || errors.length === 0) return { fits: body }
  const wrong = new Set(errors.map(({ path }) => path))
  const given = Object.entries(body).filter(([name, value]) => value !== null || !wrong.has(pointerTo('', name)))
  if (given.length === Object.keys(body).length) return { errors }
  // `__proto__` is a member like every other.
  const fits: JsonObject = Object.fromEntries(given)
  const left = check(fits)
  return left === 'unchecked' || left.length === 0 ? { fits } : { errors: left }
}

const checks = new WeakMap<JsonObject, Check>()

function checkOf(tool: JsonObject): Check {
  const check = checks.get(tool) ?? createCheck(schemaAt('#', tool['inputSchema']))
  checks.set(tool, check)
  return check
}
