// A login that is kept, and where.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Login } from '../../src/login/login.ts'

export function ownDirectory(): string {
  const above = mkdtempSync(join(tmpdir(), 'openmcp-logins-'))
  onTestFinished(() => rmSync(above, { recursive: true, force: true }))
  return join(above, 'home', 'logins')
}

export function someLogin(changes: Partial<Login> = {}): Login {
  return {
    address: changes.resource ?? 'https://mcp.example.com/mcp',
    resource: 'https://mcp.example.com/mcp',
    issuer: 'https://issuer.example',
    tokenEndpoint: 'https://issuer.example/token',
    client: { id: 'client', auth: 'none' },
    accessToken: 'access-canary',
    tokenType: 'Bearer',
    refreshToken: 'refresh-canary',
    obtainedAtMs: 1_000_000,
    expiresAtMs: 4_600_000,
    ...changes,
  }
}
