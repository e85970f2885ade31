// Shows a document with Swagger UI. Its words are those of servers that nobody vouches for: they are shown as text, never as markup.
import type { Json } from './json.ts'
import type { Proof } from './proof.ts'

const MANY_OPERATIONS = 20

export function show(document: Json, { domNode, proof }: { domNode: Element; proof: Proof }): void {
  SwaggerUIBundle({
    spec: document,
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

function operationsIn({ paths }: Json): number {
  return typeof paths === 'object' && paths !== null ? Object.keys(paths).length : 0
}
