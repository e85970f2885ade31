// What users of the library may touch. Everything else is ours to change.
export { OpenMcpError, type ErrorCode } from './errors.ts'
export { createLog, type Log, type LogFormat, type LogLevel } from './observe/log.ts'
export {
  createOpenMcp,
  type ListenSettings,
  type NamedSettings,
  type OpenApiSettings,
  type OpenMcpSettings,
  type RunningOpenMcp,
  type SecuritySettings,
} from './openmcp/create.ts'
export { createRelay, type Relay, type RelaySettings } from './openmcp/relay.ts'
export type { Changes } from './openmcp/servers.ts'
export type { CommandSettings, ServerSettings, ServingSettings, UrlSettings } from './openmcp/settings.ts'
export { DEFAULT_LIMITS, type Limits } from './protocol/limits.ts'
