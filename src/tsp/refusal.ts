// Why a message was not taken. Whoever sent it hears nothing: the reason is for a counter and the log.
import { OpenMcpError } from '../errors.ts'

export type RefusalReason =
  | 'too_large'
  | 'malformed' // bytes that are not what the specification writes
  | 'revision' // another version of the protocol
  | 'unsupported' // well-formed, and of a kind that is not read here
  | 'vid' // an identifier that is no DID as openmcp reads it
  | 'receiver' // for somebody else
  | 'signature'
  | 'decryption'
  | 'sender' // the payload names another sender than the envelope
  | 'digest'

/** The only thing that the codec throws for bytes that a peer sent. */
export class TspRefusal extends OpenMcpError {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, why: string) {
    super('tsp_refused', why)
    this.name = 'TspRefusal'
    this.reason = reason
  }
}
