// Gives the suite's program, and nobody else, a `node:fs` that also exports `globSync`.
const FS_WITH_GLOB = `data:text/javascript,${encodeURIComponent(`
  export * from 'node:fs'
  export { default } from 'node:fs'
  export function globSync() {
    throw new Error('fs.globSync needs Node 22')
  }
`)}`

export async function resolve(specifier, context, next) {
  const asksForFs = specifier === 'fs' || specifier === 'node:fs'
  const fromSuite = context.parentURL?.includes('/@modelcontextprotocol/conformance/')
  return asksForFs && fromSuite ? { url: FS_WITH_GLOB, shortCircuit: true } : next(specifier, context)
}
