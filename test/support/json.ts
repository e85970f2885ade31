export type Json = { [member: string]: unknown }

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function jsonOf(value: unknown): Json {
  if (!isJson(value)) throw new Error(`not an object: ${JSON.stringify(value)}`)
  return value
}

/** The value at a path of members, or undefined where the path ends early. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  let here = value
  for (const member of path) here = Array.isArray(here) ? here[Number(member)] : isJson(here) ? here[member] : undefined
  return here
}
