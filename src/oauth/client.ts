// Who asks, if they say so: `private_key_jwt` (RFC 7523 §2.2) where the client's id is its DID.
import type { Asserted, Assertions } from '../tokens/assertion.ts'
import type { Form } from './form.ts'
import { refusal, type Refusal } from './refusal.ts'

/** RFC 7523 §2.2. */
export const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Undefined: nobody claims to be anybody. A wrong assertion is refused, whatever else would do. */
export async function clientOf(form: Form, audiences: readonly string[], assertions: Assertions): Promise<Asserted | Refusal | undefined> {
  const assertion = form.get('client_assertion')
  const type = form.get('client_assertion_type')
  if (assertion === undefined && type === undefined) {
    return form.get('client_secret') === undefined ? undefined : refusal('invalid_client', 'clients prove themselves by private_key_jwt here')
  }
  if (type !== CLIENT_ASSERTION) return refusal('invalid_client', 'clients prove themselves by private_key_jwt here', 'another client_assertion_type')
  const checked = await assertions.checkClient(assertion, audiences)
  if ('rejected' in checked) return refusal('invalid_client', NOT_PROVED, checked.rejected)
  const named = form.get('client_id')
  if (named !== undefined && named !== checked.claims['sub']) return refusal('invalid_client', NOT_PROVED, 'client_id is another')
  return checked
}

/** One text for whoever is not let in: it does not tell whether the name, the key, the time or the trust was wrong. */
export const NOT_PROVED = 'this proves no identity that is trusted here'
