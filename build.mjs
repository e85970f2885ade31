// Beside the modules that tsc writes for users of the library, one bundle for the program: it starts in half the time.
import { chmod, rm } from 'node:fs/promises'
import { rolldown } from 'rolldown'

await rm('dist/chunks', { recursive: true, force: true })
const bundle = await rolldown({
  input: { openmcp: 'src/cli/bin.ts' },
  platform: 'node',
  external: [/^node:/, /^@modelcontextprotocol\//],
  // Express and undici are CommonJS and end up in chunks of their own, loaded when they are needed.
  treeshake: true,
})
await bundle.write({ dir: 'dist', format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'chunks/[name]-[hash].mjs', minify: false })
await bundle.close()
await chmod('dist/openmcp.mjs', 0o755)
