// Templates of resources (RFC 6570), filled in with texts.

interface Operator {
  readonly first: string
  readonly separator: string
  /** `name=value`, or, of what is empty, the name and this. */
  readonly named?: string
  /** What has a meaning in a URI stays as it is. */
  readonly reserved?: boolean
}

/** RFC 6570 appendix A. */
const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['', { first: '', separator: ',' }],
  ['+', { first: '', separator: ',', reserved: true }],
  ['#', { first: '#', separator: ',', reserved: true }],
  ['.', { first: '.', separator: '.' }],
  ['/', { first: '/', separator: '/' }],
  [';', { first: ';', separator: ';', named: '' }],
  ['?', { first: '?', separator: '&', named: '=' }],
  ['&', { first: '&', separator: '&', named: '=' }],
])
const EXPRESSION = /\{([+#./;?&]?)([^{}]*)\}/g
const VARIABLE = /^((?:\w|%[0-9A-Fa-f]{2})(?:[\w.]|%[0-9A-Fa-f]{2})*)(?::([1-9]\d{0,3})|\*)?$/
const MOST_VARIABLES = 100

export interface TemplateVariable {
  readonly name: string
  /** It stands in a path, where nothing would be another path. */
  readonly isNeeded: boolean
}

/** In their order, each once. */
export function variablesOf(template: string): TemplateVariable[] {
  const found = new Map<string, boolean>()
  for (const { operator, variables } of expressionsOf(template))
    for (const { name } of variables) found.set(name, (found.get(name) ?? false) || operator.named === undefined)
  return [...found].slice(0, MOST_VARIABLES).map(([name, isNeeded]) => ({ name, isNeeded }))
}

/** The URI, where each variable has its value, and those without one stay away. What is no expression stays as it is. */
export function expanded(template: string, valueOf: (name: string) => string | undefined): string {
  return template.replaceAll(EXPRESSION, (whole, sign: string, list: string) => {
    const expression = expressionOf(sign, list)
    if (!expression) return whole
    const { operator, variables } = expression
    const parts = variables.flatMap(({ name, most }) => {
      const value = valueOf(name)
      if (value === undefined) return []
      const text = encoded(most === undefined ? value : Array.from(value).slice(0, most).join(''), operator.reserved === true)
      return [operator.named === undefined ? text : text === '' ? name + operator.named : `${name}=${text}`]
    })
    return parts.length === 0 ? '' : operator.first + parts.join(operator.separator)
  })
}

interface Expression {
  readonly operator: Operator
  readonly variables: readonly { name: string; most: number | undefined }[]
}

function* expressionsOf(template: string): Generator<Expression> {
  for (const [, sign = '', list = ''] of template.matchAll(EXPRESSION)) {
    const expression = expressionOf(sign, list)
    if (expression) yield expression
  }
}

/** Undefined: it is none. */
function expressionOf(sign: string, list: string): Expression | undefined {
  const operator = OPERATORS.get(sign)
  const read = list.split(',').map((one) => VARIABLE.exec(one))
  if (!operator || read.includes(null)) return undefined
  return { operator, variables: read.map((match) => ({ name: match?.[1] ?? '', most: match?.[2] === undefined ? undefined : Number(match[2]) })) }
}

function encoded(text: string, keepsReserved: boolean): string {
  if (keepsReserved) return text.replaceAll(/%[0-9A-Fa-f]{2}|[^\w.~:/?#[\]@!$&'()*+,;=-]+/g, (part) => (/^%[0-9A-Fa-f]{2}$/.test(part) ? part : percent(part)))
  return text.replaceAll(/[^\w.~-]+/g, percent)
}

function percent(text: string): string {
  return Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}
