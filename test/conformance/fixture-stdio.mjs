// The fixture server on stdio: the first message decides which era the process serves.
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { buildServer } from './fixture-server.mjs'

serveStdio(({ era }) => buildServer(era))
