// What holds where a configuration says nothing, for those who want to see all of it.
import { isObject } from '../protocol/message.ts'
import { DEFAULT_LIMITS } from '../protocol/limits.ts'
import { limitRules } from './limit-table.ts'

export function effective(value: unknown): unknown {
  if (!isObject(value)) return value
  const { $schema: _schema, mcpServers, limits, listen, ...others } = value
  const usual = Object.fromEntries(limitRules().map(([member, { limit }]) => [member, DEFAULT_LIMITS[limit]]))
  return {
    name: 'default',
    ...others,
    ...(listen !== undefined && { listen: isObject(listen) ? { host: '127.0.0.1', ...listen } : listen }),
    aggregate: others['aggregate'] ?? false,
    limits: isObject(limits) ? { ...usual, ...limits } : usual,
    mcpServers: mcpServers ?? {},
  }
}
