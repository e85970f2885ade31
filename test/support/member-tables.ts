// The tables of docs/configuration.md, made of the shapes that read a configuration. `OPENMCP_WRITE_DOCS=1 npx vitest run test/config/docs.test.ts`
// writes them into the document.
import { configSchema } from '../../src/config/schema.ts'
import { isObject, type JsonObject } from '../../src/protocol/message.ts'
import { jsonOf } from './json.ts'

/** The same text with the tables that belong between its marks: `<!-- members of trust.identities -->` … `<!-- end -->`. */
export function withTables(text: string): string {
  return text.replaceAll(
    /(<!-- members of (\S+) -->\n)[^]*?(<!-- end -->)/g,
    (_whole, mark: string, path: string, end: string) => `${mark}\n${tableOf(path)}\n${end}`,
  )
}

/** Every place of a configuration that has members of its own. */
export function placesIn(schema: unknown = configSchema(), path = ''): string[] {
  if (!isObject(schema)) return []
  const { properties } = schema
  const below = Object.entries(isObject(properties) ? properties : {}).flatMap(([name, member]) =>
    placesIn(inside(member), path === '' ? name : `${path}.${name}`),
  )
  return [...(isObject(properties) && path !== '' ? [path] : []), ...below]
}

/** Of a list or a map what is in it. */
function inside(schema: unknown): unknown {
  if (!isObject(schema)) return schema
  const { items, additionalProperties } = schema
  if (isObject(items)) return items
  return isObject(additionalProperties) && isObject(additionalProperties['properties']) ? additionalProperties : schema
}

function tableOf(path: string): string {
  const steps = path === 'the-file' ? [] : path.split('.')
  const schema = jsonOf(steps.reduce<unknown>((at, name) => inside(jsonOf(jsonOf(at)['properties'])[name]), configSchema()))
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  const rows = Object.entries(jsonOf(schema['properties'])).flatMap(([name, member]) => {
    const { description, not } = jsonOf(member)
    if (not !== undefined) return []
    if (typeof description !== 'string') throw new Error(`${path}.${name} is not described`)
    return [[`\`${name}\`${required.includes(name) ? ' (needed)' : ''}`, valueOf(jsonOf(member)), cell(description)]]
  })
  const all = [['member', 'value', 'what'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |\n`
  const [head = [], ...body] = all
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |\n`, ...body.map(line)].join('')
}

function valueOf({ type, enum: words, anyOf, items, additionalProperties, properties, minimum, maximum }: JsonObject): string {
  if (Array.isArray(anyOf)) return anyOf.map((one) => valueOf(jsonOf(one))).join(', or ')
  if (Array.isArray(words))
    return words
      .slice(0, 6)
      .map((word) => `\`${String(word)}\``)
      .join(', ')
  if (type === 'boolean') return 'true or false'
  if (type === 'array') return `list of ${plural(jsonOf(items))}`
  if (Array.isArray(type)) return 'number, or text like `"8m"`'
  if (type === 'object' && isObject(additionalProperties)) return `map of ${plural(additionalProperties)}`
  const names = isObject(properties) ? Object.keys(properties) : []
  if (type === 'object') return names.length > 0 && names.length <= 4 ? `object: ${names.map((name) => `\`${name}\``).join(', ')}` : 'object'
  if (type === 'string') return 'text'
  return `${shown(minimum)} to ${shown(maximum)}`
}

function plural({ type, enum: words }: JsonObject): string {
  if (Array.isArray(words)) return words.map((word) => `\`${String(word)}\``).join(', ')
  return type === 'object' ? 'objects' : 'texts'
}

function shown(bound: unknown): string {
  return bound === 2_147_483 ? '2147483' : String(bound)
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
