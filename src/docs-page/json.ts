// Answers of a server, as far as they are JSON objects.

export type Json = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined: it is no JSON object. */
export async function objectIn(response: Response): Promise<Json | undefined> {
  try {
    const value: unknown = await response.json()
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function textIn(value: Json | undefined, name: string): string | undefined {
  const found = value?.[name]
  return typeof found === 'string' ? found : undefined
}
