// One operation of a document with what it refers to. Swagger UI goes through all that it is given each time an operation is opened.
import { isObject, type Json } from './json.ts'

const REFERENCE = /"#\/components\/([^/"]+)\/([^/"]+)/g

/** A document of the one operation that this path leads to. Where it leads elsewhere: the document. */
export function partOf(document: Json, [first, path = '', method = '']: readonly string[]): Json {
  const operation = first === 'paths' ? valueAt(document, ['paths', path, method]) : undefined
  if (operation === undefined) return document
  const components = new Map<string, Map<string, unknown>>()
  const parts = [operation]
  // It grows on the way.
  for (const part of parts) {
    for (const [, kind = '', name = ''] of JSON.stringify(part).matchAll(REFERENCE)) {
      const found = valueAt(document, ['components', kind, name])
      const known = components.get(kind) ?? new Map<string, unknown>()
      if (found === undefined || known.has(name)) continue
      components.set(kind, known.set(name, found))
      parts.push(found)
    }
  }
  return {
    ...document,
    paths: { [path]: { [method]: operation } },
    components: Object.fromEntries([...components].map(([kind, known]) => [kind, Object.fromEntries(known)])),
  }
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce((within, name) => (isObject(within) && Object.hasOwn(within, name) ? within[name] : undefined), value)
}
