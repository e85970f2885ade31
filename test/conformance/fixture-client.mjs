// The fixture client, for the suite's client scenarios: node fixture-client.mjs URL
// The suite names the scenario, the revision and what the scenario needs to know in the environment.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

const NAME = { name: 'conformance-fixture-client', version: '1.0.0' }
const MODERN = '2026-07-28'

const url = new URL(process.argv.at(-1))
const scenario = process.env.MCP_CONFORMANCE_SCENARIO
const revision = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION
const { toolCalls = [] } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}')

const scenarios = {
  initialize: async () => {
    const client = await connect()
    await client.listTools()
    return client
  },
  tools_call: async () => {
    const client = await connect()
    await client.listTools()
    await client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } })
    return client
  },
  'elicitation-sep1034-client-defaults': async () => {
    const client = await connect({ capabilities: { elicitation: { form: { applyDefaults: true } } } })
    await client.listTools()
    await client.callTool({ name: 'test_client_elicitation_defaults' })
    return client
  },
  'sse-retry': async () => {
    const client = await connect()
    await client.listTools()
    await client.callTool({ name: 'test_reconnection' })
    return client
  },
  'request-metadata': () => connect({ capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} } }),
  'json-schema-ref-no-deref': async () => {
    const client = await connect()
    await client.listTools()
    return client
  },
  'http-standard-headers': async () => {
    const client = await connect({ fetch: discoverHere })
    await callEveryTool(client)
    const { resources } = await client.listResources()
    await client.readResource({ uri: resources[0].uri })
    const { prompts } = await client.listPrompts()
    await client.getPrompt({ name: prompts[0].name })
    return client
  },
  'http-custom-headers': async () => {
    const client = await connect({ fetch: discoverHere })
    await client.listTools()
    for (const call of toolCalls) await client.callTool(call)
    return client
  },
  'http-invalid-tool-headers': async () => {
    const client = await connect({ fetch: discoverHere })
    await callEveryTool(client, { region: 'us-west1' })
    return client
  },
  'sep-2322-client-request-state': async () => {
    const client = await connect({ capabilities: { elicitation: {} }, fetch: discoverHere })
    for (const name of ['echo_state', 'no_state', 'unrelated', 'no_result_type']) {
      await ignoringRefusal(client.callTool({ name: `test_mrtr_${name}` }))
    }
    return client
  },
}

if (!(scenario in scenarios)) throw new Error(`unknown scenario ${scenario}`)
const connected = await scenarios[scenario]()
await connected.close()

async function connect({ capabilities = {}, fetch } = {}) {
  const negotiation = revision === MODERN ? { versionNegotiation: { mode: 'auto' } } : {}
  const client = new Client(NAME, { capabilities, ...negotiation })
  if (capabilities.elicitation) client.setRequestHandler('elicitation/create', acceptElicitation)
  await client.connect(new StreamableHTTPClientTransport(url, { fetch }))
  return client
}

/** Agrees to a question that asks for agreement, and leaves every other field to its default. */
function acceptElicitation({ params }) {
  const asksToConfirm = 'confirmed' in (params.requestedSchema?.properties ?? {})
  return { action: 'accept', content: asksToConfirm ? { confirmed: true } : {} }
}

async function callEveryTool(client, args = {}) {
  const { tools } = await client.listTools()
  for (const { name } of tools) await ignoringRefusal(client.callTool({ name, arguments: args }))
}

/** What the server answers is not the point of these calls: the suite looks at what the client sends. */
async function ignoringRefusal(call) {
  try {
    await call
  } catch (error) {
    console.error(`refused: ${error.message}`)
  }
}

/** Some servers of the suite speak 2026-07-28 but do not know `server/discover`: this answers it for them. */
async function discoverHere(input, init) {
  const message = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined
  if (message?.method !== 'server/discover') return fetch(input, init)
  const result = {
    resultType: 'complete',
    supportedVersions: [MODERN],
    capabilities: { tools: {}, resources: {}, prompts: {} },
    ttlMs: 0,
    cacheScope: 'private',
  }
  return Response.json({ jsonrpc: '2.0', id: message.id, result })
}
