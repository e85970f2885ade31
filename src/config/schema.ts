// The JSON schema of a configuration, made of the same shapes that check it: what an editor completes is what is taken.
import type { JsonObject } from '../protocol/message.ts'
import { CONFIG } from './config.ts'

export function configSchema(): JsonObject {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'openmcp', ...CONFIG.schema }
}
