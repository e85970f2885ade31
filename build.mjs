// Beside the modules that tsc writes for users of the library, one bundle for the program: it starts in half the time.
import { chmod, cp, readdir, rm } from 'node:fs/promises'
import { rolldown } from 'rolldown'

const bundle = await rolldown({
  input: { openmcp: 'src/cli/bin.ts' },
  platform: 'node',
  // jsonc-parser is written for two module systems at once, which no bundler unravels.
  external: [/^node:/, /^@modelcontextprotocol\//, 'libsql', 'jsonc-parser'],
  // What koa calls deprecated functions by (depd) makes one by eval, of its own words alone.
  checks: { eval: false },
})
// Express and undici end up in chunks of their own, loaded when they are needed.
const { output } = await bundle.write({ dir: 'dist', format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'chunks/[name]-[hash].mjs' })
await bundle.close()
await chmod('dist/openmcp.mjs', 0o755)

// The key page: one script without anything from elsewhere, a style and a frame of words.
const page = await rolldown({ input: 'src/key-page/page.ts', platform: 'browser' })
await page.write({ file: 'dist/key-page/page.js', format: 'esm', minify: true })
await page.close()
for (const file of ['index.html', 'page.css']) await cp(`src/key-page/${file}`, `dist/key-page/${file}`)

const written = new Set(output.map(({ fileName }) => fileName))
for (const chunk of await readdir('dist/chunks')) if (!written.has(`chunks/${chunk}`)) await rm(`dist/chunks/${chunk}`)
