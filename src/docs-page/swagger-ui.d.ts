// What this page uses of swagger-ui-dist, which is loaded before it and stands in the window.

interface SwaggerRequest {
  url: string
  userFetch?: (url: string, request: RequestInit) => Promise<Response>
}

interface SwaggerSystem {
  React: { createElement(type: string, attributes: object | null, ...children: unknown[]): unknown }
}

interface SwaggerPlugin {
  /** Called when all plugins are there. */
  afterLoad(this: { fn: SwaggerFunctions }): void
  components: Readonly<Record<string, (attributes: { source?: unknown }) => unknown>>
}

interface SwaggerFunctions {
  resolveSubtree(spec: Readonly<Record<string, unknown>>, path: readonly string[], options: object): Promise<unknown>
}

declare function SwaggerUIBundle(options: {
  spec: object
  domNode: Element
  deepLinking: boolean
  docExpansion: 'list' | 'full' | 'none'
  defaultModelsExpandDepth: number
  displayRequestDuration: boolean
  filter: boolean
  tryItOutEnabled: boolean
  persistAuthorization: boolean
  showMutatedRequest: boolean
  validatorUrl: null
  requestInterceptor(request: SwaggerRequest): SwaggerRequest
  plugins: readonly ((system: SwaggerSystem) => SwaggerPlugin)[]
}): unknown
