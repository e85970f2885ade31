// What users of the library may touch. Everything else is ours to change.
export { OpenMcpError, type ErrorCode } from './errors.ts'
export { createLog, type Log, type LogFormat, type LogLevel } from './observe/log.ts'
export {
  openmcp,
  type CommandTarget,
  type ListenOptions,
  type OpenMcp,
  type OpenMcpIo,
  type OpenMcpOptions,
  type RemoteTarget,
  type SocketTarget,
  type NamedServer,
  type Changes,
  type VidTarget,
} from './openmcp.ts'
export { DEFAULT_LIMITS, type Limits } from './protocol/limits.ts'
