// The JSON schema of a configuration, made of the same shapes that check it: what an editor completes is what is taken.
import type { JsonObject } from '../protocol/message.ts'
import { SERVERS } from './read-servers.ts'

export function configSchema(): JsonObject {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'openmcp',
    type: 'object',
    // TODO: the sections that are read in cli/config-file.ts come in with their shapes.
    properties: { mcpServers: SERVERS.schema, trust: { type: 'object' }, security: { type: 'object' } },
    additionalProperties: false,
  }
}
