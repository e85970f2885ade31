// The reference server: what its tools are called with.
import type { Json } from './json.ts'

/** Arguments that fit, by the tool, where some are needed. */
export const EVERYTHING_GOOD: Readonly<Record<string, Json>> = {
  echo: { message: 'hello' },
  'get-sum': { a: 1, b: 2 },
  'get-structured-content': { location: 'Chicago' },
  'get-annotated-message': { messageType: 'success', includeImage: true },
  'get-resource-reference': { resourceType: 'Text', resourceId: 1 },
  'trigger-long-running-operation': { duration: 0.1, steps: 2 },
  'simulate-research-query': { topic: 'tea' },
  'gzip-file-as-resource': { name: 'a.gz', data: 'data:text/plain,hello', outputType: 'resource' },
}
