// JSON with comments, from text to a plain value: strict about what a reader and a program would take for different things.
import { parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser'

import type { At } from './shape.ts'

const MAX_CHARS = 1024 * 1024
const MAX_DEPTH = 64
/** Behind the first mistakes of syntax the others follow from them. */
const TOLD = 5

/** Undefined when a mistake was told. */
export function readSource(text: string, at: At): { value: unknown } | undefined {
  if (text.length > MAX_CHARS) return at.mistake(`is larger than ${MAX_CHARS / 1024} KiB`)
  // The parser calls itself for every level.
  if (isDeep(text)) return at.mistake(`has more than ${MAX_DEPTH} levels`)
  const errors: ParseError[] = []
  const root = parseTree(text.replace(/^\uFEFF/, ' '), errors, { allowTrailingComma: true })
  for (const { error, offset } of errors.slice(0, TOLD)) at.mistake(`${placeOf(text, offset)}: ${wordsOf(printParseErrorCode(error))}`)
  if (errors.length > 0) return undefined
  if (!root) return at.mistake('is empty')
  let isRight = true
  const value = valueOf(root, at, () => (isRight = false))
  return isRight ? { value } : undefined
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

function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
}

/** `CloseBraceExpected` → `close brace expected`. */
function wordsOf(code: string): string {
  return code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()
}

/** The plain value of a node. A name that is there twice would mean one thing to a reader and another to us. */
function valueOf(node: Node, at: At, wrong: () => void): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child, index) => valueOf(child, at.item(index), wrong))
  if (node.type !== 'object') return node.value
  const members = new Map<string, unknown>()
  for (const { children: [name, value] = [] } of node.children ?? []) {
    const typed = String(name?.value)
    if (members.has(typed)) {
      wrong()
      at.member(typed).mistake('is there twice')
    }
    if (value) members.set(typed, valueOf(value, at.member(typed), wrong))
  }
  return Object.fromEntries(members)
}
