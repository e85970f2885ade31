// Beside the modules that tsc writes for users of the library, one bundle for the program: it starts in half the time.
import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
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

// The page on which operations are tried: our frame around Swagger UI. What is loaded is named after what is in it and lies packed.
await rm('dist/docs', { recursive: true, force: true })
await mkdir('dist/docs')
const docs = await rolldown({ input: 'src/docs-page/page.ts', platform: 'browser' })
const own = await docs.generate({ format: 'esm', minify: true })
await docs.close()
const theirs = (file) => fileURLToPath(import.meta.resolve(`swagger-ui-dist/${file}`))
const parts = {
  'page.js': own.output[0].code,
  'page.css': await readFile('src/docs-page/page.css', 'utf8'),
  'swagger-ui.js': await readFile(theirs('swagger-ui-bundle.js'), 'utf8'),
  'swagger-ui.css': await readFile(theirs('swagger-ui.css'), 'utf8'),
}
let frame = await readFile('src/docs-page/index.html', 'utf8')
for (const [name, text] of Object.entries(parts)) {
  // Nobody has their maps.
  const kept = text.replace(/\n?(?:\/\/|\/\*)# sourceMappingURL=.*$/s, '\n')
  const called = name.replace('.', `-${createHash('sha256').update(kept).digest('hex').slice(0, 16)}.`)
  await writeFile(`dist/docs/${called}.gz`, gzipSync(kept, { level: 9 }))
  frame = frame.replace(`docs/${name}`, `docs/${called}`)
}
await writeFile('dist/docs/index.html', frame)
for (const file of ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt']) await cp(theirs(file), `dist/docs/${file}`)

const written = new Set(output.map(({ fileName }) => fileName))
for (const chunk of await readdir('dist/chunks')) if (!written.has(`chunks/${chunk}`)) await rm(`dist/chunks/${chunk}`)
