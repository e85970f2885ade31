// JSON with comments, from text to a plain value: strict about what a reader and a program would take for different things.
import { parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser'

import type { At, Step } from './at.ts'

const MAX_CHARS = 1024 * 1024
const MAX_DEPTH = 64
/** Behind the first mistakes of syntax the others follow from them. */
const TOLD = 5

export interface Source {
  readonly value: unknown
  /** The line, from 1, of what is at the end of these steps, or of the last of them that is there. */
  lineOf(steps: readonly Step[]): number
}

/** Undefined when it is no JSON. A name that is there twice is told as a mistake, and its last value is the value. */
export function readSource(text: string, at: At): Source | undefined {
  if (text.length > MAX_CHARS) return at.mistake(`is larger than ${MAX_CHARS / 1024} KiB`)
  // The parser calls itself for every level.
  if (isDeep(text)) return at.mistake(`has more than ${MAX_DEPTH} levels`)
  const errors: ParseError[] = []
  const root = parseTree(text.replace(/^\uFEFF/, ' '), errors, { allowTrailingComma: true })
  for (const { error, offset } of errors.slice(0, TOLD)) {
    at.mistake(`column ${columnOf(text, offset)}: ${wordsOf(printParseErrorCode(error))}`, { line: lineAt(text, offset) })
  }
  if (errors.length > 0) return undefined
  if (!root) return at.mistake('is empty')
  const twin = (here: At, offset: number): void => here.mistake('is there twice', { line: lineAt(text, offset) })
  return { value: valueOf(root, at, twin), lineOf: (steps) => lineAt(text, offsetOf(root, steps)) }
}

/** Brackets outside of strings and comments, counted without recursion. */
function isDeep(text: string): boolean {
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[^]*?\*\/|[[\]{}]/g)) {
    if (token === '[' || token === '{') depth++
    else if (token === ']' || token === '}') depth--
    if (depth > MAX_DEPTH) return true
  }
  return false
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

function columnOf(text: string, offset: number): number {
  return offset - text.lastIndexOf('\n', offset - 1)
}

/** Of a member that is where its name is. */
function offsetOf(root: Node, steps: readonly Step[]): number {
  let node = root
  let offset = root.offset
  for (const step of steps) {
    const { children = [] } = node
    const property = typeof step === 'string' ? children.find((child) => child.children?.[0]?.value === step) : undefined
    const next = typeof step === 'number' ? children[step] : property?.children?.[1]
    if (!next) break
    node = next
    offset = property?.offset ?? next.offset
  }
  return offset
}

/** `CloseBraceExpected` → `close brace expected`. */
function wordsOf(code: string): string {
  return code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()
}

/** The plain value of a node. A name that is there twice would mean one thing to a reader and another to us. */
function valueOf(node: Node, at: At, twin: (here: At, offset: number) => void): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child, index) => valueOf(child, at.item(index), twin))
  if (node.type !== 'object') return node.value
  const members = new Map<string, unknown>()
  for (const { offset, children: [name, value] = [] } of node.children ?? []) {
    const typed = String(name?.value)
    if (members.has(typed)) twin(at.member(typed), offset)
    if (value) members.set(typed, valueOf(value, at.member(typed), twin))
  }
  return Object.fromEntries(members)
}
