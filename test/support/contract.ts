// The compatibility contract: what people type, request and write down elsewhere, each shown to work here or to be refused in words.
// A test that is told so makes a cell of the table that stands behind the tests (contract-table.ts).
import type { TestOptions } from 'vitest'

/** Where people come from. */
export type System = 'openmcp (Rust)' | 'rmcp-proxy' | 'mcp-proxy' | 'mcp-connect' | 'mcpo' | 'supergateway' | 'mcp-remote' | 'files'

/** `works` as it does there, `differs` on purpose, or waits for what is built `next`. */
type Standing = 'works' | 'differs' | 'next'

export interface Line {
  readonly system: System
  /** In words that are the same for all systems which have it. */
  readonly feature: string
  readonly standing: Standing
}

declare module 'vitest' {
  interface TaskMeta {
    contract?: Line
  }
}

/** What a test shows of a feature. */
type Shows = (feature: string) => TestOptions

export function contractOf(system: System): Readonly<Record<Standing, Shows>> {
  const shows =
    (standing: Standing): Shows =>
    (feature) => ({ meta: { contract: { system, feature, standing } } })
  return { works: shows('works'), differs: shows('differs'), next: shows('next') }
}
