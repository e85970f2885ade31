// Who asks for a login: a client that registered here, or one that describes itself at a URL of its own.
import type { ClientMetadata } from './client-metadata.ts'
import type { ClientDocuments } from './client-documents.ts'
import type { Registrations } from './registration.ts'

export interface Client extends ClientMetadata {
  readonly id: string
  /** The host that vouches for the rest. Undefined: nobody does. */
  readonly idHost: string | undefined
}

/** Undefined for one that is not known. */
export type FindClient = (id: string) => Promise<Client | undefined>

export function createFindClient({ registrations, documents }: { registrations: Pick<Registrations, 'find'>; documents: ClientDocuments }): FindClient {
  return async (id) => {
    const registered = registrations.find(id)
    if (registered) return { ...registered, id, idHost: undefined }
    const described = await documents.find(id)
    return described && { ...described, id, idHost: new URL(id).host }
  }
}
