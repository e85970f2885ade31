// One request to an upstream, and what is heard of its answer.
import type { OpenMcpError } from '../errors.ts'
import type { ForwardedHeaders, ResponseHead } from '../protocol/exchange.ts'

export interface ClientRequest {
  method: 'POST' | 'GET' | 'DELETE'
  url: URL
  headers: ForwardedHeaders
  body?: string | Buffer | undefined
  /** A stream that may be silent for long. */
  endless?: boolean
}

export interface AnswerHandler {
  head(status: number, headers: ResponseHead, flow: Flow): void
  chunk(bytes: Buffer): void
  end(): void
  failed(error: OpenMcpError): void
}

interface Flow {
  pause(): void
  resume(): void
}
