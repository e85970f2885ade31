// Shows a document with Swagger UI. Its words are those of servers that nobody vouches for: they are shown as text, never as markup.
import { isObject, textIn, type Json } from './json.ts'
import type { Proof } from './proof.ts'

const MANY_OPERATIONS = 20

/** `from` is where the document was read. */
export function show(document: Json, { from, domNode, proof }: { from: URL; domNode: Element; proof: Proof }): void {
  SwaggerUIBundle({
    spec: { ...document, servers: serversOf(document, from) },
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
    async requestInterceptor(request) {
      const header = URL.parse(request.url, location.href)?.origin === location.origin ? await proof.header() : undefined
      if (header !== undefined) request.headers['Authorization'] = header
      return request
    },
    plugins: [
      ({ React }) => ({
        components: {
          Markdown: ({ source }) => (typeof source === 'string' && source !== '' ? React.createElement('p', { className: 'said' }, source) : null),
          // Who one is, is asked above.
          authorizeBtn: () => null,
          authorizeOperationBtn: () => null,
        },
      }),
    ],
  })
}

/** Swagger UI takes what is relative for relative to this page; it is so to the document (OpenAPI 3.1 §4.8.5). */
function serversOf({ servers = [{ url: '/' }] }: Json, from: URL): { url: string }[] {
  const urls = Array.isArray(servers) ? servers.filter(isObject).map((server) => textIn(server, 'url') ?? '/') : []
  return urls.map((url) => ({ url: new URL(url, from).href.replace(/\/$/, '') }))
}

function operationsIn({ paths }: Json): number {
  return typeof paths === 'object' && paths !== null ? Object.keys(paths).length : 0
}
