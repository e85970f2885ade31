// Shows a document with Swagger UI. Its words are those of servers that nobody vouches for: they are shown as text, never as markup.
import { isObject, textIn, type Json } from './json.ts'
import { partOf } from './part.ts'
import { sendAndFollow } from './progress.ts'
import type { Send } from './proof.ts'

const MANY_OPERATIONS = 20
const LONG_WORDS = 1000

export interface ViewOptions {
  /** Where the document was read. */
  from: URL
  domNode: Element
  send: Send
  /** Hears how far a call is, and at last nothing. */
  tell(words: string): void
}

export function show(document: Json, { from, domNode, send, tell }: ViewOptions): void {
  // Swagger UI knows no dialect by its name, and takes schemas for what they are in 3.1.
  const { jsonSchemaDialect: _, ...known } = document
  // What a document of ours tells of is below it, and found there also where a proxy that nobody told us of has put us elsewhere.
  const servers = [{ url: new URL('.', from).href.replace(/\/$/, '') }]
  SwaggerUIBundle({
    spec: { ...known, paths: grouped(document), tags: tagsOf(document, from), servers },
    domNode,
    deepLinking: false,
    docExpansion: 'list',
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    filter: operationsIn(document) > MANY_OPERATIONS,
    tryItOutEnabled: true,
    persistAuthorization: false,
    // What proves who asks does not stand on the screen, in the line that shows how to call with curl.
    showMutatedRequest: false,
    validatorUrl: null,
    requestInterceptor(request) {
      request.userFetch = (url, init) => {
        const to = new URL(url, location.href)
        return init.method === 'POST' ? sendAndFollow(send, to, init, tell).finally(() => tell('')) : send(to, init)
      }
      return request
    },
    plugins: [
      ({ React }) => ({
        afterLoad() {
          const { resolveSubtree } = this.fn
          this.fn.resolveSubtree = (spec, path, options) => resolveSubtree(partOf(spec, path), path, options)
        },
        components: {
          Markdown({ source }) {
            if (typeof source !== 'string' || source === '') return null
            // What scrolls is reached by keys.
            const isLong = source.length > LONG_WORDS
            return React.createElement('p', { className: isLong ? 'said long' : 'said', tabIndex: isLong ? 0 : undefined }, source)
          },
          // Who one is, is asked above.
          authorizeBtn: () => null,
          authorizeOperationBtn: () => null,
        },
      }),
    ],
  })
}

/** Each server has a page of its own. What it says of itself stands there. */
function tagsOf({ tags }: Json, from: URL): Json[] {
  const names = Array.isArray(tags) ? tags.flatMap((tag) => (isObject(tag) ? (textIn(tag, 'name') ?? []) : [])) : []
  return names.map((name) => ({ name, externalDocs: { description: 'Its own page', url: new URL(`servers/${encodeURIComponent(name)}/docs`, from).href } }))
}

/** What has no group is in one of its kind. */
function grouped({ paths }: Json): Json {
  const operations = (item: unknown): Json =>
    Object.fromEntries(Object.entries(isObject(item) ? item : {}).map(([method, one]) => [method, isObject(one) ? { tags: [kindOf(one)], ...one } : one]))
  return Object.fromEntries(Object.entries(isObject(paths) ? paths : {}).map(([path, item]) => [path, operations(item)]))
}

function kindOf(operation: Json): string {
  return 'x-mcp-prompt' in operation ? 'Prompts' : 'x-mcp-resource' in operation ? 'Resources' : 'Tools'
}

function operationsIn({ paths }: Json): number {
  return isObject(paths) ? Object.keys(paths).length : 0
}
